/*
 * writer - the engine behind submit: one thread runs the operations in their order, and each is done when its
 * change is safe.
 *
 * Life: sutra_writer_start on an engine, submit from one thread, sutra_writer_stop, sutra_engine_close. From
 * start to stop only the writer's thread changes the engine; another thread may read it (engine.h).
 *
 * The operations of a batch go to the log as one frame. With `always` they are done after the fdatasync that
 * a second thread does meanwhile: what is committed during one sync shares the next one. The engine's ticks
 * run here too, so neither the disk nor a long operation delays another thread. Operations cross between
 * the threads as lists, once for each batch in either direction.
 */
#ifndef SUTRA_STORE_WRITER_H
#define SUTRA_STORE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/engine.h"

struct sutra_writer;

/* One request; a member of its owner's struct. The owner gets it back from the writer's `done`. */
struct sutra_operation {
	/* On the writer's thread. 0: it is done when its change is safe; else it is done now. */
	int (*run)(struct sutra_operation *o);
	/* On the writer's thread, before `done`: what run changed is undone, or in doubt. */
	void (*fail)(struct sutra_operation *o, const struct sutra_err *why);
	bool wants_sync;	/* done only when all before it is on disk, also without `always` */
	size_t bytes;		/* estimate of how much it writes */
	struct sutra_operation *next;	/* the writer's, as is ticket */
	uint64_t ticket;
};

struct sutra_operations {
	struct sutra_operation *head, **tail;
};

struct sutra_writer_options {
	struct sutra_engine *engine;
	bool always;			/* done means on disk; false: done means in the log, */
	uint64_t interval_ns;		/* and on disk within this time */
	/* On the writer's thread: the operations of the list are done; it must take all of them. */
	void (*done)(struct sutra_operations *list, void *ctx);
	void *ctx;
	/* On the writer's thread: a commit or a sync has failed, and its operations with it. */
	void (*failed)(const char *what, const struct sutra_err *why);
};

/* init makes the list empty; move appends all of `from` to `to`, and leaves `from` empty. */
void sutra_operations_init(struct sutra_operations *list);
void sutra_operations_move(struct sutra_operations *to, struct sutra_operations *from);
struct sutra_operation *sutra_operations_pop(struct sutra_operations *list);	/* NULL: it is empty */

int sutra_writer_start(const struct sutra_writer_options *o, struct sutra_writer **ret, struct sutra_err *err);
/* Adds to the next batch, which sutra_writer_wake hands to the writer's thread. */
void sutra_submit(struct sutra_writer *w, struct sutra_operation *o);
void sutra_writer_wake(struct sutra_writer *w);
/* Runs all that was submitted, and waits until it is done. NULL is fine. */
void sutra_writer_stop(struct sutra_writer *w);

#endif
