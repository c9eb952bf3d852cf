/*
 * scratch - a temporary gateway for a measurement: sutra-embedding on a free loopback port in front of
 * one replica. It ends when it is stopped, and with this process.
 */
#ifndef SUTRA_CHECK_SCRATCH_H
#define SUTRA_CHECK_SCRATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct sutra_scratch {
	pid_t pid;	/* 0: none runs */
};

/* shard: "addr:port" of the cache shard; shard_ms: longest look-up in it (CACHE_TIMEOUT_MS).
 * *ret_base: base URL. Waits until it is healthy. */
int sutra_scratch_start(struct sutra_scratch *s, const char *ml_base, const char *shard, int64_t dimension,
		  unsigned shard_ms, char *ret_base, size_t size, struct sutra_err *err);
void sutra_scratch_stop(struct sutra_scratch *s);	/* SIGTERM, STOP_NS later SIGKILL */

#endif
