/*
 * When a write is acknowledged. Its answer is held (sutra_tcp_hold) under a ticket. At the end of a
 * turn of the loop everything that was put is written to the log as one frame; then, with
 * WAL_SYNC=interval, the tickets so far are settled, and with always after the fdatasync that the
 * sync thread does meanwhile: what comes in during one sync shares the next. While a Flush waits for
 * its sync, so do the writes behind it, in both modes.
 */
#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "storage.h"

static void *run(void *arg)
{
	struct storage *s = arg;

	pthread_mutex_lock(&s->sync_lock);
	while (!s->sync_stop) {
		int fd = s->sync_fd, error;

		if (fd < 0 || s->sync_done) {
			pthread_cond_wait(&s->sync_wake, &s->sync_lock);
			continue;
		}
		pthread_mutex_unlock(&s->sync_lock);
		error = fdatasync(fd) ? errno : 0;
		pthread_mutex_lock(&s->sync_lock);
		s->sync_errno = error;
		s->sync_done = true;
		sutra_tcp_wake(s->tcp);
	}
	pthread_mutex_unlock(&s->sync_lock);
	return NULL;
}

int sync_start(struct storage *s, struct sutra_err *err)
{
	s->sync_fd = -1;
	pthread_mutex_init(&s->sync_lock, NULL);
	pthread_cond_init(&s->sync_wake, NULL);
	s->last_sync_ns = sutra_clock_ns();
	if (pthread_create(&s->sync_thread, NULL, run, s))
		return sutra_fail(err, SUTRA_E_IO, "cannot start the sync thread");
	return 0;
}

void sync_end(struct storage *s)
{
	pthread_mutex_lock(&s->sync_lock);
	s->sync_stop = true;
	pthread_cond_signal(&s->sync_wake);
	pthread_mutex_unlock(&s->sync_lock);
	pthread_join(s->sync_thread, NULL);
}

static bool wants_sync(const struct storage *s) { return s->always || s->flush_ticket; }

static void settle(struct storage *s, uint64_t ticket)
{
	sutra_tcp_settle(s->tcp, ticket);
	if (s->flush_ticket <= ticket)
		s->flush_ticket = 0;
}

static void refuse(struct storage *s, const struct sutra_err *err)
{
	struct sutra_buf b;

	s->flush_ticket = 0;
	sutra_buf_init(&b, 8192);
	sutra_answer_error(&b, err);
	if (sutra_tcp_refuse(s->tcp, sutra_buf_error(&b) ? NULL : b.data, b.len))
		s->errors++;
	sutra_buf_release(&b);
}

/* What waits for a sync that will not come; the engine tells why. */
static void refuse_unsynced(struct storage *s)
{
	struct sutra_engine_stats e;
	struct sutra_err err;

	sutra_engine_stats(s->engine, &e);
	sutra_fail(&err, SUTRA_E_IO, "the write is not on disk: %s", e.read_only ? e.read_only : "no sync");
	refuse(s, &err);
}

static void begin_sync(struct storage *s)
{
	int fd = s->syncing ? -1 : sutra_engine_sync_begin(s->engine);

	if (fd == SUTRA_NOTHING_TO_SYNC && wants_sync(s))
		settle(s, s->committed_ticket);
	if (fd == SUTRA_SYNC_HAS_FAILED && wants_sync(s))
		refuse_unsynced(s);
	if (fd < 0)
		return;
	s->syncing = true;
	s->syncing_ticket = s->committed_ticket;
	pthread_mutex_lock(&s->sync_lock);
	s->sync_fd = fd;
	s->sync_done = false;
	pthread_cond_signal(&s->sync_wake);
	pthread_mutex_unlock(&s->sync_lock);
}

void sync_batch(void *storage)
{
	struct storage *s = storage;
	struct sutra_err err;

	if (sutra_engine_commit(s->engine, &err)) {
		sutra_log(SUTRA_ERROR, "storage", "write refused", "reason=\"%s\"", err.message);
		refuse(s, &err);
		return;
	}
	s->committed_ticket = s->ticket;
	if (wants_sync(s))
		begin_sync(s);
	else
		settle(s, s->committed_ticket);
}

void sync_woken(void *storage)
{
	struct storage *s = storage;
	struct sutra_err err;
	bool done;
	int fd, error;

	pthread_mutex_lock(&s->sync_lock);
	done = s->syncing && s->sync_done;
	fd = s->sync_fd;
	error = s->sync_errno;
	if (done)
		s->sync_fd = -1;
	pthread_mutex_unlock(&s->sync_lock);
	if (!done)
		return;
	s->syncing = false;
	s->last_sync_ns = sutra_clock_ns();
	if (sutra_engine_sync_end(s->engine, fd, error, &err)) {
		sutra_log(SUTRA_ERROR, "storage", "sync failed", "reason=\"%s\"", err.message);
		if (wants_sync(s))
			refuse(s, &err);
		return;
	}
	if (!wants_sync(s))
		return;
	settle(s, s->syncing_ticket);
	if (wants_sync(s))
		begin_sync(s);	/* what was committed meanwhile */
	else
		settle(s, s->committed_ticket);
}

/* Rewriting the log may find the disk full where no client's write has. */
static void tell_read_only(struct storage *s)
{
	struct sutra_engine_stats e;

	sutra_engine_stats(s->engine, &e);
	if (s->said_read_only == (e.read_only != NULL))
		return;
	s->said_read_only = e.read_only != NULL;
	if (e.read_only)
		sutra_log(SUTRA_ERROR, "storage", "takes no writes now", "reason=\"%s\"", e.read_only);
	else
		sutra_log(SUTRA_INFO, "storage", "takes writes again", NULL);
}

void sync_tick(void *storage)
{
	struct storage *s = storage;
	uint64_t interval = (uint64_t)s->settings.sync_interval_ms * 1000000u;

	sutra_engine_tick(s->engine);
	tell_read_only(s);
	/* 100 ms early: the next tick would be too late for the promise. */
	if (wants_sync(s) || sutra_clock_ns() - s->last_sync_ns + 100000000u >= interval)
		begin_sync(s);
}
