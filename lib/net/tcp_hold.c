/* Answers that wait for a ticket: kept back, let go, or replaced by a refusal. */
#include "net/tcp_private.h"

#include "base/alloc.h"

int sutra_tcp_hold_room(struct sutra_tcp_conn *c)
{
	if (c->holds_at == c->n_holds)
		c->holds_at = c->n_holds = 0;
	if (c->n_holds == c->cap_holds) {
		size_t cap = c->cap_holds ? c->cap_holds * 2 : 8;
		struct hold *p = sutra_realloc_array(c->holds, cap, sizeof(*p));

		if (!p)
			return SUTRA_E_NOMEM;
		c->holds = p;
		c->cap_holds = cap;
	}
	return 0;
}

void sutra_tcp_hold(struct sutra_tcp_conn *c, uint64_t ticket, size_t n)
{
	uint64_t end = c->base + c->out.len;

	c->holds[c->n_holds++] = (struct hold){ ticket, end - n, end };
	link_add(&c->tcp->held, &c->held);
}

static void forget_holds(struct sutra_tcp_conn *c)
{
	link_remove(&c->held);
	c->holds_at = c->n_holds = 0;
	if (c->cap_holds > 64) {
		sutra_free(c->holds);
		c->holds = NULL;
		c->cap_holds = 0;
	}
}

void sutra_tcp_settle(struct sutra_tcp *t, uint64_t ticket)
{
	for (struct link *l = t->held.next, *next; l != &t->held; l = next) {
		struct sutra_tcp_conn *c = conn_of(l, held);
		size_t before = c->holds_at;

		next = l->next;
		while (c->holds_at < c->n_holds && c->holds[c->holds_at].ticket <= ticket)
			c->holds_at++;
		if (c->holds_at != before)
			link_add(&t->dirty, &c->dirty);
		if (c->holds_at == c->n_holds)
			forget_holds(c);
	}
}

/* Writes the output anew, `answer` in the place of each waiting answer. */
static void replace_held(struct sutra_tcp_conn *c, const void *answer, size_t n)
{
	struct sutra_buf old = c->out;
	size_t at = c->out_at;

	sutra_buf_init(&c->out, old.max);
	for (size_t i = c->holds_at; i < c->n_holds; i++) {
		size_t start = (size_t)(c->holds[i].start - c->base);

		sutra_buf_add(&c->out, old.data + at, start - at);
		sutra_buf_add(&c->out, answer, n);
		at = (size_t)(c->holds[i].end - c->base);
	}
	sutra_buf_add(&c->out, old.data + at, old.len - at);
	c->base += c->out_at;
	c->out_at = 0;
	sutra_buf_release(&old);
}

bool sutra_tcp_refuse(struct sutra_tcp *t, const void *answer, size_t n)
{
	bool any = linked(&t->held);

	while (linked(&t->held)) {
		struct sutra_tcp_conn *c = conn_of(t->held.next, held);

		if (answer)
			replace_held(c, answer, n);
		forget_holds(c);
		sutra_tcp_account(c);
		if (!answer || sutra_buf_error(&c->out))
			sutra_tcp_cut(c, SUTRA_TCP_OVERLOAD);
		else
			link_add(&t->dirty, &c->dirty);
	}
	return any;
}
