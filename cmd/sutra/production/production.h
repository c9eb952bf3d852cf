/*
 * production - the parts of sutra production-monitor: a look at the stack (production_look.c), the alerts
 * that it raises or clears (production_alert.c), and the HTTP endpoints (production_serve.c).
 */
#ifndef SUTRA_CMD_PRODUCTION_PRODUCTION_H
#define SUTRA_CMD_PRODUCTION_PRODUCTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/histogram.h"
#include "base/str.h"
#include "probe/health.h"
#include "probe/observe.h"

/* The measurements of one interval. */
struct production_look {
	int64_t wall_us;
	struct sutra_deployment *d;	/* NULL: it cannot be loaded */
	struct sutra_probe *probes;	/* one for each of d->services */
	size_t n, up, down;		/* services; the rest is starting or degraded */
	bool gone;			/* the deployment cannot be loaded */
	char trouble[256];		/* which services are down, and why; "": none */
	unsigned asked, failed;		/* requests of this look */
	char failure[256];		/* the error of the first that failed */
	double p50_ms, p95_ms;		/* of the answered requests; -1: none */
	int64_t texts, hits;		/* texts of clients since the look before, and those from the cache */
	double hit_percent;		/* -1: no texts, or unknown */
};

/* The state that is kept from look to look. */
struct production_looker {
	char *state_dir;
	unsigned requests;		/* of each look */
	uint64_t limit_ns;		/* after it, a look sends no further request */
	int64_t texts, hits;		/* the gateways' counters at the look before; -1: none yet */
	struct sutra_histogram *all;	/* the times of all requests */
};

/* Probes every service, sends the requests and reads the counters of the caches. Failures are
 * stored in *ret, which the caller releases. */
void production_look(struct production_looker *l, struct production_look *ret);
void production_look_release(struct production_look *k);

enum production_kind { ALERT_DOWN, ALERT_REQUESTS, ALERT_P95, ALERT_HIT_RATE, ALERT_KINDS };

struct production_limits {
	double max_p95_ms;		/* 0: not watched */
	int64_t min_hit_percent;	/* 0: not watched */
	int64_t max_down;
};

struct production_event {
	enum production_kind kind;
	int64_t raised_us, cleared_us;	/* cleared_us 0: not cleared */
	char message[320];
};

struct production_alerts {
	struct production_limits limits;
	struct sutra_alarm alarms[ALERT_KINDS];
	const char *hook, *webhook;	/* or NULL */
	struct production_event *events;
	size_t n, forgotten;		/* forgotten: dropped, as more than a thousand are not kept */
	unsigned delivered, undelivered;	/* calls of the hooks that worked, or failed */
	void (*say)(const struct production_event *e);	/* called when an alert is raised or cleared */
};

const char *production_kind_name(enum production_kind k);	/* "down", "requests", "p95", "hit-rate" */
/* Judges a look; calls say and the hooks for each alert that is raised or cleared. */
void production_alerts_take(struct production_alerts *a, const struct production_look *k);
/* {"schema": "sutra.alert/1", "alert", "state", "message", "time", "since"} */
json_t *production_event_document(const struct production_event *e);
bool production_alerts_active(const struct production_alerts *a);

struct production_server;
/* Answers GET /health (200; 503 while an alert is raised, or when the last look is older than
 * stale_ns), GET /metrics and GET /ping. */
int production_serve(const char *address, uint64_t stale_ns, struct production_server **ret, struct sutra_err *err);
/* Replaces the answers. */
void production_serve_look(struct production_server *s, const struct production_look *k, const struct production_alerts *a);
void production_serve_end(struct production_server *s);	/* NULL is fine */

#endif
