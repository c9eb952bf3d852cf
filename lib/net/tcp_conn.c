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

void sutra_tcp_account(struct sutra_tcp_conn *c)
{
	size_t now = c->rest.cap + c->out.cap + c->cap_holds * sizeof(struct hold);

	c->tcp->held_bytes += now - c->counted;
	c->counted = now;
}

static void conn_freed(uv_handle_t *h) { sutra_free(h); }

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
	sutra_free(c->holds);
	c->holds = NULL;
	c->n_holds = c->holds_at = c->cap_holds = 0;
	sutra_tcp_account(c);
	link_remove(&c->all);
	link_remove(&c->dirty);
	link_remove(&c->held);
	link_remove(&c->ready);
	uv_close((uv_handle_t *)&c->poll, conn_freed);
	close(c->fd);	/* at once, for whoever is accepted next: the handle has let go of it */
}
