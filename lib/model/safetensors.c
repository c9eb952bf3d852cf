#include "model/safetensors.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/jsonio.h"

enum { LENGTH_BYTES = 8, MAX_HEADER = 100 * 1000 * 1000 };

struct sutra_safetensors {
	json_t *header;			/* owns the names */
	struct sutra_tensor *tensors;	/* [count], sorted by name */
	size_t count;
	void *map;			/* NULL: the bytes are the caller's */
	size_t map_len;
};

/* Bits of a number by dtype name. An unknown dtype has 0: its size cannot be checked. */
static const struct dtype {
	const char *name;
	unsigned bits;
	enum sutra_dtype dtype;
} dtypes[] = {
	{ "F32", 32, SUTRA_DTYPE_F32 },	   { "F16", 16, SUTRA_DTYPE_F16 },
	{ "BF16", 16, SUTRA_DTYPE_BF16 },  { "F64", 64, SUTRA_DTYPE_OTHER },
	{ "I64", 64, SUTRA_DTYPE_OTHER },  { "U64", 64, SUTRA_DTYPE_OTHER },
	{ "I32", 32, SUTRA_DTYPE_OTHER },  { "U32", 32, SUTRA_DTYPE_OTHER },
	{ "I16", 16, SUTRA_DTYPE_OTHER },  { "U16", 16, SUTRA_DTYPE_OTHER },
	{ "I8", 8, SUTRA_DTYPE_OTHER },	   { "U8", 8, SUTRA_DTYPE_OTHER },
	{ "BOOL", 8, SUTRA_DTYPE_OTHER },  { "F8_E4M3", 8, SUTRA_DTYPE_OTHER },
	{ "F8_E5M2", 8, SUTRA_DTYPE_OTHER }, { NULL, 0, SUTRA_DTYPE_OTHER },
};

static const struct dtype *find_dtype(const char *name)
{
	const struct dtype *d = dtypes;

	while (d->name && strcmp(d->name, name))
		d++;
	return d;
}

static bool read_u64(const json_t *v, uint64_t *ret)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

static int corrupt(const struct sutra_tensor *t, const char *what, struct sutra_err *err)
{
	return sutra_fail(err, SUTRA_E_CORRUPT, "tensor \"%.120s\": %s", t->name, what);
}

static int read_shape(struct sutra_tensor *t, const json_t *shape, struct sutra_err *err)
{
	t->count = 1;
	if (!json_is_array(shape) || json_array_size(shape) > SUTRA_TENSOR_MAX_DIMS)
		return corrupt(t, "shape is not an array of at most 8 numbers", err);
	t->dims = (unsigned)json_array_size(shape);
	for (unsigned i = 0; i < t->dims; i++)
		if (!read_u64(json_array_get(shape, i), &t->shape[i]) ||
		    __builtin_mul_overflow(t->count, t->shape[i], &t->count))
			return corrupt(t, "shape has a wrong or too large number", err);
	return 0;
}

static int read_range(struct sutra_tensor *t, const json_t *offsets, unsigned bits, uint64_t data_len,
		      struct sutra_err *err)
{
	uint64_t size;

	if (json_array_size(offsets) != 2 || !read_u64(json_array_get(offsets, 0), &t->from) ||
	    !read_u64(json_array_get(offsets, 1), &t->to))
		return corrupt(t, "data_offsets are not two numbers", err);
	if (t->from > t->to || t->to > data_len)
		return corrupt(t, "data_offsets lie outside the file (cut short?)", err);
	if (bits && (__builtin_mul_overflow(t->count, bits / 8, &size) || size != t->to - t->from))
		return corrupt(t, "data_offsets do not fit dtype and shape", err);
	return 0;
}

static int read_tensor(struct sutra_tensor *t, const char *name, const json_t *v,
		       const unsigned char *data, uint64_t data_len, struct sutra_err *err)
{
	const struct dtype *d;
	int rc;

	t->name = name;
	t->dtype_name = json_string_value(json_object_get(v, "dtype"));
	if (!t->dtype_name)
		return corrupt(t, "no dtype", err);
	d = find_dtype(t->dtype_name);
	t->dtype = d->dtype;
	rc = read_shape(t, json_object_get(v, "shape"), err);
	if (!rc)
		rc = read_range(t, json_object_get(v, "data_offsets"), d->bits, data_len, err);
	t->data = data + (rc ? 0 : t->from);
	return rc;
}

static int by_offset(const void *a, const void *b)
{
	const struct sutra_tensor *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sutra_tensor *)a)->name, ((const struct sutra_tensor *)b)->name);
}

/* Checks that the ranges cover the data: in order, each starts at the end of the previous one. */
static int check_cover(struct sutra_safetensors *st, uint64_t data_len, struct sutra_err *err)
{
	uint64_t at = 0;

	qsort(st->tensors, st->count, sizeof(*st->tensors), by_offset);
	for (size_t i = 0; i < st->count; i++) {
		const struct sutra_tensor *t = &st->tensors[i];

		if (t->from != at)
			return corrupt(t, t->from < at ? "overlaps the tensor before it" :
							 "leaves a hole before it", err);
		at = t->to;
	}
	if (at != data_len)
		return sutra_fail(err, SUTRA_E_CORRUPT,
				  "%llu bytes after the last tensor belong to no tensor",
				  (unsigned long long)(data_len - at));
	qsort(st->tensors, st->count, sizeof(*st->tensors), by_name);
	return 0;
}

