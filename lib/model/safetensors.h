/*
 * safetensors - reader of weight files, which are checked before use.
 *
 * The format: 8 bytes, little-endian length N of the header (N <= 100 MB); N bytes of JSON
 * {"name": {"dtype": "F32", "shape": [..], "data_offsets": [from, to]}, ...} with an optional
 * "__metadata__"; then the data, row-major, little-endian; offsets count from its start.
 * In a valid file the ranges lie within the file, fit dtype and shape, and cover the data
 * without overlap or hole. Tensors of a dtype that is not read here (I64, say) are listed;
 * a caller that needs their numbers refuses them.
 *
 * A file is mapped read-only, so processes share its pages; the handle is read-only after
 * opening and may be used by any number of threads. A mapped file must not be truncated (replace it
 * by renaming, as `sutra model fetch` does).
 */
#ifndef SUTRA_MODEL_SAFETENSORS_H
#define SUTRA_MODEL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum sutra_dtype { SUTRA_DTYPE_F32, SUTRA_DTYPE_F16, SUTRA_DTYPE_BF16, SUTRA_DTYPE_OTHER };

#define SUTRA_TENSOR_MAX_DIMS 8

struct sutra_tensor {
	const char *name;
	const char *dtype_name;		/* as in the file */
	enum sutra_dtype dtype;
	unsigned dims;
	uint64_t shape[SUTRA_TENSOR_MAX_DIMS];
	uint64_t count;			/* product of the shape */
	uint64_t from, to;		/* bytes from the data's start */
	const unsigned char *data;	/* not necessarily aligned */
};

struct sutra_safetensors;

/* Maps a file. SUTRA_E_CORRUPT names file, tensor and fault; SUTRA_E_NOTFOUND, SUTRA_E_IO. */
int sutra_safetensors_open(const char *path, struct sutra_safetensors **ret, struct sutra_err *err);
/* The same over n bytes that outlive the handle. */
int sutra_safetensors_parse(const void *bytes, size_t n, struct sutra_safetensors **ret,
			    struct sutra_err *err);
void sutra_safetensors_free(struct sutra_safetensors *st);

size_t sutra_safetensors_count(const struct sutra_safetensors *st);
const struct sutra_tensor *sutra_safetensors_at(const struct sutra_safetensors *st, size_t i);
/* By name, or NULL. */
const struct sutra_tensor *sutra_safetensors_find(const struct sutra_safetensors *st,
						  const char *name);
/* Drops the resident pages of the mapping; later reads load them from the kernel's cache. */
void sutra_safetensors_drop_pages(const struct sutra_safetensors *st);

/* Reads n numbers from index `from` on, as floats. They must lie within t->count, and t->dtype must not be
 * SUTRA_DTYPE_OTHER. */
void sutra_tensor_read(const struct sutra_tensor *t, uint64_t from, size_t n, float *out);

#endif
