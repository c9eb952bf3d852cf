/*
 * field - the fields of requests and answers: name, place in struct sutra_message, how they are read and
 * written. Internal to lib/wire; message.c has the table of fields.
 */
#ifndef SUTRA_WIRE_FIELD_H
#define SUTRA_WIRE_FIELD_H

#include "wire/message.h"
#include "wire/unpack.h"

struct field;

struct field_kind {
	/* v is the value; u is behind it, or at the first element of a container. */
	int (*read)(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
		    struct sutra_unpack *u, struct sutra_err *err);
	void (*write)(const struct sutra_message *m, const struct field *f, struct sutra_buf *b);
	/* Whether the value differs from the default of an absent field. NULL: it is never absent. */
	bool (*is_set)(const struct sutra_message *m, const struct field *f);
};

struct field {
	const char *name;
	const struct field_kind *kind;
	size_t at;		/* offset in struct sutra_message; text is a pointer, then its length */
	uint64_t limit;		/* of a text's bytes, or of a number */
	uint32_t initial;	/* default of a score or a flag */
};

extern const struct field_kind sutra_field_id, sutra_field_ids, sutra_field_content, sutra_field_floats,
	sutra_field_score, sutra_field_metadata, sutra_field_number, sutra_field_flag, sutra_field_found,
	sutra_field_concept, sutra_field_concepts, sutra_field_pairs;

/* Sets the field of d->m to its default. */
void sutra_field_reset(struct sutra_decoder *d, const struct field *f);
/* Errors for an incomplete value, or one of another type, of this name. */
int sutra_field_cut_off(struct sutra_err *err, const char *name);
int sutra_field_wrong_type(struct sutra_err *err, const char *name, const char *want, enum sutra_value_type got);

#endif
