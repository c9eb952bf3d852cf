#include "store/concept_table.h"

#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"

int sutra_concept_table_init(struct concept_table *t, size_t max)
{
	*t = (struct concept_table){ .entries = sutra_calloc(max + 1, sizeof(struct entry *)) };
	return t->entries ? sutra_lru_init(&t->lru, max) : SUTRA_E_NOMEM;
}

void sutra_concept_table_release(struct concept_table *t)
{
	for (uint32_t n = 1; t->entries && n <= t->lru.capacity; n++)
		sutra_free(t->entries[n]);
	sutra_free(t->entries);
	t->entries = NULL;
	sutra_lru_release(&t->lru);
}

static uint64_t hash_id(const char *id, size_t n) { return XXH3_64bits(id, n); }

struct wanted {
	const struct concept_table *table;
	const char *id;
	size_t id_len;
};

static bool same_id(const void *ctx, uint32_t node)
{
	const struct wanted *w = ctx;
	const struct entry *e = w->table->entries[node];

	return e->id_len == w->id_len && !memcmp(entry_id(e), w->id, w->id_len);
}

uint32_t sutra_concept_table_find(const struct concept_table *t, const char *id, size_t n)
{
	const struct wanted w = { t, id, n };

	return sutra_lru_find(&t->lru, hash_id(id, n), same_id, &w);
}

struct entry *sutra_concept_table_take(struct concept_table *t, uint32_t node)
{
	struct entry *e = t->entries[node];

	t->bytes -= sutra_entry_bytes(e) + sizeof(*e);
	sutra_lru_remove(&t->lru, node);
	t->entries[node] = NULL;
	return e;
}

void sutra_concept_table_drop(struct concept_table *t, uint32_t node)
{
	sutra_free(sutra_concept_table_take(t, node));
}

struct entry *sutra_concept_table_insert(struct concept_table *t, struct entry *e)
{
	uint32_t node = sutra_concept_table_find(t, entry_id(e), e->id_len);
	struct entry *old = NULL;

	if (node) {
		old = t->entries[node];
		t->bytes -= sutra_entry_bytes(old) + sizeof(*old);
		sutra_lru_touch(&t->lru, node);
	} else {
		if (t->lru.used == t->lru.capacity) {
			old = sutra_concept_table_take(t, sutra_lru_oldest(&t->lru));
			t->evictions++;
		}
		node = sutra_lru_add(&t->lru, hash_id(entry_id(e), e->id_len));
	}
	t->entries[node] = e;
	t->bytes += sutra_entry_bytes(e) + sizeof(*e);
	return old;
}

void sutra_concept_table_clear(struct concept_table *t)
{
	while (t->lru.used)
		sutra_concept_table_drop(t, sutra_lru_oldest(&t->lru));
}
