/*
 * pm - the parts of `sutra production-monitor`: one look at the stack (pm_look.c), what is made of it
 * (pm_alert.c), and who may ask for it over HTTP (pm_serve.c).
 */
#ifndef SUTRA_CMD_PRODUCTION_PM_H
#define SUTRA_CMD_PRODUCTION_PM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/histogram.h"
#include "base/str.h"
#include "probe/health.h"
#include "probe/observe.h"

/* What one interval showed. */
struct pm_look {
	int64_t wall_us;
	struct sutra_deployment *d;	/* NULL: it cannot be looked at */
	struct sutra_probe *probes;	/* one for each of d->services */
	size_t n, up, down;		/* neither up nor down: starting or degraded */
	bool gone;			/* there is no deployment to look at */
	char trouble[256];		/* who is down and why; "" nobody */
	unsigned asked, failed;		/* requests of this look */
	char failure[256];		/* the first that failed */
	double p50_ms, p95_ms;		/* of those that were answered; -1: none */
	int64_t texts, hits;		/* that clients asked for since the look before */
	double hit_percent;		/* -1: none were, or unknown */
};

/* What is carried from look to look. */
struct pm_looker {
	char *state_dir;
	unsigned requests;		/* of each look */
	uint64_t limit_ns;		/* within which a look ends, about */
	int64_t texts, hits;		/* the gateways' counters at the look before; -1: none yet */
	struct sutra_histogram *all;	/* every request's time */
};

/* Probes every service, sends the requests, reads the caches' counters. What cannot be had is in the
 * look; *ret is released with pm_look_release. */
void pm_look(struct pm_looker *l, struct pm_look *ret);
void pm_look_release(struct pm_look *k);

enum pm_kind { PM_DOWN, PM_REQUESTS, PM_P95, PM_HIT_RATE, PM_KINDS };

struct pm_limits {
	double max_p95_ms;		/* 0: not watched */
	int64_t min_hit_percent;	/* 0: not watched */
	int64_t max_down;
};

struct pm_event {
	enum pm_kind kind;
	int64_t raised_us, cleared_us;	/* cleared 0: not yet */
	char message[320];
};

struct pm_alerts {
	struct pm_limits limits;
	struct sutra_alarm alarms[PM_KINDS];
	const char *hook, *webhook;	/* or NULL */
	struct pm_event *events;
	size_t n, forgotten;		/* forgotten: older ones, over a thousand */
	unsigned told, untold;		/* calls of the hooks that worked, or not */
	void (*say)(const struct pm_event *e);	/* each time one is raised or cleared */
};

const char *pm_kind_name(enum pm_kind k);	/* "down", "requests", "p95", "hit-rate" */
/* Judges a look; calls say and the hooks for what changed. */
void pm_alerts_take(struct pm_alerts *a, const struct pm_look *k);
/* {"schema": "sutra.alert/1", "alert", "state", "message", "time", "since"} */
json_t *pm_event_document(const struct pm_event *e);
bool pm_alerts_active(const struct pm_alerts *a);

struct pm_server;
/* Answers GET /health (200; 503 with the alerts, or when looks stopped for stale_ns) and GET /metrics. */
int pm_serve(const char *address, uint64_t stale_ns, struct pm_server **ret, struct sutra_err *err);
/* What is answered from now on. */
void pm_serve_look(struct pm_server *s, const struct pm_look *k, const struct pm_alerts *a);
void pm_serve_end(struct pm_server *s);	/* NULL is fine */

#endif
