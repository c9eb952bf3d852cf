/*
 * store_call - calls to a storage on their way, queued as their requests were sent, and how a caller
 * is told. Internal to lib/wire; it has no lock of its own.
 */
#ifndef SUTRA_WIRE_STORE_CALL_H
#define SUTRA_WIRE_STORE_CALL_H

#include "wire/store_client.h"

struct store_call {
	struct store_call *next;
	enum sutra_op op;
	int code;		/* of one that could not be sent */
	bool husk;		/* told TIMEOUT already */
	size_t n;		/* ids asked for */
	uint64_t deadline;
	union {
		sutra_get_done *get;
		sutra_call_done *call;
		sutra_stats_done *stats;
	};
	void *user;
};

struct store_calls {
	struct store_call *head, **tail;
	size_t n;
};

void store_calls_init(struct store_calls *q);
void store_calls_push(struct store_calls *q, struct store_call *c);
struct store_call *store_calls_pop(struct store_calls *q);	/* NULL: none */
/* Moves all there are to *ret. */
void store_calls_take(struct store_calls *q, struct store_calls *ret);

/* Whether an answer without an error can be this call's. */
bool store_call_fits(const struct store_call *c, const struct sutra_answer *a);
/* Tells the caller, who may not want to know; that calls its function: under no lock. found is
 * room for the answer's concepts. */
void store_call_answer(const struct store_call *c, const struct sutra_answer *a,
		       const struct sutra_concept **found);
void store_call_fail(const struct store_call *c, int code);

#endif
