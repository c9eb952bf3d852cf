/*
 * haproxy_csv - HAProxy's statistics as it gives them at /stats;csv, read by column name.
 *
 * HAProxy adds columns with each version, so none is read by its position. A dump that was cut off (its
 * last line lacks the line feed, or a row has too few fields) is an error, never half an answer.
 */
#ifndef SUTRA_DEPLOY_HAPROXY_CSV_H
#define SUTRA_DEPLOY_HAPROXY_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum sutra_haproxy_type { SUTRA_HAPROXY_FRONTEND, SUTRA_HAPROXY_BACKEND, SUTRA_HAPROXY_SERVER };

struct sutra_haproxy_row {
	char proxy[64], name[64];	/* pxname, svname */
	enum sutra_haproxy_type type;
	char status[32];		/* UP, DOWN, "UP 1/3", NOLB, MAINT, DRAIN, OPEN, no check */
	char algorithm[32];		/* of a backend: leastconn */
	char check_code[16];		/* last check: L7OK, L4CON ...; "" none */
	char check_text[128];
	char check_says[64];		/* the meaning of the code: "Layer7 check passed" */
	int64_t check_ms;		/* -1: unknown, as for every figure below */
	int64_t mean_ms;		/* rtime: mean response time of the last 1,024 requests */
	int64_t sessions, sessions_max;	/* scur, smax */
	int64_t total;			/* stot: sessions or, for a server, its requests */
	int64_t queue, queue_max;	/* qcur, qmax */
	int64_t errors_connect, errors_response, retries, redispatches;	/* econ eresp wretr wredis */
	int64_t checks_failed, times_down, last_change_s;	/* chkfail chkdown lastchg */
};

struct sutra_haproxy_stats {
	struct sutra_haproxy_row *rows;
	size_t n;
};

/* Parses a whole dump of n bytes. SUTRA_E_SYNTAX names line and column; SUTRA_E_CORRUPT: cut off. */
int sutra_haproxy_parse(const char *csv, size_t n, struct sutra_haproxy_stats *ret,
			struct sutra_err *err);
/* GETs the dump and parses it; url ends in ";csv". */
int sutra_haproxy_fetch(const char *url, uint64_t timeout_ns, struct sutra_haproxy_stats *ret,
			struct sutra_err *err);
void sutra_haproxy_release(struct sutra_haproxy_stats *s);
/* The i-th server whose backend is `proxy` (NULL: any); NULL past the end. */
const struct sutra_haproxy_row *sutra_haproxy_server(const struct sutra_haproxy_stats *s,
						     const char *proxy, size_t i);
/* The row of that proxy and name; NULL when absent. */
const struct sutra_haproxy_row *sutra_haproxy_find(const struct sutra_haproxy_stats *s,
						   const char *proxy, const char *name);
/* Takes new connections: UP, also on its way down ("UP 1/3"), or without a check. */
bool sutra_haproxy_is_up(const struct sutra_haproxy_row *r);

#endif
