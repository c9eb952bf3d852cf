/*
 * probe - asks many services for their health at the same time, and names the reason of each failure.
 *
 * The caller fills in what is asked: name, URL, the supervisor's state, the services it depends on.
 * sutra_probe_all asks every URL at the same time, so it takes as long as the slowest answer, and
 * judges each: one of five states and, unless up, one reason of a closed list. sutra_probe_causes
 * (cause.h) then marks the failures that follow from another one. The caller's strings are borrowed
 * until the call returns; results are stored in the struct.
 */
#ifndef SUTRA_PROBE_PROBE_H
#define SUTRA_PROBE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "deploy/deployment.h"

enum sutra_probe_state {
	SUTRA_UP,
	SUTRA_DEGRADED,		/* answers, but reports or shows that something is wrong */
	SUTRA_STARTING,		/* not ready yet, and still within its start period */
	SUTRA_DOWN,
	SUTRA_UNKNOWN,		/* this process could not ask it */
};

/* Why a service is not up: the reasons of enum sutra_fetch_reason, then these. */
#define SUTRA_PROBE_REASONS(X)                                                             \
	X(STATUS, "status")		/* an HTTP status that is not 200 */               \
	X(BODY, "body")			/* an answer that is no health document */       \
	X(UNHEALTHY, "unhealthy")	/* 503: the service reports that it cannot work */ \
	X(SAYS_DEGRADED, "degraded")	/* 200, but its document reports degraded */       \
	X(UNSUPERVISED, "unsupervised") X(EXITED, "exited") X(STOPPED, "stopped")          \
	X(NO_URL, "no-url")		/* nothing to ask */
enum sutra_probe_reason {
	SUTRA_PROBE_OK = 0,		/* 1..63: enum sutra_fetch_reason */
	SUTRA_PROBE_OWN_ = 63,
#define X(sym, name) SUTRA_PROBE_##sym,
	SUTRA_PROBE_REASONS(X)
#undef X
};

struct sutra_probe {
	/* asked */
	const char *name;
	const char *url;			/* answers a health document; NULL: judged by `run` alone */
	const char *const *depends_on;		/* names, NULL-terminated; or NULL */
	enum sutra_run_state run;		/* state according to the supervisor */
	int last_exit;				/* of an exited process: code, 128 + signal; -1: unknown */
	uint64_t limit_reached;			/* the memory limit that ended it; 0: none (sutra_proc_end) */
	bool in_start_period;			/* a service that is not up is starting, not down */
	uint64_t timeout_ns;			/* 0: 2 s */
	/* answered */
	enum sutra_probe_state state;
	int reason;				/* enum sutra_probe_reason */
	char detail[256];			/* the failure in words, or what the service reported */
	int cause;				/* index of the failure that this one follows from; -1: none */
	int status;				/* HTTP status; 0: no answer */
	char version[32];			/* "": unknown */
	double uptime_seconds;			/* of the health document; < 0: unknown */
	uint64_t dns_ns, connect_ns, tls_ns, first_byte_ns, total_ns;	/* since the request began */
	char last_reply[256];			/* beginning of the body */
};

const char *sutra_probe_state_name(enum sutra_probe_state s);	/* "up" ... */
const char *sutra_probe_reason_name(int reason);		/* "refused" ... */
/* The index of the probe of that name; n: none. */
size_t sutra_probe_find(const struct sutra_probe *p, size_t n, const char *name);

/* Probes all n at once and returns when the last one answered or its timeout_ns is over. Keeps the
 * number of open sockets below the process's limit of descriptors. SUTRA_E_NOMEM. */
int sutra_probe_all(struct sutra_probe *p, size_t n, struct sutra_err *err);
/* The two halves of sutra_probe_all, for a caller that sends the requests itself. Begin clears the
 * answer and judges by the supervisor's state; true: the caller asks `url` and passes the answer to
 * sutra_probe_judge. */
bool sutra_probe_begin(struct sutra_probe *p);
struct sutra_fetch;
void sutra_probe_judge(struct sutra_probe *p, const struct sutra_fetch *f);

#endif