static int read_header(struct sutra_safetensors *st, const unsigned char *p, size_t n,
		       struct sutra_err *err)
{
	const unsigned char *data = p + n;
	uint64_t len = 0, data_len;
	const char *name;
	json_t *v;
	int rc;

	if (n < LENGTH_BYTES)
		return sutra_fail(err, SUTRA_E_CORRUPT, "%zu bytes hold no header", n);
	for (int i = LENGTH_BYTES - 1; i >= 0; i--)
		len = len << 8 | p[i];
	if (len > MAX_HEADER || len > n - LENGTH_BYTES)
		return sutra_fail(err, SUTRA_E_CORRUPT,
				  "the header claims %llu bytes; the file has %zu, the limit is %d",
				  (unsigned long long)len, n, MAX_HEADER);
	data = p + LENGTH_BYTES + len;
	data_len = n - LENGTH_BYTES - len;
	rc = sutra_json_parse((const char *)p + LENGTH_BYTES, (size_t)len, &st->header, err);
	if (rc)
		return sutra_fail(err, SUTRA_E_CORRUPT, "the header is not a JSON object");
	if (!json_is_object(st->header))
		return sutra_fail(err, SUTRA_E_CORRUPT, "the header is %s, not an object",
				  sutra_json_type_name(st->header));
	st->tensors = sutra_calloc(json_object_size(st->header), sizeof(*st->tensors));
	if (!st->tensors)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the tensor table");
	json_object_foreach (st->header, name, v) {
		if (!strcmp(name, "__metadata__"))
			continue;
		rc = read_tensor(&st->tensors[st->count++], name, v, data, data_len, err);
		if (rc)
			return rc;
	}
	return check_cover(st, data_len, err);
}

int sutra_safetensors_parse(const void *bytes, size_t n, struct sutra_safetensors **ret,
			    struct sutra_err *err)
{
	struct sutra_safetensors *st = sutra_calloc(1, sizeof(*st));
	int rc;

	if (!st)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the tensor table");
	rc = read_header(st, bytes, n, err);
	if (rc)
		sutra_safetensors_free(st);
	else
		*ret = st;
	return rc;
}

int sutra_safetensors_open(const char *path, struct sutra_safetensors **ret, struct sutra_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	struct stat info;
	void *map = NULL;

	if (fd < 0)
		return sutra_fail_errno(err, "cannot open %s", path);
	if (fstat(fd, &info) || !S_ISREG(info.st_mode)) {
		rc = sutra_fail(err, SUTRA_E_IO, "%s is not a regular file", path);
		goto out;
	}
	if (!info.st_size) {
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s is empty", path);
		goto out;
	}
	map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		rc = sutra_fail_errno(err, "cannot map %s", path);
		goto out;
	}
	rc = sutra_safetensors_parse(map, (size_t)info.st_size, ret, err);
	if (rc) {
		sutra_err_prefix(err, "%s", path);
		munmap(map, (size_t)info.st_size);
		goto out;
	}
	(*ret)->map = map;
	(*ret)->map_len = (size_t)info.st_size;
out:
	close(fd);
	return rc;
}

void sutra_safetensors_free(struct sutra_safetensors *st)
{
	if (!st)
		return;
	json_decref(st->header);
	sutra_free(st->tensors);
	if (st->map)
		munmap(st->map, st->map_len);
	sutra_free(st);
}

size_t sutra_safetensors_count(const struct sutra_safetensors *st) { return st->count; }

const struct sutra_tensor *sutra_safetensors_at(const struct sutra_safetensors *st, size_t i)
{
	return &st->tensors[i];
}

const struct sutra_tensor *sutra_safetensors_find(const struct sutra_safetensors *st,
						  const char *name)
{
	struct sutra_tensor key = { .name = name };

	return bsearch(&key, st->tensors, st->count, sizeof(key), by_name);
}

void sutra_safetensors_drop_pages(const struct sutra_safetensors *st)
{
	if (st->map)
		madvise(st->map, st->map_len, MADV_DONTNEED);
}

static float from_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* IEEE 754 half: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static float from_half(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;

	if (exponent == 31)
		return from_bits(sign | 0x7F800000 | fraction << 13);
	if (exponent)
		return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
	return from_bits(sign | 0x3F800000) * (float)fraction * 0x1p-24f;	/* subnormal, or 0 */
}

void sutra_tensor_read(const struct sutra_tensor *t, uint64_t from, size_t n, float *out)
{
	const unsigned char *p;
	uint16_t half;

	if (t->dtype == SUTRA_DTYPE_F32) {
		memcpy(out, t->data + from * sizeof(float), n * sizeof(float));
		return;
	}
	p = t->data + from * sizeof(half);
	for (size_t i = 0; i < n; i++) {
		memcpy(&half, p + i * sizeof(half), sizeof(half));
		out[i] = t->dtype == SUTRA_DTYPE_BF16 ? from_bits((uint32_t)half << 16) :
							from_half(half);
	}
}
