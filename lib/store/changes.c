#include "store/changes.h"

#include "base/alloc.h"

enum { MAX_IDLE = 1 << 16 };

int sutra_changes_reserve(struct changes *c, size_t n, struct sutra_err *err)
{
	size_t cap = c->cap ? c->cap : 64;
	struct change *grown;

	if (n <= c->cap - c->n)
		return 0;
	while (cap - c->n < n)
		cap *= 2;
	grown = sutra_realloc_array(c->list, cap, sizeof(*grown));
	if (!grown)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the write");
	c->list = grown;
	c->cap = cap;
	return 0;
}

void sutra_changes_add(struct changes *c, struct entry *old, char *id, size_t id_len)
{
	c->list[c->n++] = (struct change){ NULL, old, id, id_len };
}

void sutra_changes_add_clear(struct changes *c, struct concept_table *table)
{
	c->list[c->n++] = (struct change){ .table = table };
}

void sutra_changes_forget(struct changes *c)
{
	while (c->n) {
		const struct change *last = &c->list[--c->n];

		sutra_free(last->old);
		sutra_free(last->id);
		if (last->table)
			sutra_concept_table_release(last->table);
		sutra_free(last->table);
	}
	if (c->cap > MAX_IDLE)
		sutra_changes_release(c);
}

void sutra_changes_release(struct changes *c)
{
	sutra_free(c->list);
	*c = (struct changes){ 0 };
}
