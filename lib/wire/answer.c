/* The encoding half of message.h, through msgpack-c, and the client's reading of answers. */
#include "wire/message.h"

#include <msgpack.h>
#include <string.h>

#include "base/err.h"
#include "wire/frame.h"
#include "wire/unpack.h"

static int write_buf(void *b, const char *p, size_t n)
{
	sutra_buf_add(b, p, n);
	return 0;
}

static msgpack_packer packer(struct sutra_buf *b)
{
	return (msgpack_packer){ .data = b, .callback = write_buf };
}

static void pack_bytes(msgpack_packer *k, const void *p, size_t n, bool text)
{
	if (text) {
		msgpack_pack_str(k, n);
		msgpack_pack_str_body(k, p, n);
	} else {
		msgpack_pack_bin(k, n);
		msgpack_pack_bin_body(k, p, n);
	}
}

static void pack_name(msgpack_packer *k, const char *name)
{
	pack_bytes(k, name, strlen(name), true);
}

/* Starts a frame that holds {name: ...}. */
static size_t begin(struct sutra_buf *b, const char *name)
{
	size_t at = sutra_frame_begin(b);
	msgpack_packer k = packer(b);

	msgpack_pack_map(&k, 1);
	pack_name(&k, name);
	return at;
}

int sutra_request_learn(struct sutra_buf *b, const struct sutra_concept *c)
{
	size_t at = begin(b, "LearnConcept");
	msgpack_packer k = packer(b);

	msgpack_pack_map(&k, 4u + !!c->embedding + !!c->metadata + !!c->ttl_seconds);
	pack_name(&k, "concept_id");
	pack_bytes(&k, c->id, c->id_len, true);
	pack_name(&k, "content");
	pack_bytes(&k, c->content, c->content_len, c->content_is_text);
	if (c->embedding) {
		pack_name(&k, "embedding");
		pack_bytes(&k, c->embedding, c->dimension * sizeof(float), false);
	}
	pack_name(&k, "strength");
	msgpack_pack_float(&k, c->strength);
	pack_name(&k, "confidence");
	msgpack_pack_float(&k, c->confidence);
	if (c->metadata) {
		pack_name(&k, "metadata");
		pack_bytes(&k, c->metadata, c->metadata_len, true);
	}
	if (c->ttl_seconds) {
		pack_name(&k, "ttl_seconds");
		msgpack_pack_uint64(&k, c->ttl_seconds);
	}
	return sutra_frame_end(b, at);
}

int sutra_request_get(struct sutra_buf *b, const char *const *ids, size_t n)
{
	size_t at = begin(b, "GetConcepts");
	msgpack_packer k = packer(b);

	msgpack_pack_map(&k, 1);
	pack_name(&k, "concept_ids");
	msgpack_pack_array(&k, n);
	for (size_t i = 0; i < n; i++)
		pack_name(&k, ids[i]);
	return sutra_frame_end(b, at);
}

int sutra_request_id(struct sutra_buf *b, enum sutra_op op, const char *id, bool with_embedding)
{
	size_t at = begin(b, sutra_op_name(op));
	msgpack_packer k = packer(b);

	msgpack_pack_map(&k, 1u + with_embedding);
	pack_name(&k, "concept_id");
	pack_name(&k, id);
	if (with_embedding) {
		pack_name(&k, "with_embedding");
		msgpack_pack_true(&k);
	}
	return sutra_frame_end(b, at);
}

int sutra_request_bare(struct sutra_buf *b, enum sutra_op op)
{
	size_t at = sutra_frame_begin(b);
	msgpack_packer k = packer(b);

	pack_name(&k, sutra_op_name(op));
	return sutra_frame_end(b, at);
}

int sutra_answer_number(struct sutra_buf *b, enum sutra_op op, uint64_t n)
{
	size_t at = begin(b, sutra_op_answer_name(op));
	msgpack_packer k = packer(b);

	msgpack_pack_array(&k, 1);
	msgpack_pack_uint64(&k, n);
	return sutra_frame_end(b, at);
}

static void pack_flag(msgpack_packer *k, bool flag)
{
	if (flag)
		msgpack_pack_true(k);
	else
		msgpack_pack_false(k);
}

