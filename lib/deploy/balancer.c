#include "deploy/balancer.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "deploy/haproxy_csv.h"
#include "deploy/credentials.h"

#define FETCH_NS 1000000000u

enum { POLL_MS = 50, MAX_URL = 2048 };

/* The published port of its health check; NULL: it is not published. */
static const struct sutra_port *stats_port(const struct sutra_unit *u, const struct sutra_service *s)
{
	const char *colon = u->health_url ? strrchr(u->health_url, ':') : NULL;
	char target[16];

	for (size_t i = 0; colon && s && i < s->n_ports; i++) {
		snprintf(target, sizeof(target), ":%d/", s->ports[i].target);
		if (sutra_str_starts(colon, target))
			return &s->ports[i];
	}
	return NULL;
}

void sutra_balancers_make(const struct sutra_unit *units, size_t n, const struct sutra_compose *selected,
			  const char *state_dir, struct sutra_balancer **ret, size_t *ret_n)
{
	struct sutra_balancer *list = xcalloc(n, sizeof(*list)), *b = list;

	for (size_t i = 0; i < n; i++) {
		const struct sutra_unit *u = &units[i], *first;
		const struct sutra_port *p;
		bool any;

		if (strcmp(u->program, "haproxy") != 0 || !u->n_depends_on)
			continue;
		first = sutra_units_find(units, n, u->depends_on[0].service);
		p = stats_port(u, sutra_compose_find(selected, u->name));
		if (!first || !p)
			continue;
		any = !p->host_ip || !strcmp(p->host_ip, "0.0.0.0");
		*b = (struct sutra_balancer){ .service = xstrdup(u->name), .group = xstrdup(first->group),
					      .stats = xasprintf("%s:%d", any ? "127.0.0.1" : p->host_ip, p->published),
					      .credentials = sutra_env_get(&u->env, "HAPROXY_STATS_PASSWORD") };
		b->csv = sutra_balancer_url(state_dir, b);
		b++;
	}
	*ret = list;
	*ret_n = (size_t)(b - list);
}

char *sutra_balancer_url(const char *state_dir, const struct sutra_balancer *b)
{
	struct sutra_credentials c;
	struct sutra_buf url;

	sutra_buf_init(&url, MAX_URL);
	sutra_buf_adds(&url, "http://");
	if (b->credentials && !sutra_credentials_read(state_dir, &c, NULL)) {
		sutra_buf_add_quoted(&url, c.user);
		sutra_buf_addc(&url, ':');
		sutra_buf_add_quoted(&url, c.password);
		sutra_buf_addc(&url, '@');
		sutra_credentials_release(&c);
	}
	sutra_buf_addf(&url, "%s/stats;csv", b->stats);
	return sutra_buf_take(&url, NULL);
}

void sutra_balancer_release(struct sutra_balancer *b)
{
	sutra_free(b->service);
	sutra_free(b->group);
	sutra_free(b->stats);
	sutra_free(b->csv);
}

void sutra_balancers_free(struct sutra_balancer *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sutra_balancer_release(&list[i]);
	sutra_free(list);
}

const char *sutra_balancers_csv(const struct sutra_balancer *list, size_t n, const char *group)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].group, group))
			return list[i].csv;
	return NULL;
}

bool sutra_balancer_answers(const char *csv)
{
	struct sutra_haproxy_stats s;
	bool answers = !sutra_haproxy_fetch(csv, FETCH_NS, &s, NULL);

	if (answers)
		sutra_haproxy_release(&s);
	return answers;
}

/* Polls until the server is in the state; idle: until it is not UP (NOLB, DOWN, MAINT) and has no
 * session. A dump that cannot be fetched or read is fetched again. */
static int wait_for(const char *csv, const char *backend, const char *server, const char *state, bool idle,
		    uint64_t timeout_ns, const volatile sig_atomic_t *stop, struct sutra_err *err)
{
	uint64_t end = timeout_ns == UINT64_MAX ? timeout_ns : sutra_clock_ns() + timeout_ns;
	struct sutra_haproxy_row seen = { .status = "unknown", .sessions = -1 };

	for (;;) {
		const struct sutra_haproxy_row *row = NULL;
		struct sutra_haproxy_stats s;

		if (!sutra_haproxy_fetch(csv, FETCH_NS, &s, NULL)) {
			row = sutra_haproxy_find(&s, backend, server);
			if (row)
				seen = *row;
			sutra_haproxy_release(&s);
		}
		if (row && (idle ? !seen.sessions && !sutra_str_starts(seen.status, "UP") :
				   sutra_str_starts(seen.status, state)))
			return 0;
		if (stop && *stop)
			return sutra_fail(err, SUTRA_E_INTERRUPTED, "interrupted while waiting for %s", server);
		if (sutra_clock_ns() >= end)
			return sutra_fail(err, SUTRA_E_TIMEOUT,
					  "%s is \"%s\" with %lld sessions in HAProxy, not %s%s", server,
					  seen.status, (long long)seen.sessions, state, idle ? " with none" : "");
		poll(NULL, 0, POLL_MS);
	}
}

int sutra_balancer_wait_up(const char *csv, const char *backend, const char *server,
			   uint64_t timeout_ns, const volatile sig_atomic_t *stop, struct sutra_err *err)
{
	return wait_for(csv, backend, server, "UP", false, timeout_ns, stop, err);
}

int sutra_balancer_wait_drained(const char *csv, const char *backend, const char *server,
				uint64_t timeout_ns, const volatile sig_atomic_t *stop, struct sutra_err *err)
{
	return wait_for(csv, backend, server, "drained", true, timeout_ns, stop, err);
}
