/*
 * writer - the engine behind submit: one thread works on the operations in their order, and each is done
 * when what it did is safe.
 *
 * Life: sutra_writer_start on an engine, submit from one thread, sutra_writer_stop, sutra_engine_close. From
 * start to stop the engine's changes are the writer's alone; another thread may read it (engine.h).
 *
 * What was submitted since the last commit goes to the log as one frame. With `always` its operations are
 * done after the fdatasync that a second thread does meanwhile: what comes during one sync shares the next.
 * The engine's ticks run here too, so neither the disk nor a long operation keeps another thread waiting.
 */
#ifndef SUTRA_STORE_WRITER_H
#define SUTRA_STORE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/engine.h"

struct sutra_writer;

/* One thing to be done; a member of what its owner knows about it, whose it is again in done. */
struct sutra_operation {
	/* On the writer's thread. 0: what it did has to be safe before it is done; else it is done now. */
	int (*run)(struct sutra_operation *o);
	/* On the writer's thread, once. why: what run did is undone, or in doubt; NULL: all is well. */
	void (*done)(struct sutra_operation *o, const struct sutra_err *why);
	bool wants_sync;	/* done only when all before it is on disk, without `always` as well */
	size_t bytes;		/* about how much it writes */
	struct sutra_operation *next;	/* the writer's, as is ticket */
	uint64_t ticket;
};

struct sutra_writer_options {
	struct sutra_engine *engine;
	bool always;			/* done means on disk; else in the log, and */
	uint64_t interval_ns;		/* on disk within this time */
	/* On the writer's thread, after a row of operations was done: to tell whoever waits for them once. */
	void (*told)(void *ctx);
	void *ctx;
	/* A commit or a sync has failed, and with it operations; on the writer's thread. */
	void (*failed)(const char *what, const struct sutra_err *why);
};

int sutra_writer_start(const struct sutra_writer_options *o, struct sutra_writer **ret, struct sutra_err *err);
void sutra_submit(struct sutra_writer *w, struct sutra_operation *o);
/* What was submitted so far is to be worked on: once for many. */
void sutra_writer_wake(struct sutra_writer *w);
/* Works on all that was submitted, and waits until it is done. NULL is fine. */
void sutra_writer_stop(struct sutra_writer *w);

#endif
