/*
 * changes - what the writes of the pending frame replaced, kept until the frame is written, so that they can
 * be undone from the last to the first. Internal to lib/store. The list owns its entries, ids and tables.
 */
#ifndef SUTRA_STORE_CHANGES_H
#define SUTRA_STORE_CHANGES_H

#include "store/concept_table.h"

/* One write: what it replaced. */
struct change {
	struct concept_table *table;	/* of a clear: the whole table; else NULL */
	struct entry *old;	/* NULL: there was no entry of this id */
	char *id;
	size_t id_len;
};

struct changes {
	struct change *list;
	size_t n, cap;
};

/* Makes room for n more, so that adding them cannot fail. */
int sutra_changes_reserve(struct changes *c, size_t n, struct sutra_err *err);
void sutra_changes_add(struct changes *c, struct entry *old, char *id, size_t id_len);
void sutra_changes_add_clear(struct changes *c, struct concept_table *table);
void sutra_changes_forget(struct changes *c);	/* frees the contents, keeps some room */
void sutra_changes_release(struct changes *c);

#endif
