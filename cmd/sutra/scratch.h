/*
 * scratch - a gateway of our own for a measurement: sutra-embedding on a free loopback port, in
 * front of one replica, gone when it is stopped or this process ends.
 */
#ifndef SUTRA_CMD_SCRATCH_H
#define SUTRA_CMD_SCRATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct scratch {
	pid_t pid;	/* 0: none runs */
};

/* shard: "addr:port" of the cache shard; shard_ms: longest look-up in it (CACHE_TIMEOUT_MS).
 * *ret_base: base URL. Waits until it is healthy. */
int scratch_start(struct scratch *s, const char *ml_base, const char *shard, int64_t dimension,
		  unsigned shard_ms, char *ret_base, size_t size, struct sutra_err *err);
void scratch_stop(struct scratch *s);	/* TERM, a second later KILL */

#endif
