/*
 * field - the arguments of requests and the parts of answers: each knows its name, where it stands in
 * struct sutra_message, and how it is read and written. Internal to lib/wire; the rows are message.c's.
 */
#ifndef SUTRA_WIRE_FIELD_H
#define SUTRA_WIRE_FIELD_H

#include "wire/message.h"
#include "wire/unpack.h"

struct field;

struct field_kind {
	int (*read)(struct sutra_decoder *d, const struct field *f, struct sutra_unpack *u,
		    struct sutra_err *err);
	void (*write)(const struct sutra_message *m, const struct field *f, struct sutra_buf *b);
	/* Whether it has another value than the one it has when it is left out. */
	bool (*is_set)(const struct sutra_message *m, const struct field *f);
};

struct field {
	const char *name;
	const struct field_kind *kind;
	size_t at;		/* in struct sutra_message; of text: a pointer, its length behind it */
	uint64_t limit;		/* of text: bytes; of a number: itself */
	uint32_t initial;	/* of a score and of a flag: its value when it is left out */
};

extern const struct field_kind sutra_field_id, sutra_field_ids, sutra_field_content, sutra_field_floats, sutra_field_score, sutra_field_metadata,
	sutra_field_number, sutra_field_flag, sutra_field_found, sutra_field_concept, sutra_field_concepts, sutra_field_pairs;

/* Gives the field of d->m the value that it has when it is left out. */
void sutra_field_reset(struct sutra_decoder *d, const struct field *f);
/* Errors of a value that is not what the name stands for. */
int sutra_field_cut_off(struct sutra_err *err, const char *name);
int sutra_field_wrong_type(struct sutra_err *err, const char *name, const char *want, enum sutra_value_type got);

#endif