int sutra_answer_flag(struct sutra_buf *b, enum sutra_op op, bool flag)
{
	size_t at = begin(b, sutra_op_answer_name(op));
	msgpack_packer k = packer(b);

	msgpack_pack_array(&k, 1);
	pack_flag(&k, flag);
	return sutra_frame_end(b, at);
}

int sutra_answer_nil(struct sutra_buf *b, enum sutra_op op)
{
	size_t at = begin(b, sutra_op_answer_name(op));
	msgpack_packer k = packer(b);

	msgpack_pack_nil(&k);
	return sutra_frame_end(b, at);
}

int sutra_answer_error(struct sutra_buf *b, const struct sutra_err *err)
{
	size_t at = begin(b, "Error");
	msgpack_packer k = packer(b);

	msgpack_pack_map(&k, 2);
	pack_name(&k, "message");
	pack_name(&k, err->message);
	pack_name(&k, "code");
	pack_name(&k, sutra_err_name(err->code));
	return sutra_frame_end(b, at);
}

static void pack_concept(msgpack_packer *k, const struct sutra_concept *c, bool with_embedding)
{
	msgpack_pack_array(k, with_embedding ? 7 : 5);
	msgpack_pack_true(k);
	pack_bytes(k, c->id, c->id_len, true);
	pack_bytes(k, c->content, c->content_len, c->content_is_text);
	msgpack_pack_float(k, c->strength);
	msgpack_pack_float(k, c->confidence);
	if (!with_embedding)
		return;
	if (c->embedding)
		pack_bytes(k, c->embedding, c->dimension * sizeof(float), false);
	else
		msgpack_pack_nil(k);
	if (c->metadata)
		pack_bytes(k, c->metadata, c->metadata_len, true);
	else
		msgpack_pack_nil(k);
}

int sutra_answer_query(struct sutra_buf *b, const char *id, size_t id_len,
		       const struct sutra_concept *c, bool with_embedding)
{
	size_t at = begin(b, "QueryConceptOk");
	msgpack_packer k = packer(b);

	if (c) {
		pack_concept(&k, c, with_embedding);
		return sutra_frame_end(b, at);
	}
	msgpack_pack_array(&k, with_embedding ? 7 : 5);
	msgpack_pack_false(&k);
	pack_bytes(&k, id, id_len, true);
	pack_name(&k, "");
	msgpack_pack_float(&k, 0);
	msgpack_pack_float(&k, 0);
	if (with_embedding) {
		msgpack_pack_nil(&k);
		msgpack_pack_nil(&k);
	}
	return sutra_frame_end(b, at);
}

size_t sutra_answer_get_begin(struct sutra_buf *b, size_t n)
{
	size_t at = begin(b, "GetConceptsOk");
	msgpack_packer k = packer(b);

	msgpack_pack_map(&k, 1);
	pack_name(&k, "concepts");
	msgpack_pack_array(&k, n);
	return at;
}

void sutra_answer_get_add(struct sutra_buf *b, const struct sutra_concept *c, bool with_embedding)
{
	msgpack_packer k = packer(b);

	if (c)
		pack_concept(&k, c, with_embedding);
	else
		msgpack_pack_nil(&k);
}

size_t sutra_answer_map_begin(struct sutra_buf *b, enum sutra_op op, size_t n)
{
	size_t at = begin(b, sutra_op_answer_name(op));
	msgpack_packer k = packer(b);

	msgpack_pack_map(&k, n);
	return at;
}

void sutra_answer_add_number(struct sutra_buf *b, const char *name, uint64_t v)
{
	msgpack_packer k = packer(b);

	pack_name(&k, name);
	msgpack_pack_uint64(&k, v);
}

void sutra_answer_add_double(struct sutra_buf *b, const char *name, double v)
{
	msgpack_packer k = packer(b);

	pack_name(&k, name);
	msgpack_pack_double(&k, v);
}

void sutra_answer_add_flag(struct sutra_buf *b, const char *name, bool v)
{
	msgpack_packer k = packer(b);

	pack_name(&k, name);
	pack_flag(&k, v);
}

void sutra_answer_add_text(struct sutra_buf *b, const char *name, const char *v)
{
	msgpack_packer k = packer(b);

	pack_name(&k, name);
	pack_name(&k, v);
}

