#include "wire/field.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "wire/pack.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "embeddings travel and are stored as little-endian f32, and are copied as they are"
#endif

static const void *in(const struct sutra_message *m, size_t at) { return (const char *)m + at; }
static void *of(struct sutra_decoder *d, size_t at) { return (char *)&d->m + at; }

int sutra_field_cut_off(struct sutra_err *err, const char *name)
{
	return sutra_fail(err, SUTRA_E_SYNTAX, "%s is not MessagePack, or cut off", name);
}

int sutra_field_wrong_type(struct sutra_err *err, const char *name, const char *want, enum sutra_value_type got)
{
	return sutra_fail(err, SUTRA_E_INVALID, "%s must be %s, not %s", name, want,
			  sutra_value_type_name(got));
}

/* ---- text: a pointer, and its length behind it ---- */

static void set_text(struct sutra_decoder *d, const struct field *f, const char *s, size_t n)
{
	*(const char **)of(d, f->at) = s;
	*(size_t *)of(d, f->at + sizeof(s)) = n;
}

static bool text_is_set(const struct sutra_message *m, const struct field *f)
{
	return *(const char *const *)in(m, f->at) != NULL;
}

static void write_text(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	sutra_pack_bytes(b, *(const char *const *)in(m, f->at),
			 *(const size_t *)in(m, f->at + sizeof(char *)), true);
}

/* Whether the value is a string or bytes within the field's limit. */
static int check_bytes(const struct field *f, const struct sutra_value *v, struct sutra_err *err)
{
	if (v->type != SUTRA_V_STR && v->type != SUTRA_V_BIN)
		return sutra_field_wrong_type(err, f->name, "a string or bytes", v->type);
	if (v->n > f->limit)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s is %u bytes; at most %llu are allowed", f->name, v->n,
				  (unsigned long long)f->limit);
	return 0;
}

static int check_id(const struct field *f, const struct sutra_value *v, struct sutra_err *err)
{
	size_t at;
	int rc = check_bytes(f, v, err);

	if (rc)
		return rc;
	if (!v->n)
		return sutra_fail(err, SUTRA_E_INVALID, "%s is empty; 1 to %u bytes are allowed", f->name,
				  SUTRA_LIMIT_ID);
	if (!sutra_str_utf8(v->s, v->n, &at))
		return sutra_fail(err, SUTRA_E_INVALID, "%s is not UTF-8 at byte %zu", f->name, at);
	return 0;
}

static int read_id(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
		   struct sutra_unpack *u, struct sutra_err *err)
{
	int rc = check_id(f, v, err);

	if (!rc)
		set_text(d, f, v->s, v->n);
	return rc;
}

const struct field_kind sutra_field_id = { read_id, write_text, text_is_set };

static int read_ids(struct sutra_decoder *d, const struct field *f, const struct sutra_value *list,
		    struct sutra_unpack *u, struct sutra_err *err)
{
	struct sutra_value v = { .s = NULL };
	int rc = 0;

	if (list->type != SUTRA_V_ARRAY)
		return sutra_field_wrong_type(err, f->name, "an array of ids", list->type);
	if (list->n > SUTRA_LIMIT_BATCH)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s holds %u ids; at most %u are allowed", f->name,
				  list->n, SUTRA_LIMIT_BATCH);
	for (uint32_t i = 0; i < list->n && !rc; i++) {
		rc = sutra_unpack_next(u, &v) ? sutra_field_cut_off(err, f->name) : check_id(f, &v, err);
		d->ids[i] = (struct sutra_id){ v.s, v.n };
	}
	d->m.ids = d->ids;
	d->m.n_ids = list->n;
	return rc;
}

static bool ids_are_set(const struct sutra_message *m, const struct field *f) { return m->ids; }

static void write_ids(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	sutra_pack_array(b, m->n_ids);
	for (size_t i = 0; i < m->n_ids; i++)
		sutra_pack_bytes(b, m->ids[i].id, m->ids[i].id_len, true);
}

const struct field_kind sutra_field_ids = { read_ids, write_ids, ids_are_set };

static int read_content(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
			struct sutra_unpack *u, struct sutra_err *err)
{
	int rc = check_bytes(f, v, err);

	set_text(d, f, v->s, v->n);
	d->m.concept.content_is_text = v->type == SUTRA_V_STR;
	return rc;
}

static void write_content(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	const struct sutra_concept *c = &m->concept;

	sutra_pack_bytes(b, c->content, c->content_len, c->content_is_text);
}

const struct field_kind sutra_field_content = { read_content, write_content, text_is_set };

static int read_metadata(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
			 struct sutra_unpack *u, struct sutra_err *err)
{
	int rc;

	if (v->type == SUTRA_V_NIL)
		return 0;
	if (v->type == SUTRA_V_MAP) {
		d->text.max = f->limit;
		rc = sutra_unpack_json(u, v, &d->text);
		if (rc == SUTRA_E_INVALID)
			return sutra_fail(err, rc, "%s has a value that JSON cannot hold", f->name);
		if (rc == SUTRA_E_TOOBIG)
			return sutra_fail(err, rc, "%s is above %llu bytes as JSON", f->name,
					  (unsigned long long)f->limit);
		if (rc)
			return sutra_fail(err, rc, "%s: %s", f->name, sutra_err_text(rc));
		set_text(d, f, d->text.data, d->text.len);
		return 0;
	}
	if ((rc = check_bytes(f, v, err)))
		return rc;
	if (!sutra_str_utf8(v->s, v->n, NULL))
		return sutra_fail(err, SUTRA_E_INVALID, "%s is not UTF-8", f->name);
	set_text(d, f, v->n ? v->s : NULL, v->n);
	return 0;
}

const struct field_kind sutra_field_metadata = { read_metadata, write_text, text_is_set };

