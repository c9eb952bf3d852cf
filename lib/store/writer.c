/*
 * Each operation that has run gets a ticket and waits in `waiting`, in the order of the tickets. At the end of
 * a batch all changes are written to the log as one frame. Then the waiting operations are settled: without
 * `always` at once, with it after the fdatasync of the sync thread. While a Flush waits for its sync, the
 * operations behind it wait too, in both modes.
 *
 * `lock` guards what two threads use: `batch`, `stop`, and the sync thread's descriptor. Under it only pointers
 * are moved. Conditions are signalled after the unlock: otherwise the thread that wakes up waits for the lock.
 */
#include "store/writer.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

#define TICK_NS 100000000u

enum { BATCH_BYTES = 8 << 20 };	/* a frame takes 64 MiB, and one operation more than 10 */

struct sutra_writer {
	struct sutra_writer_options o;
	pthread_t thread, sync_thread;
	pthread_mutex_t lock;
	pthread_cond_t wake, sync_wake;
	struct sutra_operations batch;	/* for the writer's next turn */
	bool is_woken, stop, sync_stop, sync_done;
	int sync_fd, sync_errno;	/* fd -1: nothing to sync */
	struct sutra_operations submitted;	/* since the last wake; the submitting thread's alone */
	/* the writer's alone */
	struct sutra_operations waiting, done;
	uint64_t ticket;		/* of the last operation that has run */
	uint64_t committed_ticket;	/* of the last one in the log */
	uint64_t flush_ticket;		/* of the last one with wants_sync that is not done; 0: none */
	bool syncing;
	uint64_t syncing_ticket, last_sync_ns, tick_ns;
};

