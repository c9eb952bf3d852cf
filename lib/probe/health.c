#include "probe/health.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "deploy/haproxy_csv.h"

static struct sutra_probe target_of(const struct sutra_deployed *s, uint64_t timeout_ns)
{
	int64_t age_us = sutra_clock_wall_us() - s->now.since_us;

	return (struct sutra_probe){
		.name = s->unit->name,
		.url = s->state == SUTRA_RUN_DONE ? NULL : s->health_url,
		.depends_on = (const char *const *)s->needs.items,
		.run = s->state,
		.last_exit = s->now.last_exit,
		.limit_reached = s->now.limit_reached,
		.in_start_period = s->now.since_us && age_us >= 0 &&
				   (uint64_t)age_us * 1000 < s->unit->start_period_ns,
		.timeout_ns = timeout_ns,
	};
}

/* A balancer's process is up while replicas are down; its statistics show them. */
void sutra_health_behind_balancer(const struct sutra_haproxy_stats *s, struct sutra_probe *p)
{
	const struct sutra_haproxy_row *row, *bad = NULL;
	size_t n = 0, up = 0;

	for (; (row = sutra_haproxy_server(s, NULL, n)); n++) {
		up += sutra_haproxy_is_up(row);
		bad = sutra_haproxy_is_up(row) ? bad : row;
	}
	if (p->state != SUTRA_UP || !bad)
		return;
	p->state = SUTRA_DEGRADED;
	p->reason = SUTRA_PROBE_SAYS_DEGRADED;
	snprintf(p->detail, sizeof(p->detail), "%zu of %zu replicas up: %s %s %s", up, n, bad->name,
		 bad->status, bad->check_text);
}

void sutra_health_targets(const struct sutra_deployment *d, uint64_t timeout_ns, struct sutra_probe *p)
{
	for (size_t i = 0; i < d->n; i++)
		p[i] = target_of(&d->services[i], timeout_ns);
}

int sutra_health_probe(const struct sutra_deployment *d, uint64_t timeout_ns, struct sutra_probe *p,
		 struct sutra_err *err)
{
	struct sutra_haproxy_stats s;
	int rc;

	sutra_health_targets(d, timeout_ns, p);
	rc = sutra_probe_all(p, d->n, err);
	for (size_t b = 0; !rc && b < d->record->n_balancers; b++) {
		size_t i = sutra_probe_find(p, d->n, d->record->balancers[b].service);

		if (i == d->n || p[i].state != SUTRA_UP ||
		    sutra_haproxy_fetch(d->record->balancers[b].csv, timeout_ns, &s, NULL))
			continue;
		sutra_health_behind_balancer(&s, &p[i]);
		sutra_haproxy_release(&s);
	}
	rc = rc ? rc : sutra_probe_causes(p, d->n);
	return rc == SUTRA_E_NOMEM ? sutra_fail(err, rc, "out of memory for %zu services", d->n) : rc;
}

static json_t *document_of(const struct sutra_probe *p, bool with_reason)
{
	json_t *o = json_pack("{s:s, s:s}", "name", p->name, "state", sutra_probe_state_name(p->state)), *detail;

	if (!with_reason)
		return o;
	json_object_set_new(o, "reason", json_string(sutra_probe_reason_name(p->reason)));
	detail = p->detail[0] ? sutra_json_text(p->detail) : NULL;
	json_object_set_new(o, "detail", detail ? detail : json_null());
	return o;
}

json_t *sutra_health_causes(const struct sutra_probe *p, size_t n)
{
	json_t *list = json_array();
	struct sutra_root_causes c;

	if (sutra_root_causes_find(p, n, &c, NULL))
		return list;
	for (size_t i = 0; i < c.n; i++) {
		json_t *roots = json_array(), *affected = json_array();

		for (size_t k = 0; k < c.items[i].n_roots; k++)
			json_array_append_new(roots, document_of(&p[c.items[i].roots[k]], true));
		for (size_t k = 0; k < c.items[i].n_affected; k++)
			json_array_append_new(affected, document_of(&p[c.items[i].affected[k]], false));
		json_array_append_new(list, json_pack("{s:o, s:o}", "services", roots, "affected", affected));
	}
	sutra_root_causes_release(&c);
	return list;
}
