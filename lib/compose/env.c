/* Environments of services: sorted maps. */
#include <string.h>

#include "base/alloc.h"
#include "compose/compose.h"

static size_t place_of(const struct sutra_env *e, const char *key, bool *ret_found)
{
	size_t lo = 0, hi = e->n;

	*ret_found = false;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int order = strcmp(e->items[mid].key, key);

		if (!order) {
			*ret_found = true;
			return mid;
		}
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const char *sutra_env_get(const struct sutra_env *e, const char *key)
{
	bool found;
	size_t at = place_of(e, key, &found);

	return found ? e->items[at].value : NULL;
}

int sutra_env_set(struct sutra_env *e, const char *key, const char *value)
{
	bool found;
	size_t at = place_of(e, key, &found);
	char *copy = sutra_strdup(value), *name;
	struct sutra_env_item *items;

	if (copy && found) {
		sutra_free(e->items[at].value);
		e->items[at].value = copy;
		return 0;
	}
	name = sutra_strdup(key);
	items = sutra_realloc_array(e->items, e->n + 1, sizeof(*items));
	if (items)
		e->items = items;
	if (!copy || !name || !items) {
		sutra_free(copy);
		sutra_free(name);
		return SUTRA_E_NOMEM;
	}
	memmove(items + at + 1, items + at, (e->n - at) * sizeof(*items));
	items[at] = (struct sutra_env_item){ name, copy };
	e->n++;
	return 0;
}

void sutra_env_release(struct sutra_env *e)
{
	for (size_t i = 0; i < e->n; i++) {
		sutra_free(e->items[i].key);
		sutra_free(e->items[i].value);
	}
	sutra_free(e->items);
	*e = (struct sutra_env){ 0 };
}
