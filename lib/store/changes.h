/*
 * changes - what the writes of the pending frame displaced, until the log has taken them. Internal
 * to lib/store. The list owns the entries, ids and tables in it; its user takes them back last first.
 */
#ifndef SUTRA_STORE_CHANGES_H
#define SUTRA_STORE_CHANGES_H

#include "store/concept_table.h"

/* One step: what the id held before, or all there was before a clear. */
struct change {
	struct concept_table *table;	/* of a clear, else NULL */
	struct entry *old;	/* NULL: nothing, and then the id stands here */
	char *id;
	size_t id_len;
};

struct changes {
	struct change *list;
	size_t n, cap;
};

/* Room for n more, so that adding them cannot fail. */
int sutra_changes_reserve(struct changes *c, size_t n, struct sutra_err *err);
void sutra_changes_add(struct changes *c, struct entry *old, char *id, size_t id_len);
void sutra_changes_add_clear(struct changes *c, struct concept_table *table);
void sutra_changes_forget(struct changes *c);	/* frees what they hold; keeps some room for the next */
void sutra_changes_release(struct changes *c);

#endif
