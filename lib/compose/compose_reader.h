/* compose_reader - YAML nodes with places: what compose.c and its parts read through.
 * Internal to lib/compose. */
#ifndef SUTRA_COMPOSE_COMPOSE_READER_H
#define SUTRA_COMPOSE_COMPOSE_READER_H

#include <libfyaml.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "compose/interpolate.h"

struct reader {
	const char *file;
	sutra_lookup *lookup;
	void *ctx;
	struct sutra_strv *unset;	/* gets variables without a value; may be NULL */
	struct sutra_err *err;
	size_t bytes;	/* of all values read */
	int line;	/* of the key last entered: where an error is, unless the node knows better */
};

/* "file:line: ..." with SUTRA_E_SETTING. */
int sutra_reader_fail(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Nothing, ~ or null. */
bool sutra_reader_is_null(struct fy_node *n);
/* The scalar, interpolated, owned by the caller. what: "services.x.image", for errors. */
int sutra_reader_string(struct reader *r, struct fy_node *n, const char *what, char **ret);
int sutra_reader_bool(struct reader *r, struct fy_node *n, const char *what, bool *ret);
int sutra_reader_int(struct reader *r, struct fy_node *n, const char *what, int64_t min, int64_t max,
		     int64_t *ret);
int sutra_reader_duration(struct reader *r, struct fy_node *n, const char *what, uint64_t *ret_ns);
int sutra_reader_size(struct reader *r, struct fy_node *n, const char *what, uint64_t *ret_bytes);
int sutra_reader_double(struct reader *r, struct fy_node *n, const char *what, double *ret);
/* A list of scalars, or (as_words) one scalar split at blanks as a shell would. */
int sutra_reader_strings(struct reader *r, struct fy_node *n, const char *what, bool as_words,
			 struct sutra_strv *ret);

/* Calls each for every item of a list, or for what stands in its place; null is an empty list. */
int sutra_reader_items(struct reader *r, struct fy_node *n, const char *what,
		       int (*each)(struct reader *r, struct fy_node *item, void *object, const char *what), void *object);
/* The same, and anything but a list or null is an error. */
int sutra_reader_list(struct reader *r, struct fy_node *n, const char *what,
		      int (*each)(struct reader *r, struct fy_node *item, void *object, const char *what), void *object);
/* Whether text may name a service, a volume, a network, a profile: it becomes a path, a host, a word of a
 * command. An error else. */
int sutra_reader_name(struct reader *r, const char *text, const char *what);

/* One row a key that a mapping may hold; read gets the value and the object. */
struct reader_key {
	const char *key;	/* NULL ends the table */
	int (*read)(struct reader *r, struct fy_node *value, void *object, const char *what);
};
/* Calls the row of every key; x-* but x-sutra-* is skipped, any other key is an error with its nearest
 * match, and so is a key without a value where Compose refuses it. what names the mapping in errors. */
int sutra_reader_mapping(struct reader *r, struct fy_node *n, const char *what,
			 const struct reader_key *rows, void *object);
/* Calls each(key, value) for every pair. */
int sutra_reader_pairs(struct reader *r, struct fy_node *n, const char *what,
		       int (*each)(struct reader *r, const char *key, struct fy_node *value, void *object),
		       void *object);
/* For keys that only a container engine acts on. */
int sutra_reader_skip(struct reader *r, struct fy_node *value, void *object, const char *what);

/* The same for those whose value is a name. */
int sutra_reader_name_skip(struct reader *r, struct fy_node *value, void *object, const char *what);

#endif
