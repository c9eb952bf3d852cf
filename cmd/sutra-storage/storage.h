/*
 * storage - declarations that the files of sutra-storage share.
 *
 * Threads: the loop's, which owns the connections, finds the frames and reads the engine; the writer's
 * (store/writer.h), which runs everything else; the writer's sync thread. Loop and writer have a desk each.
 */
#ifndef SUTRA_CMD_STORAGE_H
#define SUTRA_CMD_STORAGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/tcp.h"
#include "store/engine.h"
#include "store/writer.h"
#include "wire/message.h"

struct storage_settings {
	char *role, *path, *host, *eviction, *wal_sync;
	int64_t port, max_concepts, ttl_seconds, sync_interval_ms, dimension;
	int64_t max_connections, max_per_peer, idle_seconds, request_seconds;
	bool cache_mode, mmap;
};

struct storage;

/* What a thread needs to run a request. */
struct desk {
	struct storage *storage;
	struct sutra_decoder decoder;
	struct sutra_buf pairs;		/* of an answer */
	bool is_reading;		/* between the engine's read_begin and read_end */
};

enum { DESK_LOOP, DESK_WRITER, DESKS };

struct storage_operation {
	int (*serve)(struct desk *d, const struct sutra_message *q, struct sutra_message *a,
		     struct sutra_err *err);
	/* When it is answered: at once; when its change is safe; when all before it is on disk. */
	enum { STORAGE_READ, STORAGE_WRITE, STORAGE_SYNC } kind;
};
extern const struct storage_operation storage_operations[SUTRA_OP_COUNT];

struct storage {
	struct storage_settings settings;
	struct sutra_engine *engine;
	struct sutra_writer *writer;
	struct sutra_tcp *tcp;
	struct sutra_wal_report replay;
	struct desk *desks;
	_Atomic uint64_t requests, errors;
	pthread_mutex_t done_lock;
	struct sutra_operations done;	/* from the writer, under done_lock */
	/* the loop's: what tick.c has logged last */
	bool logged_read_only, logged_clock;
	uint64_t logged_limits, logged_limits_ns;
};

int storage_desks_open(struct storage *s, struct sutra_err *err);
void storage_desks_close(struct storage *s);
/* Answers the HTTP requests in n bytes, and returns how many bytes it has consumed. */
size_t storage_http(struct storage *s, struct sutra_tcp_conn *c, const char *p, size_t n);
/* Their parts of /health and /metrics (daemon/daemon.h). */
const char *storage_health(void *storage, struct sutra_buf *b);
void storage_metrics(void *storage, struct sutra_buf *b);
/* Logs what has changed since the last tick (tick.c). */
void storage_tick(void *storage);
/* Damage that the replay found (inspect.c): logs it; --check and --dump DIR print it and return 1 if there is
 * any. */
void storage_log_damage(const struct sutra_wal_report *r);
int storage_check(void *storage, char **dir, int n, struct sutra_err *err);
int storage_dump(void *storage, char **dir, int n, struct sutra_err *err);
/* Call it before the engine's get: what it returns is valid until the answer is encoded. */
static inline void storage_read_begin(struct desk *d)
{
	sutra_engine_read_begin(d->storage->engine);
	d->is_reading = true;
}

void storage_done(struct sutra_operations *list, void *storage);	/* the writer's callback */
/* Callbacks of the loop, and the size of its state for each connection. */
extern const size_t storage_state_size;
size_t storage_data(struct sutra_tcp_conn *c, const char *p, size_t n, void *storage);
void storage_batch(void *storage);
void storage_woken(void *storage);
void storage_answered(struct sutra_tcp_place *p, void *storage);

#endif
