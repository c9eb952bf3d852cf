/* compose_reader - values of YAML nodes, with file and line in every error: what compose.c and its parts
 * read through. Internal to lib/compose. */
#ifndef SUTRA_COMPOSE_COMPOSE_READER_H
#define SUTRA_COMPOSE_COMPOSE_READER_H

#include <libfyaml.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "compose/interpolate.h"

struct reader {
	const char *file;
	sutra_lookup *lookup;
	void *ctx;
	struct sutra_strv *unset;	/* receives the names of variables without a value; may be NULL */
	struct sutra_err *err;
	size_t bytes;	/* of all values read */
	int line;	/* of the last key: the place of an error whose node has no line of its own */
};

/* Reads a value into a field, an item or an object. what: its place in the file, for errors
 * ("services.x.image"). */
typedef int reader_read(struct reader *r, struct fy_node *n, void *field, const char *what);

/* A row for each key that a mapping may hold. */
struct reader_key {
	const char *key;		/* NULL ends the table */
	reader_read *read;		/* NULL, and rows too: the key is allowed and its value is skipped */
	size_t offset;			/* of the field that read receives, in the object of the mapping */
	const struct reader_key *rows;	/* the value is a mapping with these keys; its object is the field */
};
#define READER_FIELD(key, read, object, field) { key, read, offsetof(struct object, field), NULL }
#define READER_OBJECT(key, read) { key, read, 0, NULL }	/* read receives the object itself */
#define READER_ROWS(key, rows, offset) { key, NULL, offset, rows }
#define READER_SKIP(key) { key, NULL, 0, NULL }	/* for a container engine only */

/* "file:line: ..." with SUTRA_E_SETTING. */
int sutra_reader_fail(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whether the node is absent, empty, ~ or null. */
bool sutra_reader_is_null(struct fy_node *n);
/* Reads a scalar, interpolated: string into a char * that the caller frees, bool into a bool, duration
 * (nanoseconds) and size (bytes) into a uint64_t, double (0 to 4096) into a double. */
reader_read sutra_reader_string, sutra_reader_bool, sutra_reader_duration, sutra_reader_size, sutra_reader_double;
int sutra_reader_int(struct reader *r, struct fy_node *n, const char *what, int64_t min, int64_t max,
		     int64_t *ret);
/* Reads a list of scalars, or one scalar, into a struct sutra_strv; words splits the one scalar at blanks
 * as a shell does. */
reader_read sutra_reader_strings, sutra_reader_words;
/* Checks that the value is a name, and stores nothing. */
reader_read sutra_reader_name_skip;

/* Calls each for every item of a list, or for the value that stands in its place; null is an empty list. */
int sutra_reader_items(struct reader *r, struct fy_node *n, const char *what, reader_read *each, void *object);
/* The same, and anything but a list or null is an error. */
int sutra_reader_list(struct reader *r, struct fy_node *n, const char *what, reader_read *each, void *object);
/* Checks that text may name a service, a volume, a network or a profile: it becomes a path, a host and a word
 * of a command. */
int sutra_reader_name(struct reader *r, const char *text, const char *what);
/* Reads every key of a mapping by its row. Keys that begin with x-, except x-sutra-, are skipped. Any other
 * key without a row is an error with its nearest match as the hint; so is a key without a value, where
 * Compose refuses it. */
int sutra_reader_mapping(struct reader *r, struct fy_node *n, const char *what,
			 const struct reader_key *rows, void *object);
/* Calls each(key, value) for every pair. */
int sutra_reader_pairs(struct reader *r, struct fy_node *n, const char *what,
		       int (*each)(struct reader *r, const char *key, struct fy_node *value, void *object),
		       void *object);

#endif
