/*
 * storage - what the files of sutra-storage share. One thread, the loop's, owns the engine and
 * every connection; the sync thread only calls fdatasync.
 */
#ifndef SUTRA_CMD_STORAGE_H
#define SUTRA_CMD_STORAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/tcp.h"
#include "store/engine.h"
#include "wire/message.h"

struct storage_settings {
	char *role, *path, *host, *eviction, *wal_sync;
	int64_t port, max_concepts, ttl_seconds, sync_interval_ms, dimension;
	int64_t max_connections, max_per_peer, idle_seconds, request_seconds;
	bool cache_mode, mmap;
};

struct storage {
	struct storage_settings settings;
	struct sutra_engine *engine;
	struct sutra_tcp *tcp;
	struct sutra_decoder *decoder;	/* reused */
	struct sutra_buf pairs;		/* of an answer; reused */
	struct sutra_wal_report replay;
	bool always;			/* WAL_SYNC=always: acknowledged means on disk */
	uint64_t ticket;		/* of the last write that was answered */
	uint64_t committed_ticket;	/* in the log */
	uint64_t flush_ticket;		/* of the last Flush that is not answered; 0: none */
	uint64_t last_sync_ns, requests, errors;
	/* the sync thread's, under sync_lock */
	pthread_t sync_thread;
	pthread_mutex_t sync_lock;
	pthread_cond_t sync_wake;
	bool sync_stop, sync_done;
	int sync_fd, sync_errno;	/* fd -1: nothing to do */
	/* the loop's */
	bool syncing;
	uint64_t syncing_ticket;
	bool said_read_only;		/* in the log, last */
	bool said_clock;
	uint64_t said_limits, said_limits_ns;
};

/* Answers one request: frames (operations.c) and HTTP (plain_routes.c). */
void storage_answer(struct storage *s, struct sutra_tcp_conn *c, const void *payload, size_t n);
size_t storage_http(struct storage *s, struct sutra_tcp_conn *c, const char *p, size_t n);
/* Their parts of /health and /metrics (daemon/daemon.h). */
const char *storage_health(void *storage, struct sutra_buf *b);
void storage_metrics(void *storage, struct sutra_buf *b);
/* What the replay of the log met (inspect.c), into the log; and as programs of their own: --check, --dump
 * DIR print it and are 1 if there is damage. */
void storage_log_damage(const struct sutra_wal_report *r);
int storage_check(void *storage, char **dir, int n, struct sutra_err *err);
int storage_dump(void *storage, char **dir, int n, struct sutra_err *err);
/* Group commit and sync (sync.c): callbacks of the loop. */
int sync_start(struct storage *s, struct sutra_err *err);
void sync_end(struct storage *s);
void sync_batch(void *storage);
void sync_woken(void *storage);
void sync_tick(void *storage);

#endif
