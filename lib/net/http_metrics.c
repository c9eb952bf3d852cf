/* A server's metrics: durations by route, method and status; connections; memory of bodies. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "net/http_private.h"

struct sutra_http_series {
	struct sutra_http_series *next;
	int status;
	struct sutra_times times;
};

bool sutra_http_entries_new(struct sutra_http_server *s)
{
	while (s->o.routes[s->n_routes].method)
		s->n_routes++;
	s->entries = sutra_calloc(s->n_routes + 1, sizeof(*s->entries));
	for (size_t i = 0; s->entries && i < s->n_routes; i++)
		s->entries[i].row = &s->o.routes[i];
	return s->entries;
}

void sutra_http_entries_free(struct sutra_http_server *s)
{
	for (size_t i = 0; s->entries && i <= s->n_routes; i++)
		for (struct sutra_http_series *at = atomic_load(&s->entries[i].series), *next; at; at = next) {
			next = at->next;
			sutra_free(at);
		}
	sutra_free(s->entries);
	s->entries = NULL;
}

static struct sutra_http_series *series_of(struct sutra_http_series *list, int status)
{
	while (list && list->status != status)
		list = list->next;
	return list;
}

/* The series of a status; made at its first answer. NULL: out of memory. */
static struct sutra_http_series *series_get(struct sutra_http_entry *e, int status)
{
	struct sutra_http_series *first = atomic_load_explicit(&e->series, memory_order_acquire), *found, *made;

	found = series_of(first, status);
	if (found)
		return found;
	made = sutra_alloc_aligned(_Alignof(struct sutra_http_series), sizeof(*made));
	if (!made)
		return NULL;
	memset(made, 0, sizeof(*made));
	made->status = status;
	do {
		made->next = first;
		if (atomic_compare_exchange_weak(&e->series, &first, made))
			return made;
		found = series_of(first, status);
	} while (!found);
	sutra_free(made);
	return found;
}

void sutra_http_record(struct sutra_http_request *r, uint64_t ended_ns)
{
	struct sutra_http_series *series = r->status ? series_get(r->entry, r->status) : NULL;

	if (series)
		sutra_times_add(&series->times, ended_ns - r->context.started_ns);
}

static void add_durations(const struct sutra_http_server *s, struct sutra_buf *b)
{
	static const char name[] = "sutra_http_request_duration_seconds";
	char labels[256];

	sutra_buf_addf(b, "# HELP %s from a request's headers to the end of its answer\n# TYPE %s histogram\n", name,
		       name);
	for (size_t i = 0; i <= s->n_routes; i++) {
		const struct sutra_http_route *t = s->entries[i].row;

		for (struct sutra_http_series *at = atomic_load(&s->entries[i].series); at; at = at->next) {
			snprintf(labels, sizeof(labels), "route=\"%s\",method=\"%s\",code=\"%d\"",
				 t ? t->path : "other", t ? t->method : "other", at->status);
			sutra_times_prometheus(&at->times, name, labels, b);
		}
	}
}

void sutra_http_metrics(const struct sutra_http_request *r, struct sutra_buf *b)
{
	struct sutra_http_server *s = r->server;
	static const char *const names[] = {
#define X(sym, name) name,
		SUTRA_HTTP_COUNTS(X)
#undef X
	};

	add_durations(s, b);
	sutra_buf_adds(b, "# HELP sutra_http_connections_total connections accepted, and what became of some\n"
			  "# TYPE sutra_http_connections_total counter\n");
	for (int i = 0; i < SUTRA_HTTP_COUNT_N; i++)
		sutra_buf_addf(b, "sutra_http_connections_total{event=\"%s\"} %llu\n", names[i],
			       (unsigned long long)atomic_load(&s->conns.counts[i]));
	sutra_buf_addf(b,
		       "# HELP sutra_http_connections connections that have sent a request\n"
		       "# TYPE sutra_http_connections gauge\nsutra_http_connections %u\n"
		       "# HELP sutra_http_bodies_bytes memory of requests in flight\n"
		       "# TYPE sutra_http_bodies_bytes gauge\nsutra_http_bodies_bytes %zu\n"
		       "# HELP sutra_http_bodies_limit_bytes the limit of sutra_http_bodies_bytes\n"
		       "# TYPE sutra_http_bodies_limit_bytes gauge\nsutra_http_bodies_limit_bytes %zu\n",
		       atomic_load(&s->connections), atomic_load(&s->held), s->o.max_held);
}