/* ---- numbers ---- */

static int to_double(const struct sutra_value *v, double *ret)
{
	if (v->type == SUTRA_V_FLOAT)
		*ret = v->f;
	else if (v->type == SUTRA_V_UINT)
		*ret = (double)v->u;
	else if (v->type == SUTRA_V_INT)
		*ret = (double)v->i;
	else
		return SUTRA_E_INVALID;
	return 0;
}

static int read_float_array(const struct field *f, struct sutra_unpack *u, size_t n, float *ret,
			    struct sutra_err *err)
{
	struct sutra_value v;
	double value;

	for (size_t i = 0; i < n; i++) {
		if (sutra_unpack_next(u, &v))
			return sutra_field_cut_off(err, f->name);
		if (to_double(&v, &value))
			return sutra_fail(err, SUTRA_E_INVALID, "%s[%zu] must be a number, not %s", f->name,
					  i, sutra_value_type_name(v.type));
		ret[i] = (float)value;
	}
	return 0;
}

static int read_floats(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
		       struct sutra_unpack *u, struct sutra_err *err)
{
	float *floats = (float *)(void *)d->floats.data;	/* the decoder has reserved the room */
	size_t n;
	int rc;

	if (v->type == SUTRA_V_NIL)
		return 0;
	if (v->type != SUTRA_V_ARRAY && v->type != SUTRA_V_BIN)
		return sutra_field_wrong_type(err, f->name, "an array of numbers or bytes of f32", v->type);
	if (v->type == SUTRA_V_BIN && v->n % sizeof(float))
		return sutra_fail(err, SUTRA_E_INVALID, "%s is %u bytes, which is no whole number of f32",
				  f->name, v->n);
	n = v->type == SUTRA_V_BIN ? v->n / sizeof(float) : v->n;
	if (n > f->limit)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s has %zu dimensions; at most %llu are allowed",
				  f->name, n, (unsigned long long)f->limit);
	if (v->type == SUTRA_V_BIN)
		memcpy(floats, v->s, v->n);
	else if ((rc = read_float_array(f, u, n, floats, err)))
		return rc;
	for (size_t i = 0; i < n; i++)
		if (!isfinite(floats[i]))
			return sutra_fail(err, SUTRA_E_INVALID, "%s[%zu] is not a finite f32", f->name, i);
	d->m.concept.embedding = n ? floats : NULL;
	d->m.concept.dimension = n;
	return 0;
}

static bool floats_are_set(const struct sutra_message *m, const struct field *f)
{
	return m->concept.embedding;
}

static void write_floats(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	sutra_pack_bytes(b, m->concept.embedding, m->concept.dimension * sizeof(float), false);
}

const struct field_kind sutra_field_floats = { read_floats, write_floats, floats_are_set };

static int read_score(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
		      struct sutra_unpack *u, struct sutra_err *err)
{
	double value;

	if (to_double(v, &value))
		return sutra_field_wrong_type(err, f->name, "a number", v->type);
	if (!isfinite((float)value))
		return sutra_fail(err, SUTRA_E_INVALID, "%s is not a finite number", f->name);
	*(float *)of(d, f->at) = (float)value;
	return 0;
}

static bool score_is_set(const struct sutra_message *m, const struct field *f)
{
	return *(const float *)in(m, f->at) != (float)f->initial;
}

static void write_score(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	sutra_pack_float(b, *(const float *)in(m, f->at));
}

const struct field_kind sutra_field_score = { read_score, write_score, score_is_set };

static int read_number(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
		       struct sutra_unpack *u, struct sutra_err *err)
{
	if (v->type == SUTRA_V_NIL)
		return 0;
	if (v->type != SUTRA_V_UINT)
		return sutra_field_wrong_type(err, f->name, "a whole number", v->type);
	if (v->u > f->limit)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s is %llu; at most %llu are allowed", f->name,
				  (unsigned long long)v->u, (unsigned long long)f->limit);
	*(uint64_t *)of(d, f->at) = v->u;
	return 0;
}

static bool number_is_set(const struct sutra_message *m, const struct field *f)
{
	return *(const uint64_t *)in(m, f->at) != 0;
}

static void write_number(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	sutra_pack_uint(b, *(const uint64_t *)in(m, f->at));
}

const struct field_kind sutra_field_number = { read_number, write_number, number_is_set };

static int read_flag(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
		     struct sutra_unpack *u, struct sutra_err *err)
{
	if (v->type != SUTRA_V_BOOL)
		return sutra_field_wrong_type(err, f->name, "a boolean", v->type);
	*(bool *)of(d, f->at) = v->u;
	return 0;
}

static bool flag_is_set(const struct sutra_message *m, const struct field *f)
{
	return *(const bool *)in(m, f->at) != (f->initial != 0);
}

static void write_flag(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	sutra_pack_bool(b, *(const bool *)in(m, f->at));
}

const struct field_kind sutra_field_flag = { read_flag, write_flag, flag_is_set };

/* A boolean in the protocol, and a number, 0 or 1, in the message. */
static int read_found(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
		      struct sutra_unpack *u, struct sutra_err *err)
{
	if (v->type != SUTRA_V_BOOL)
		return sutra_field_wrong_type(err, f->name, "a boolean", v->type);
	*(uint64_t *)of(d, f->at) = v->u;
	return 0;
}

static void write_found(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	sutra_pack_bool(b, number_is_set(m, f));
}

const struct field_kind sutra_field_found = { read_found, write_found, number_is_set };

void sutra_field_reset(struct sutra_decoder *d, const struct field *f)
{
	if (f->kind == &sutra_field_score)
		*(float *)of(d, f->at) = (float)f->initial;
	else if (f->kind == &sutra_field_flag)
		*(bool *)of(d, f->at) = f->initial;
}