void sutra_answer_add_maps(struct sutra_buf *b, const char *name, size_t n, size_t pairs)
{
	msgpack_packer k = packer(b);

	pack_name(&k, name);
	msgpack_pack_array(&k, n);
	if (n)
		msgpack_pack_map(&k, pairs);
}

void sutra_answer_init(struct sutra_answer *a)
{
	a->n = 0;
	sutra_buf_init(&a->text, SUTRA_FRAME_MAX);
	sutra_buf_init(&a->floats, SUTRA_FRAME_MAX);
}

void sutra_answer_release(struct sutra_answer *a)
{
	if (!a)
		return;
	sutra_buf_release(&a->text);
	sutra_buf_release(&a->floats);
}

static int code_of_name(const char *name, size_t n)
{
	for (int code = SUTRA_E_FIRST_ + 1; code < SUTRA_E_END_; code++)
		if (strlen(sutra_err_name(code)) == n && !memcmp(sutra_err_name(code), name, n))
			return code;
	return SUTRA_E_INTERNAL;
}

static int read_error(struct sutra_answer *a, struct sutra_unpack *u)
{
	struct sutra_value map, key, v;

	if (sutra_unpack_next(u, &map) || map.type != SUTRA_V_MAP)
		return SUTRA_E_SYNTAX;
	a->code = SUTRA_E_INTERNAL;
	for (uint32_t i = 0; i < map.n; i++) {
		if (sutra_unpack_next(u, &key) || key.type != SUTRA_V_STR ||
		    sutra_unpack_next(u, &v) || v.type != SUTRA_V_STR)
			return SUTRA_E_SYNTAX;
		if (key.n == 4 && !memcmp(key.s, "code", 4)) {
			a->code = code_of_name(v.s, v.n);
		} else if (key.n == 7 && !memcmp(key.s, "message", 7)) {
			size_t n = v.n < sizeof(a->message) - 1 ? v.n : sizeof(a->message) - 1;

			memcpy(a->message, v.s, n);
			a->message[n] = '\0';
		}
	}
	return 0;
}

static int read_float(struct sutra_unpack *u, float *ret)
{
	struct sutra_value v;

	if (sutra_unpack_next(u, &v) || v.type != SUTRA_V_FLOAT)
		return SUTRA_E_SYNTAX;
	*ret = (float)v.f;
	return 0;
}

/* nil, or n bytes of f32 copied where they are aligned (the room is reserved: no move). */
static int read_embedding(struct sutra_answer *a, struct sutra_concept *c, struct sutra_unpack *u)
{
	struct sutra_value v;

	if (sutra_unpack_next(u, &v) || (v.type != SUTRA_V_NIL && v.type != SUTRA_V_BIN))
		return SUTRA_E_SYNTAX;
	if (v.type == SUTRA_V_NIL)
		return 0;
	if (v.n % sizeof(float))
		return SUTRA_E_SYNTAX;
	c->embedding = (const float *)(const void *)(a->floats.data + a->floats.len);
	c->dimension = v.n / sizeof(float);
	sutra_buf_add(&a->floats, v.s, v.n);
	return sutra_buf_error(&a->floats);
}

/* The elements of [found, id, content, strength, confidence, embedding?, metadata?]. */
static int read_concept(struct sutra_answer *a, uint32_t elements, struct sutra_unpack *u)
{
	struct sutra_concept *c = &a->concepts[a->n];
	struct sutra_value v;
	int rc;

	*c = (struct sutra_concept){ 0 };
	if ((elements != 5 && elements != 7) || sutra_unpack_next(u, &v) || v.type != SUTRA_V_BOOL)
		return SUTRA_E_SYNTAX;
	a->found[a->n++] = v.u;
	a->value = v.u;
	if (sutra_unpack_next(u, &v) || v.type != SUTRA_V_STR)
		return SUTRA_E_SYNTAX;
	c->id = v.s;
	c->id_len = v.n;
	if (sutra_unpack_next(u, &v) || (v.type != SUTRA_V_STR && v.type != SUTRA_V_BIN))
		return SUTRA_E_SYNTAX;
	c->content = v.s;
	c->content_len = v.n;
	c->content_is_text = v.type == SUTRA_V_STR;
	if (read_float(u, &c->strength) || read_float(u, &c->confidence))
		return SUTRA_E_SYNTAX;
	if (elements == 5)
		return 0;
	if ((rc = read_embedding(a, c, u)))
		return rc;
	if (sutra_unpack_next(u, &v) || (v.type != SUTRA_V_STR && v.type != SUTRA_V_NIL))
		return SUTRA_E_SYNTAX;
	c->metadata = v.type == SUTRA_V_STR ? v.s : NULL;
	c->metadata_len = v.type == SUTRA_V_STR ? v.n : 0;
	return 0;
}

