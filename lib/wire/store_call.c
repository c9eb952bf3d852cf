#include "wire/store_call.h"

void store_calls_init(struct store_calls *q) { *q = (struct store_calls){ .tail = &q->head }; }

void store_calls_push(struct store_calls *q, struct store_call *c)
{
	c->next = NULL;
	*q->tail = c;
	q->tail = &c->next;
	q->n++;
}

struct store_call *store_calls_pop(struct store_calls *q)
{
	struct store_call *c = q->head;

	if (!c)
		return NULL;
	q->head = c->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	return c;
}

void store_calls_take(struct store_calls *q, struct store_calls *ret)
{
	*ret = *q;
	if (!ret->head)	/* its tail would be q's */
		store_calls_init(ret);
	store_calls_init(q);
}

bool store_call_fits(const struct store_call *c, const struct sutra_answer *a)
{
	return a->op == c->op && (a->op != SUTRA_OP_GET_CONCEPTS || a->n == c->n);
}

static void answer_get(const struct store_call *c, const struct sutra_answer *a,
		       const struct sutra_concept **found)
{
	for (size_t i = 0; i < a->n; i++)
		found[i] = a->found[i] ? &a->concepts[i] : NULL;
	c->get(c->user, 0, found, a->n);
}

void store_call_answer(const struct store_call *c, const struct sutra_answer *a,
		       const struct sutra_concept **found)
{
	if (c->op == SUTRA_OP_GET_CONCEPTS && c->get)
		answer_get(c, a, found);
	else if (c->op == SUTRA_OP_GET_STATS && c->stats)
		c->stats(c->user, 0, sutra_buf_str(&a->text), a->text.len);
	else if (c->op != SUTRA_OP_GET_CONCEPTS && c->op != SUTRA_OP_GET_STATS && c->call)
		c->call(c->user, 0, a->value);
}

void store_call_fail(const struct store_call *c, int code)
{
	if (c->op == SUTRA_OP_GET_CONCEPTS && c->get)
		c->get(c->user, code, NULL, 0);
	else if (c->op == SUTRA_OP_GET_STATS && c->stats)
		c->stats(c->user, code, NULL, 0);
	else if (c->op != SUTRA_OP_GET_CONCEPTS && c->op != SUTRA_OP_GET_STATS && c->call)
		c->call(c->user, code, 0);
}
