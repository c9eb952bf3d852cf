#include "probe/cause.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "net/fetch.h"

/* m[i * n + j]: neither is up, and i needs j, directly or through others (Warshall). NULL: out of
 * memory. */
static bool *needs_of(const struct sutra_probe *p, size_t n)
{
	bool *m = sutra_calloc(n + 1, n * sizeof(*m) + 1), any = false;

	for (size_t i = 0; m && i < n; i++) {
		bool own = p[i].reason == SUTRA_PROBE_STOPPED || p[i].reason == SUTRA_PROBE_UNSUPERVISED ||
			   p[i].reason == SUTRA_FETCH_INTERNAL;

		for (const char *const *d = p[i].depends_on; p[i].state != SUTRA_UP && !own && d && *d; d++) {
			size_t at = sutra_probe_find(p, n, *d);

			if (at < n && at != i && p[at].state != SUTRA_UP && p[at].reason != SUTRA_FETCH_INTERNAL)
				any = m[i * n + at] = true;
		}
	}
	for (size_t k = 0; any && k < n; k++)
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; m[i * n + k] && j < n; j++)
				m[i * n + j] |= m[k * n + j];
	return m;
}

static bool is_root(const struct sutra_probe *p, const bool *m, size_t n, size_t i)
{
	for (size_t j = 0; j < n; j++)
		if (j != i && m[i * n + j] && (!m[j * n + i] || j < i))
			return false;
	return p[i].state != SUTRA_UP;
}

int sutra_probe_causes(struct sutra_probe *p, size_t n)
{
	bool *m = needs_of(p, n);

	for (size_t i = 0; i < n; i++) {
		p[i].cause = -1;
		if (!m || is_root(p, m, n, i))
			continue;
		for (size_t j = 0; j < n && p[i].cause < 0; j++)
			if (m[i * n + j] && is_root(p, m, n, j))
				p[i].cause = (int)j;
	}
	sutra_free(m);
	return m ? 0 : SUTRA_E_NOMEM;
}

static bool same_effect(const bool *m, size_t n, size_t a, size_t b)
{
	for (size_t i = 0; i < n; i++)
		if (i != a && i != b && m[i * n + a] != m[i * n + b])
			return false;
	return true;
}

/* Adds root i to the cause that affects the same services, or as a new cause. */
static int add_root(const bool *m, size_t n, size_t i, struct sutra_root_causes *ret)
{
	struct sutra_root_cause *c = ret->items;

	while (c < ret->items + ret->n && (!c->n_affected || !same_effect(m, n, c->roots[0], i)))
		c++;
	if (c < ret->items + ret->n) {
		c->roots[c->n_roots++] = i;
		return 0;
	}
	ret->n++;
	c->roots = sutra_calloc(n, sizeof(*c->roots));
	c->affected = sutra_calloc(n, sizeof(*c->affected));
	if (!c->roots || !c->affected)
		return SUTRA_E_NOMEM;
	c->roots[c->n_roots++] = i;
	for (size_t k = 0; k < n; k++)
		if (k != i && m[k * n + i])
			c->affected[c->n_affected++] = k;
	return 0;
}

static int by_effect(const void *a, const void *b)
{
	const struct sutra_root_cause *x = a, *y = b;

	if (x->n_affected != y->n_affected)
		return x->n_affected < y->n_affected ? 1 : -1;
	return x->roots[0] < y->roots[0] ? -1 : 1;
}

int sutra_root_causes_find(const struct sutra_probe *p, size_t n, struct sutra_root_causes *ret,
			   struct sutra_err *err)
{
	struct sutra_root_causes c = { .items = sutra_calloc(n + 1, sizeof(*c.items)) };
	bool *m = needs_of(p, n);
	int rc = m && c.items ? 0 : SUTRA_E_NOMEM;

	for (size_t i = 0; !rc && i < n; i++)
		if (is_root(p, m, n, i))
			rc = add_root(m, n, i, &c);
	sutra_free(m);
	if (rc) {
		sutra_root_causes_release(&c);
		return sutra_fail(err, rc, "out of memory for the causes of %zu services", n);
	}
	qsort(c.items, c.n, sizeof(*c.items), by_effect);
	*ret = c;
	return 0;
}

void sutra_root_causes_release(struct sutra_root_causes *c)
{
	for (size_t i = 0; c->items && i < c->n; i++) {
		sutra_free(c->items[i].roots);
		sutra_free(c->items[i].affected);
	}
	sutra_free(c->items);
	*c = (struct sutra_root_causes){ 0 };
}

/* Appends ", which take down a, b"; nothing when no affected service is in one of the states. */
static void add_effect(const struct sutra_probe *p, const struct sutra_root_cause *c, const char *verb,
		       enum sutra_probe_state from, enum sutra_probe_state to, bool *began, struct sutra_buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_affected; i++) {
		const struct sutra_probe *a = &p[c->affected[i]];

		if (a->state < from || a->state > to)
			continue;
		if (!n++)
			sutra_buf_addf(b, "%s%s ", *began ? ", " : ", which ", verb);
		else
			sutra_buf_adds(b, ", ");
		sutra_buf_adds(b, a->name);
		*began = true;
	}
}

void sutra_root_cause_say(const struct sutra_probe *p, const struct sutra_root_cause *c, struct sutra_buf *b)
{
	bool began = false;

	for (size_t i = 0; i < c->n_roots; i++)
		sutra_buf_addf(b, "%s%s (%s)", i ? ", " : "", p[c->roots[i]].name,
			       sutra_probe_reason_name(p[c->roots[i]].reason));
	add_effect(p, c, c->n_roots > 1 ? "take down" : "takes down", SUTRA_DOWN, SUTRA_UNKNOWN, &began, b);
	add_effect(p, c, c->n_roots > 1 ? "degrade" : "degrades", SUTRA_DEGRADED, SUTRA_DEGRADED, &began, b);
	add_effect(p, c, c->n_roots > 1 ? "hold up" : "holds up", SUTRA_STARTING, SUTRA_STARTING, &began, b);
}

void sutra_probe_order(const struct sutra_probe *p, size_t n, size_t *order)
{
	size_t at = 0;

	/* First causes that affect others, then single failures, then the services that are up. */
	for (int pass = 0; pass < 3; pass++) {
		for (size_t i = 0; i < n; i++) {
			bool affects = false;

			for (size_t j = 0; j < n; j++)
				affects |= p[j].cause == (int)i;
			if (p[i].cause >= 0 || pass != (p[i].state == SUTRA_UP ? 2 : affects ? 0 : 1))
				continue;
			order[at++] = i;
			for (size_t j = 0; j < n; j++)
				if (p[j].cause == (int)i)
					order[at++] = j;
		}
	}
}