static int read_concepts(struct sutra_answer *a, struct sutra_unpack *u)
{
	struct sutra_value v;
	uint32_t n;
	int rc;

	if (sutra_unpack_next(u, &v) || v.type != SUTRA_V_MAP || v.n != 1 ||
	    sutra_unpack_next(u, &v) || sutra_unpack_next(u, &v) || v.type != SUTRA_V_ARRAY ||
	    v.n > SUTRA_LIMIT_BATCH)
		return SUTRA_E_SYNTAX;
	n = v.n;
	while (a->n < n) {
		if (sutra_unpack_next(u, &v))
			return SUTRA_E_SYNTAX;
		if (v.type == SUTRA_V_NIL)
			a->found[a->n++] = false;
		else if (v.type != SUTRA_V_ARRAY)
			return SUTRA_E_SYNTAX;
		else if ((rc = read_concept(a, v.n, u)))
			return rc;
	}
	return 0;
}

static int read_array(struct sutra_answer *a, struct sutra_unpack *u)
{
	struct sutra_value v;

	if (sutra_unpack_next(u, &v) || v.type != SUTRA_V_ARRAY)
		return SUTRA_E_SYNTAX;
	if (a->op == SUTRA_OP_QUERY_CONCEPT)
		return read_concept(a, v.n, u);
	if (v.n != 1 || sutra_unpack_next(u, &v) || (v.type != SUTRA_V_UINT && v.type != SUTRA_V_BOOL))
		return SUTRA_E_SYNTAX;
	a->value = v.u;
	return 0;
}

static int read_body(struct sutra_answer *a, struct sutra_unpack *u)
{
	switch (a->op) {
	case SUTRA_OP_LEARN_CONCEPT:
	case SUTRA_OP_DELETE_CONCEPT:
	case SUTRA_OP_CLEAR:
	case SUTRA_OP_QUERY_CONCEPT:
		return read_array(a, u);
	case SUTRA_OP_GET_CONCEPTS:
		return read_concepts(a, u);
	case SUTRA_OP_GET_STATS:
	case SUTRA_OP_HEALTH_CHECK:
		return sutra_unpack_json(u, &a->text);
	default:
		return sutra_unpack_skip(u);
	}
}

int sutra_answer_decode(struct sutra_answer *a, const void *payload, size_t n)
{
	struct sutra_unpack u = sutra_unpack_of(payload, n);
	struct sutra_value v;

	a->code = 0;
	a->value = 0;
	a->n = 0;
	a->op = SUTRA_OP_COUNT;
	sutra_buf_clear(&a->text);
	sutra_buf_clear(&a->floats);
	if (!sutra_buf_reserve(&a->floats, n < SUTRA_FRAME_MAX ? n : SUTRA_FRAME_MAX))
		return SUTRA_E_NOMEM;
	if (sutra_unpack_next(&u, &v) || v.type != SUTRA_V_MAP || v.n != 1 ||
	    sutra_unpack_next(&u, &v) || v.type != SUTRA_V_STR)
		return SUTRA_E_SYNTAX;
	if (v.n == 5 && !memcmp(v.s, "Error", 5))
		return read_error(a, &u);
	for (int op = 0; op < SUTRA_OP_COUNT && a->op == SUTRA_OP_COUNT; op++)
		if (strlen(sutra_op_answer_name((enum sutra_op)op)) == v.n &&
		    !memcmp(sutra_op_answer_name((enum sutra_op)op), v.s, v.n))
			a->op = (enum sutra_op)op;
	return a->op == SUTRA_OP_COUNT ? SUTRA_E_SYNTAX : read_body(a, &u);
}
