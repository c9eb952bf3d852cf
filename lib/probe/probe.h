/*
 * probe - asks many services for their health at the same time, and names the reason of each failure.
 *
 * The caller fills targets (name, URL, the supervisor's state, the services it depends on);
 * sutra_probe_all asks every URL at the same time, so the whole takes as long as
 * the slowest, and judges each: one of five states and, unless up, one reason of a
 * closed list. sutra_probe_causes (cause.h) then marks the failures that follow from another one.
 * Strings of a target are borrowed until the call returns; results live in the struct.
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
	SUTRA_DEGRADED,		/* answers, but says or shows that something is wrong */
	SUTRA_STARTING,		/* not yet well, and still within its start period */
	SUTRA_DOWN,
	SUTRA_UNKNOWN,		/* could not be asked */
};

/* Why it is not up: those of sutra_fetch first, in its order, then our own. */
#define SUTRA_PROBE_REASONS(X)                                                             \
	X(STATUS, "status")		/* an HTTP status that is not 200 */               \
	X(BODY, "body")			/* an answer that is not the health document */    \
	X(UNHEALTHY, "unhealthy")	/* 503: it says itself that it cannot work */      \
	X(SAYS_DEGRADED, "degraded")	/* 200, but its document says degraded */          \
	X(TOO_SLOW, "too-slow")		/* answered, later than slow_ns */                 \
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
	const char *url;			/* NULL: judged by `run` alone */
	bool json;				/* the answer must be a health document */
	const char *contains;			/* the body must hold this; or NULL */
	const char *const *depends_on;		/* names, NULL-terminated; or NULL */
	enum sutra_run_state run;		/* what the supervisor says */
	int last_exit;				/* of an exited process: code, 128 + signal, -1 unknown */
	uint64_t limit_reached;			/* it ended for want of memory: base/proc.h, sutra_proc_end */
	bool in_start_period;			/* not up means starting, not down */
	uint64_t timeout_ns;			/* 0: 2 s */
	uint64_t slow_ns;			/* 0: never too slow */
	/* answered */
	enum sutra_probe_state state;
	int reason;				/* enum sutra_probe_reason */
	char detail[256];			/* in words; what the service itself said */
	int cause;				/* index of the failure this one follows from; -1 */
	int status;				/* HTTP status, 0: none came */
	char version[32];			/* "" unknown */
	double uptime_seconds;			/* of the health document; < 0: unknown */
	uint64_t dns_ns, connect_ns, tls_ns, first_byte_ns, total_ns;	/* since the start */
	char last_reply[256];			/* beginning of the body, for evidence */
};

const char *sutra_probe_state_name(enum sutra_probe_state s);	/* "up" ... */
const char *sutra_probe_reason_name(int reason);		/* "refused" ... */

/* Probes all n at once, within the largest timeout_ns plus what a poll takes. The
 * number of open sockets is kept below the process's descriptor limit. */
int sutra_probe_all(struct sutra_probe *p, size_t n, struct sutra_err *err);
/* For callers that fetch themselves: clears what was answered, and settles what the supervisor
 * knows; whether `url` must be asked (then sutra_probe_judge takes its answer). Causes are found
 * when all are judged: sutra_probe_causes. */
bool sutra_probe_begin(struct sutra_probe *p);
/* Judges an answer that is already there: sutra_probe_all's second half. */
struct sutra_fetch;
void sutra_probe_judge(struct sutra_probe *p, const struct sutra_fetch *f);

#endif