void sutra_operations_init(struct sutra_operations *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static void push(struct sutra_operations *list, struct sutra_operation *o)
{
	o->next = NULL;
	*list->tail = o;
	list->tail = &o->next;
}

struct sutra_operation *sutra_operations_pop(struct sutra_operations *list)
{
	struct sutra_operation *o = list->head;

	if (o && !(list->head = o->next))
		list->tail = &list->head;
	return o;
}

void sutra_operations_move(struct sutra_operations *to, struct sutra_operations *from)
{
	if (!from->head)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	sutra_operations_init(from);
}

/* ---- the sync thread ---- */

static void *run_syncs(void *arg)
{
	struct sutra_writer *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->sync_stop) {
		int fd = w->sync_fd, error;

		if (fd < 0 || w->sync_done) {
			pthread_cond_wait(&w->sync_wake, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		error = fdatasync(fd) ? errno : 0;
		pthread_mutex_lock(&w->lock);
		w->sync_errno = error;
		w->sync_done = true;
		w->is_woken = true;
		pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the writer ---- */

static bool wants_sync(const struct sutra_writer *w) { return w->o.always || w->flush_ticket; }

static void hand_back(struct sutra_writer *w)
{
	if (w->done.head)
		w->o.done(&w->done, w->o.ctx);
}

/* Everything up to the ticket is done, or with why has failed. */
static void settle(struct sutra_writer *w, uint64_t ticket, const struct sutra_err *why)
{
	while (w->waiting.head && w->waiting.head->ticket <= ticket) {
		struct sutra_operation *o = sutra_operations_pop(&w->waiting);

		if (why)
			o->fail(o, why);
		push(&w->done, o);
	}
	if (w->flush_ticket <= ticket)
		w->flush_ticket = 0;
}

static void fail(struct sutra_writer *w, const char *what, const struct sutra_err *why)
{
	w->o.failed(what, why);
	settle(w, UINT64_MAX, why);
}

/* Fails what waits for a sync that will not happen; the engine has the reason. */
static void fail_unsynced(struct sutra_writer *w)
{
	struct sutra_engine_stats e;
	struct sutra_err err;

	sutra_engine_stats(w->o.engine, &e);
	sutra_fail(&err, SUTRA_E_IO, "the write is not on disk: %s", e.read_only ? e.read_only : "no sync");
	settle(w, UINT64_MAX, &err);
}

static void begin_sync(struct sutra_writer *w)
{
	int fd = w->syncing ? -1 : sutra_engine_sync_begin(w->o.engine);

	if (fd == SUTRA_NOTHING_TO_SYNC && wants_sync(w))
		settle(w, w->committed_ticket, NULL);
	if (fd == SUTRA_SYNC_HAS_FAILED && wants_sync(w))
		fail_unsynced(w);
	if (fd < 0)
		return;
	w->syncing = true;
	w->syncing_ticket = w->committed_ticket;
	pthread_mutex_lock(&w->lock);
	w->sync_fd = fd;
	w->sync_done = false;
	pthread_mutex_unlock(&w->lock);
	pthread_cond_signal(&w->sync_wake);
}

static void commit(struct sutra_writer *w)
{
	struct sutra_err err;

	hand_back(w);	/* reads do not wait for the disk */
	if (sutra_engine_commit(w->o.engine, &err)) {
		fail(w, "write refused", &err);
		return;
	}
	w->committed_ticket = w->ticket;
	if (wants_sync(w))
		begin_sync(w);
	else
		settle(w, w->committed_ticket, NULL);
}

/* The sync thread has synced fd. */
static void end_sync(struct sutra_writer *w, int fd, int error)
{
	struct sutra_err err;

	w->syncing = false;
	w->last_sync_ns = sutra_clock_ns();
	if (sutra_engine_sync_end(w->o.engine, fd, error, &err)) {
		if (wants_sync(w))
			fail(w, "sync failed", &err);
		else
			w->o.failed("sync failed", &err);
		return;
	}
	if (!wants_sync(w))
		return;
	settle(w, w->syncing_ticket, NULL);
	if (wants_sync(w))
		begin_sync(w);	/* what was committed meanwhile */
	else
		settle(w, w->committed_ticket, NULL);
}

static void tick(struct sutra_writer *w)
{
	w->tick_ns = sutra_clock_ns() + TICK_NS;
	sutra_engine_tick(w->o.engine);
	/* One tick early: the next one would exceed the interval. */
	if (wants_sync(w) || sutra_clock_ns() - w->last_sync_ns + TICK_NS >= w->o.interval_ns)
		begin_sync(w);
}

/* Runs the batch, with a commit whenever the frame is large enough, and at the end. */
static void run_batch(struct sutra_writer *w, struct sutra_operations *batch)
{
	struct sutra_operation *o;
	size_t bytes = 0;

	while ((o = sutra_operations_pop(batch))) {
		if (o->run(o)) {
			push(&w->done, o);
			continue;
		}
		bytes += o->bytes;
		o->ticket = ++w->ticket;
		if (o->wants_sync)
			w->flush_ticket = o->ticket;
		push(&w->waiting, o);
		if (bytes >= BATCH_BYTES) {
			commit(w);
			bytes = 0;
		}
	}
	if (w->committed_ticket != w->ticket)
		commit(w);
}

/* Until there is something to do, or a tick is due; under the lock. */
static void wait_for_work(struct sutra_writer *w)
{
	const struct timespec t = sutra_clock_timespec(w->tick_ns);

	while (!w->is_woken && !pthread_cond_timedwait(&w->wake, &w->lock, &t))
		;
	w->is_woken = false;
}

static void *run(void *arg)
{
	struct sutra_writer *w = arg;
	bool stop = false;

	while (!stop || w->syncing) {
		struct sutra_operations batch;
		int fd = -1, error = 0;

		sutra_operations_init(&batch);
		pthread_mutex_lock(&w->lock);
		wait_for_work(w);
		stop = w->stop;
		sutra_operations_move(&batch, &w->batch);
		if (w->sync_done && w->syncing) {
			fd = w->sync_fd;
			error = w->sync_errno;
			w->sync_fd = -1;
		}
		pthread_mutex_unlock(&w->lock);
		if (fd >= 0)
			end_sync(w, fd, error);
		run_batch(w, &batch);
		hand_back(w);
		if (sutra_clock_ns() >= w->tick_ns)
			tick(w);
		hand_back(w);
	}
	fail_unsynced(w);	/* there is no other sync */
	hand_back(w);
	return NULL;
}

static void end_sync_thread(struct sutra_writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->sync_stop = true;
	pthread_cond_signal(&w->sync_wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->sync_thread, NULL);
}

static void destroy(struct sutra_writer *w)
{
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->sync_wake);
	pthread_mutex_destroy(&w->lock);
	sutra_free(w);
}

int sutra_writer_start(const struct sutra_writer_options *o, struct sutra_writer **ret, struct sutra_err *err)
{
	struct sutra_writer *w = sutra_calloc(1, sizeof(*w));

	if (!w)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the writer");
	w->o = *o;
	w->sync_fd = -1;
	sutra_operations_init(&w->batch);
	sutra_operations_init(&w->submitted);
	sutra_operations_init(&w->waiting);
	sutra_operations_init(&w->done);
	w->last_sync_ns = sutra_clock_ns();
	w->tick_ns = w->last_sync_ns + TICK_NS;
	pthread_mutex_init(&w->lock, NULL);
	sutra_clock_cond_init(&w->wake);
	pthread_cond_init(&w->sync_wake, NULL);
	if (pthread_create(&w->sync_thread, NULL, run_syncs, w)) {
		destroy(w);
		return sutra_fail(err, SUTRA_E_IO, "cannot start the sync thread");
	}
	if (pthread_create(&w->thread, NULL, run, w)) {
		end_sync_thread(w);
		destroy(w);
		return sutra_fail(err, SUTRA_E_IO, "cannot start the writer's thread");
	}
	*ret = w;
	return 0;
}

void sutra_submit(struct sutra_writer *w, struct sutra_operation *o) { push(&w->submitted, o); }

static void wake(struct sutra_writer *w, bool stop)
{
	pthread_mutex_lock(&w->lock);
	sutra_operations_move(&w->batch, &w->submitted);
	w->stop = stop;
	w->is_woken = true;
	pthread_mutex_unlock(&w->lock);
	pthread_cond_signal(&w->wake);
}

void sutra_writer_wake(struct sutra_writer *w)
{
	if (w->submitted.head)
		wake(w, false);
}

void sutra_writer_stop(struct sutra_writer *w)
{
	if (!w)
		return;
	wake(w, true);
	pthread_join(w->thread, NULL);
	end_sync_thread(w);
	destroy(w);
}
