/*
 * max_held limits the memory for bodies of requests in flight; a request that does not fit gets 503. A
 * request holds the capacity of its buffer and, from the end of its body until its answer, what parsing it
 * as JSON may take. Requests that need more than SMALL share three quarters of the limit, so that any number
 * of large requests leaves room for small ones.
 *
 * A JSON value costs a node, and its place in a list that may have grown to twice its length: a megabyte of
 * "1,1,1" becomes twenty. So the values are counted before the body is parsed.
 */
#include "net/http_private.h"

enum {
	SMALL = 64 << 10,
	LARGE = 1 << 20,	/* freed bytes from which the heap is trimmed */
	VALUE = 64,		/* bytes of a parsed value, beside those of a string */
};

static size_t large_room(const struct sutra_http_server *s) { return s->o.max_held / 4 * 3; }

static bool take(struct sutra_http_request *r, size_t n)
{
	struct sutra_http_server *s = r->server;
	size_t limit = r->held + n > SMALL ? large_room(s) : s->o.max_held;

	if (atomic_fetch_add(&s->held, n) + n <= limit) {
		r->held += n;
		return true;
	}
	atomic_fetch_sub(&s->held, n);
	return false;
}

bool sutra_http_hold(struct sutra_http_request *r, size_t n)
{
	if (take(r, n))
		return true;
	sutra_http_count(&r->server->conns, SUTRA_HTTP_NO_BODY_ROOM);
	if (r->held + n > large_room(r->server)) {
		sutra_fail(&r->refusal, SUTRA_E_TOOBIG, "reading the body takes %zu MiB of memory; at most %zu are there",
			   (r->held + n) >> 20, large_room(r->server) >> 20);
		sutra_hint(&r->refusal, "send it in several requests, or raise HTTP_BODIES_MB");
	} else {
		sutra_fail(&r->refusal, SUTRA_E_UNAVAILABLE, "the memory for requests in flight is used up");
		sutra_hint(&r->refusal, "try again; HTTP_BODIES_MB sets how much there is");
	}
	return false;
}

/* The most values that the document can have: each but the first follows one of , [ : { outside strings. */
static size_t count_values(const char *p, size_t n)
{
	size_t values = 1;
	bool in_string = false;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"')
			in_string = !in_string;
		else if (in_string)
			i += p[i] == '\\';
		else
			values += p[i] == ',' || p[i] == '[' || p[i] == ':' || p[i] == '{';
	}
	return values;
}

bool sutra_http_hold_json(struct sutra_http_request *r)
{
	return !r->body.len || sutra_http_hold(r, r->body.len + VALUE * count_values(r->body.data, r->body.len));
}

void sutra_http_release_held(struct sutra_http_request *r)
{
	if (r->held >= LARGE)
		atomic_store_explicit(&r->server->freed, true, memory_order_relaxed);
	atomic_fetch_sub(&r->server->held, r->held);
	r->held = 0;
}
