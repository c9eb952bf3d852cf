/* Fields of answers. A concept is [found, id, content, strength, confidence], and with_embedding adds embedding
 * and metadata. */
#include <string.h>

#include "wire/field.h"
#include "wire/pack.h"

static int is_wrong(struct sutra_err *err, const char *name)
{
	return sutra_fail(err, SUTRA_E_SYNTAX, "%s is not a concept of the protocol", name);
}

static void write_one(const struct sutra_concept *c, bool found, bool with_embedding, struct sutra_buf *b)
{
	sutra_pack_array(b, with_embedding ? 7 : 5);
	sutra_pack_bool(b, found);
	sutra_pack_bytes(b, c->id, c->id_len, true);
	sutra_pack_bytes(b, c->content, c->content_len, c->content_is_text);
	sutra_pack_float(b, c->strength);
	sutra_pack_float(b, c->confidence);
	if (!with_embedding)
		return;
	if (c->embedding)
		sutra_pack_bytes(b, c->embedding, c->dimension * sizeof(float), false);
	else
		sutra_pack_nil(b);
	if (c->metadata)
		sutra_pack_bytes(b, c->metadata, c->metadata_len, true);
	else
		sutra_pack_nil(b);
}

/* nil, or bytes of f32, which are copied to aligned memory (reserved, so that it does not move). */
static int read_embedding(struct sutra_decoder *d, struct sutra_concept *c, struct sutra_unpack *u)
{
	struct sutra_value v;

	if (sutra_unpack_next(u, &v) || (v.type != SUTRA_V_NIL && v.type != SUTRA_V_BIN))
		return SUTRA_E_SYNTAX;
	if (v.type == SUTRA_V_NIL)
		return 0;
	if (v.n % sizeof(float))
		return SUTRA_E_SYNTAX;
	c->embedding = (const float *)(const void *)(d->floats.data + d->floats.len);
	c->dimension = v.n / sizeof(float);
	sutra_buf_add(&d->floats, v.s, v.n);
	return sutra_buf_error(&d->floats);
}

static int read_one(struct sutra_decoder *d, struct sutra_concept *c, bool *ret_found, uint32_t elements,
		    struct sutra_unpack *u)
{
	struct sutra_value found, id, content, strength, confidence, v;
	int rc;

	*c = (struct sutra_concept){ 0 };
	if ((elements != 5 && elements != 7) || sutra_unpack_next(u, &found) || found.type != SUTRA_V_BOOL ||
	    sutra_unpack_next(u, &id) || id.type != SUTRA_V_STR || sutra_unpack_next(u, &content) ||
	    (content.type != SUTRA_V_STR && content.type != SUTRA_V_BIN) || sutra_unpack_next(u, &strength) ||
	    strength.type != SUTRA_V_FLOAT || sutra_unpack_next(u, &confidence) ||
	    confidence.type != SUTRA_V_FLOAT)
		return SUTRA_E_SYNTAX;
	*ret_found = found.u;
	c->id = id.s;
	c->id_len = id.n;
	c->content = content.s;
	c->content_len = content.n;
	c->content_is_text = content.type == SUTRA_V_STR;
	c->strength = (float)strength.f;
	c->confidence = (float)confidence.f;
	if (elements == 5)
		return 0;
	if ((rc = read_embedding(d, c, u)))
		return rc;
	if (sutra_unpack_next(u, &v) || (v.type != SUTRA_V_STR && v.type != SUTRA_V_NIL))
		return SUTRA_E_SYNTAX;
	c->metadata = v.type == SUTRA_V_STR ? v.s : NULL;
	c->metadata_len = v.type == SUTRA_V_STR ? v.n : 0;
	return 0;
}

/* One concept; its id is there also when it was not found. value: whether it was found. */
static int read_concept(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
			struct sutra_unpack *u, struct sutra_err *err)
{
	bool found = false;

	if (v->type != SUTRA_V_ARRAY || read_one(d, &d->m.concept, &found, v->n, u))
		return is_wrong(err, f->name);
	d->m.value = found;
	return 0;
}

static void write_concept(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	write_one(&m->concept, m->value, m->with_embedding, b);
}

const struct field_kind sutra_field_concept = { read_concept, write_concept, NULL };

/* Each is a concept, or nil for one that was not found. */
static int read_concepts(struct sutra_decoder *d, const struct field *f, const struct sutra_value *list,
			 struct sutra_unpack *u, struct sutra_err *err)
{
	struct sutra_value v;
	bool found;

	if (list->type != SUTRA_V_ARRAY || list->n > SUTRA_LIMIT_BATCH)
		return is_wrong(err, f->name);
	for (uint32_t i = 0; i < list->n; i++) {
		struct sutra_concept *c = &d->concepts[i];

		if (sutra_unpack_next(u, &v))
			return is_wrong(err, f->name);
		if (v.type == SUTRA_V_NIL)
			*c = (struct sutra_concept){ 0 };
		else if (v.type != SUTRA_V_ARRAY || read_one(d, c, &found, v.n, u) || !found)
			return is_wrong(err, f->name);
	}
	d->m.concepts = d->concepts;
	d->m.n_concepts = list->n;
	return 0;
}

static void write_concepts(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	sutra_pack_array(b, m->n_concepts);
	for (size_t i = 0; i < m->n_concepts; i++)
		if (m->concepts[i].id)
			write_one(&m->concepts[i], true, m->with_embedding, b);
		else
			sutra_pack_nil(b);
}

const struct field_kind sutra_field_concepts = { read_concepts, write_concepts, NULL };

static int read_pairs(struct sutra_decoder *d, const struct field *f, const struct sutra_value *v,
		      struct sutra_unpack *u, struct sutra_err *err)
{
	int rc;

	d->text.max = f->limit;
	if ((rc = sutra_unpack_json(u, v, &d->text)))
		return sutra_fail(err, rc, "%s: %s", f->name, sutra_err_text(rc));
	d->m.json = sutra_buf_str(&d->text);
	d->m.json_len = d->text.len;
	return 0;
}

static void write_pairs(const struct sutra_message *m, const struct field *f, struct sutra_buf *b)
{
	sutra_pack_map(b, m->n_pairs);
	sutra_buf_add(b, m->pairs->data, m->pairs->len);
}

const struct field_kind sutra_field_pairs = { read_pairs, write_pairs, NULL };
