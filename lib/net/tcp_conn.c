/* A connection's buffers, the places of its awaited answers, and its end. */
#include "net/tcp_private.h"

#include <unistd.h>

#include "base/alloc.h"

void sutra_tcp_return_out(struct sutra_tcp_conn *c)
{
	struct sutra_tcp *t = c->tcp;

	if (c->out.data && t->n_pool < POOL && c->out.cap <= POOL_KEEP) {
		sutra_buf_clear(&c->out);
		t->pool[t->n_pool++] = c->out;
		sutra_buf_init(&c->out, c->out.max);
	} else {
		sutra_buf_release(&c->out);
	}
}

/* Updates the connection's `awaited` with the bytes of the place. */
static void count_place(struct sutra_tcp_place *p)
{
	size_t now = p->cost + p->answer.cap + p->behind.cap;

	p->conn->awaited += now - p->counted;
	p->counted = now;
}

void sutra_tcp_account(struct sutra_tcp_conn *c)
{
	size_t now;

	if (c->last)
		count_place(c->last);
	now = c->rest.cap + c->out.cap + c->awaited;
	c->tcp->held_bytes += now - c->counted;
	c->counted = now;
}

static void conn_closed(uv_handle_t *h)
{
	struct sutra_tcp_conn *c = (struct sutra_tcp_conn *)h;

	c->is_closed = true;
	if (!c->first)
		sutra_free(c);
}

void sutra_tcp_cut(struct sutra_tcp_conn *c, enum sutra_tcp_end why)
{
	struct sutra_tcp *t = c->tcp;

	if (c->closing)
		return;
	c->closing = true;
	t->ends[why]++;
	t->open--;
	t->peers[c->peer]--;
	sutra_tcp_return_out(c);
	sutra_buf_release(&c->rest);
	sutra_tcp_account(c);
	link_remove(&c->all);
	link_remove(&c->dirty);
	link_remove(&c->ready);
	uv_close((uv_handle_t *)&c->poll, conn_closed);
	close(c->fd);	/* at once, so that the next accept4 can have it; uv_close has stopped polling it */
}

struct sutra_buf *sutra_tcp_out(struct sutra_tcp_conn *c) { return c->last ? &c->last->behind : &c->out; }

bool sutra_tcp_awaits(const struct sutra_tcp_conn *c) { return c->first; }

void sutra_tcp_await(struct sutra_tcp_conn *c, struct sutra_tcp_place *p, size_t cost)
{
	*p = (struct sutra_tcp_place){ .conn = c, .cost = cost };
	sutra_buf_init(&p->behind, c->out.max);
	if (c->last) {
		count_place(c->last);
		c->last->next = p;
	} else {
		c->first = p;
	}
	c->last = p;
	count_place(p);
}

/* Moves b to the end of the output; an error of either buffer stays in the output. */
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
	count_place(p);
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
