/* Answers that come later: each keeps its place among the answers of its connection. */
#include "net/tcp_private.h"

#include "base/alloc.h"

struct sutra_buf *sutra_tcp_out(struct sutra_tcp_conn *c) { return c->last ? &c->last->behind : &c->out; }

bool sutra_tcp_awaits(const struct sutra_tcp_conn *c) { return c->first; }

void sutra_tcp_await(struct sutra_tcp_conn *c, struct sutra_tcp_place *p, size_t cost)
{
	*p = (struct sutra_tcp_place){ .conn = c, .cost = cost };
	sutra_buf_init(&p->behind, c->out.max);
	if (c->last) {
		sutra_tcp_count_place(c->last);
		c->last->next = p;
	} else {
		c->first = p;
	}
	c->last = p;
	sutra_tcp_count_place(p);
}

/* Moves b to the end of the output; an error of either stays there. */
static void move_out(struct sutra_tcp_conn *c, struct sutra_buf *b)
{
	size_t max = c->out.max;

	if (sutra_buf_error(b))
		c->out.error = b->error;
	if (!c->closing && !c->out.len && b->len && !sutra_buf_error(&c->out)) {
		sutra_tcp_return_out(c);
		c->out = *b;
		c->out.max = max;
		*b = (struct sutra_buf){ 0 };
	} else if (!c->closing && b->len) {
		sutra_buf_add(&c->out, b->data, b->len);
	}
	sutra_buf_release(b);
}

void sutra_tcp_answer(struct sutra_tcp_place *p, struct sutra_buf *answer)
{
	struct sutra_tcp_conn *c = p->conn;
	struct sutra_tcp *t = c->tcp;

	p->answer = *answer;
	*answer = (struct sutra_buf){ .max = answer->max };
	p->is_answered = true;
	sutra_tcp_count_place(p);
	while ((p = c->first) && p->is_answered) {
		c->awaited -= p->counted;
		c->first = p->next;
		c->last = c->first ? c->last : NULL;
		move_out(c, &p->answer);
		move_out(c, &p->behind);
		t->o.answered(p, t->o.ctx);
	}
	sutra_tcp_account(c);
	if (c->closing && !c->first && c->is_closed)
		sutra_free(c);
	else if (!c->closing && sutra_buf_error(&c->out))
		sutra_tcp_cut(c, SUTRA_TCP_OVERLOAD);
	else if (!c->closing)
		link_add(&t->dirty, &c->dirty);
}
