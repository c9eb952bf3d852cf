/* A connection's buffers, and its end. */
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

void sutra_tcp_count_place(struct sutra_tcp_place *p)
{
	size_t now = p->cost + p->answer.cap + p->behind.cap;

	p->conn->awaited += now - p->counted;
	p->counted = now;
}

void sutra_tcp_account(struct sutra_tcp_conn *c)
{
	size_t now;

	if (c->last)
		sutra_tcp_count_place(c->last);
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
	close(c->fd);	/* at once, for whoever is accepted next: the handle has let go of it */
}
