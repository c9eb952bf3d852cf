/*
 * The storage protocol's messages.
 *
 * A payload is one MessagePack value. A request is a map with one pair, name to arguments: a map, or an array
 * in the row's order, where the last ones may be absent. A request without required arguments may be the name
 * alone, or have nil as its arguments. An answer is a map with one pair: "<Name>Ok" to what its row says, or
 * "Error" to {"message": str, "code": str}. The rows are in message.h; their fields:
 *
 *	id		str or bin, 1-128 bytes of UTF-8
 *	content		str or bin; comes back as what it was sent as
 *	floats		an array of finite numbers, or bin of little-endian f32, at most 2,048 of them
 *	metadata	str, bin or map, kept as JSON text
 *	concept		an array, see field_answer.c
 *	pairs		a map of names and values
 *
 * By its shape the body of an answer is an ARRAY or a MAP of its fields, or BARE: its one field, or nil.
 *
 * Errors are wrong types, exceeded limits, duplicates and bytes behind the message. Unknown arguments are
 * skipped, so that a newer client can talk to an older server.
 *
 * An error does not end the connection: the frame's length says where the next message begins.
 */
#include "wire/message.h"

#include <string.h>

#include "wire/field.h"
#include "wire/frame.h"
#include "wire/pack.h"

enum { MAX_FIELDS = 16 };

enum sutra_field_number {
	NONE,
	CONCEPT_ID,
	CONCEPT_IDS,
	CONTENT,
	EMBEDDING,
	STRENGTH,
	CONFIDENCE,
	METADATA,
	TTL_SECONDS,
	WITH_EMBEDDING,
	WITH_EMBEDDING_UNLESS_FALSE,
	SEQUENCE,
	COUNT,
	FOUND,
	CONCEPT,
	CONCEPTS,
	PAIRS,
};

#define AT(member) offsetof(struct sutra_message, member)

static const struct field fields[] = {
	[CONCEPT_ID] = { "concept_id", &sutra_field_id, AT(concept.id), .limit = SUTRA_LIMIT_ID },
	[CONCEPT_IDS] = { "concept_ids", &sutra_field_ids, AT(ids), .limit = SUTRA_LIMIT_ID },
	[CONTENT] = { "content", &sutra_field_content, AT(concept.content), .limit = SUTRA_LIMIT_CONTENT },
	[EMBEDDING] = { "embedding", &sutra_field_floats, AT(concept.embedding), .limit = SUTRA_LIMIT_DIMENSION },
	[STRENGTH] = { "strength", &sutra_field_score, AT(concept.strength), .initial = 1 },
	[CONFIDENCE] = { "confidence", &sutra_field_score, AT(concept.confidence), .initial = 1 },
	[METADATA] = { "metadata", &sutra_field_metadata, AT(concept.metadata), .limit = SUTRA_LIMIT_METADATA },
	[TTL_SECONDS] = { "ttl_seconds", &sutra_field_number, AT(concept.ttl_seconds), .limit = SUTRA_LIMIT_TTL },
	[WITH_EMBEDDING] = { "with_embedding", &sutra_field_flag, AT(with_embedding), .initial = 0 },
	[WITH_EMBEDDING_UNLESS_FALSE] = { "with_embedding", &sutra_field_flag, AT(with_embedding), .initial = 1 },
	[SEQUENCE] = { "sequence", &sutra_field_number, AT(value), .limit = UINT64_MAX },
	[COUNT] = { "n", &sutra_field_number, AT(value), .limit = UINT64_MAX },
	[FOUND] = { "found", &sutra_field_found, AT(value), .limit = 1 },
	[CONCEPT] = { "concept", &sutra_field_concept, AT(concept), .limit = 1 },
	[CONCEPTS] = { "concepts", &sutra_field_concepts, AT(concepts), .limit = SUTRA_LIMIT_BATCH },
	[PAIRS] = { "pairs", &sutra_field_pairs, AT(pairs), .limit = SUTRA_FRAME_MAX },
};

_Static_assert(AT(concept.id_len) == AT(concept.id) + sizeof(char *) &&
	       AT(concept.content_len) == AT(concept.content) + sizeof(char *) &&
	       AT(concept.metadata_len) == AT(concept.metadata) + sizeof(char *), "text: pointer, length");

/* What an answer's body is. */
enum shape { BARE, ARRAY, MAP };

static const struct operation {
	const char *name;
	unsigned required;	/* of the arguments; the first ones */
	enum sutra_field_number arguments[MAX_FIELDS];
	const char *answer;
	enum shape shape;
	enum sutra_field_number answers[MAX_FIELDS];
} operations[] = {
#define FIELDS(...) { __VA_ARGS__ }
#define X(sym, kind, serve, name, required, arguments, answer, shape, answers) \
	{ name, required, arguments, answer, shape, answers },
	SUTRA_OPERATIONS(X)
#undef X
#undef FIELDS
};

/* Requests of the whole engine that no role of this version serves. */
static const char *const later[] = {
	"LearnConceptV2", "LearnBatch", "LearnAssociation", "GetNeighbors",	"GetAssociation",   "FindPath",
	"FindPaths",	  "VectorSearch", "InvalidateSimilar", "GetAllConceptIds", "Snapshot",
};

static unsigned count(const enum sutra_field_number *list)
{
	unsigned n = 0;

	while (n < MAX_FIELDS && list[n])
		n++;
	return n;
}

/* ---- encoding ---- */

/* Starts a frame that holds {name: ...}. */
static size_t begin(struct sutra_buf *b, const char *name)
{
	size_t at = sutra_frame_begin(b);

	sutra_pack_map(b, 1);
	sutra_pack_str(b, name);
	return at;
}

/* The fields as pairs, without optional ones that have their default. */
static void write_map(struct sutra_buf *b, const struct sutra_message *m, const enum sutra_field_number *list,
		      unsigned required)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count(list); i++)
		n += i < required || fields[list[i]].kind->is_set(m, &fields[list[i]]);
	sutra_pack_map(b, n);
	for (unsigned i = 0; i < count(list); i++) {
		const struct field *f = &fields[list[i]];

		if (i >= required && !f->kind->is_set(m, f))
			continue;
		sutra_pack_str(b, f->name);
		f->kind->write(m, f, b);
	}
}

int sutra_request_encode(struct sutra_buf *b, const struct sutra_message *m)
{
	const struct operation *o = &operations[m->op];
	size_t at;

	if (!count(o->arguments)) {
		at = sutra_frame_begin(b);
		sutra_pack_str(b, o->name);
	} else {
		at = begin(b, o->name);
		write_map(b, m, o->arguments, o->required);
	}
	return sutra_frame_end(b, at);
}

int sutra_answer_encode(struct sutra_buf *b, const struct sutra_message *m)
{
	const struct operation *o = &operations[m->op];
	size_t at = begin(b, o->answer);
	unsigned n = count(o->answers);

	if (o->shape == MAP) {
		write_map(b, m, o->answers, n);
		return sutra_frame_end(b, at);
	}
	if (o->shape == ARRAY)
		sutra_pack_array(b, n);
	else if (!n)
		sutra_pack_nil(b);
	for (unsigned i = 0; i < n; i++)
		fields[o->answers[i]].kind->write(m, &fields[o->answers[i]], b);
	return sutra_frame_end(b, at);
}

int sutra_answer_error(struct sutra_buf *b, const struct sutra_err *err)
{
	size_t at = begin(b, "Error");

	sutra_pack_map(b, 2);
	sutra_pack_str(b, "message");
	sutra_pack_str(b, err->message);
	sutra_pack_str(b, "code");
	sutra_pack_str(b, sutra_err_name(err->code));
	return sutra_frame_end(b, at);
}

/* ---- decoding ---- */

void sutra_decoder_init(struct sutra_decoder *d)
{
	sutra_buf_init(&d->text, SUTRA_FRAME_MAX);
	sutra_buf_init(&d->floats, SUTRA_FRAME_MAX);
}

void sutra_decoder_release(struct sutra_decoder *d)
{
	if (!d)
		return;
	sutra_buf_release(&d->text);
	sutra_buf_release(&d->floats);
}

/* Prepares for the next message, whose embeddings take at most n bytes. */
static int reset(struct sutra_decoder *d, size_t n, struct sutra_err *err)
{
	d->m = (struct sutra_message){ .op = SUTRA_OP_COUNT };
	d->error.code = 0;
	sutra_buf_clear(&d->text);
	sutra_buf_clear(&d->floats);
	return sutra_buf_reserve(&d->floats, n) ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
}

static bool is(const struct sutra_value *v, const char *name)
{
	return v->type == SUTRA_V_STR && v->n == strlen(name) && !memcmp(v->s, name, v->n);
}

static int read_field(struct sutra_decoder *d, enum sutra_field_number number, struct sutra_unpack *u,
		      struct sutra_err *err)
{
	const struct field *f = &fields[number];
	struct sutra_value v;

	if (sutra_unpack_next(u, &v))
		return sutra_field_cut_off(err, f->name);
	return f->kind->read(d, f, &v, u, err);
}

/* One pair of a map; one whose name is not in the list is skipped. */
static int read_pair(struct sutra_decoder *d, const enum sutra_field_number *list, unsigned *seen,
		     struct sutra_unpack *u, struct sutra_err *err)
{
	struct sutra_value key;

	if (sutra_unpack_next(u, &key))
		return sutra_field_cut_off(err, operations[d->m.op].name);
	if (key.type != SUTRA_V_STR)
		return sutra_field_wrong_type(err, "the name of an argument", "a string", key.type);
	for (unsigned i = 0; i < count(list); i++) {
		if (!is(&key, fields[list[i]].name))
			continue;
		if (*seen & 1u << i)
			return sutra_fail(err, SUTRA_E_INVALID, "%s is given twice", fields[list[i]].name);
		*seen |= 1u << i;
		return read_field(d, list[i], u, err);
	}
	return sutra_unpack_skip(u) ? sutra_field_cut_off(err, "an argument") : 0;
}

/* A map or an array of the fields; the first `required` must be there. */
static int read_fields(struct sutra_decoder *d, const enum sutra_field_number *list, unsigned required,
		       struct sutra_unpack *u, struct sutra_err *err)
{
	const char *name = operations[d->m.op].name;
	struct sutra_value v;
	unsigned seen = 0;
	int rc = 0;

	if (sutra_unpack_next(u, &v))
		return sutra_field_cut_off(err, name);
	if (v.type == SUTRA_V_NIL)
		v = (struct sutra_value){ .type = SUTRA_V_ARRAY };
	if (v.type != SUTRA_V_MAP && v.type != SUTRA_V_ARRAY)
		return sutra_field_wrong_type(err, name, "a map or an array of arguments", v.type);
	if (v.type == SUTRA_V_ARRAY && v.n > count(list))
		return sutra_fail(err, SUTRA_E_INVALID, "%s has %u arguments; it takes %u", name, v.n, count(list));
	for (uint32_t i = 0; i < v.n && !rc; i++) {
		if (v.type == SUTRA_V_MAP) {
			rc = read_pair(d, list, &seen, u, err);
		} else {
			seen |= 1u << i;
			rc = read_field(d, list[i], u, err);
		}
	}
	for (unsigned i = 0; i < required && !rc; i++)
		if (!(seen & 1u << i))
			rc = sutra_fail(err, SUTRA_E_INVALID, "%s lacks %s", name, fields[list[i]].name);
	return rc;
}

static enum sutra_op find_op(const struct sutra_value *name)
{
	int op = 0;

	while (op < SUTRA_OP_COUNT && !is(name, operations[op].name))
		op++;
	return (enum sutra_op)op;
}

static int not_served(const struct sutra_value *name, struct sutra_err *err)
{
	if (name->type != SUTRA_V_STR)
		return sutra_field_wrong_type(err, "the name of a request", "a string", name->type);
	for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++)
		if (is(name, later[i]))
			return sutra_fail(err, SUTRA_E_UNSUPPORTED,
					  "%s is not supported by this server; it serves the cache's requests",
					  later[i]);
	for (uint32_t i = 0; i < name->n && i < 64; i++)
		if (name->s[i] < ' ' || name->s[i] > '~')
			return sutra_fail(err, SUTRA_E_INVALID, "unknown request");
	return sutra_fail(err, SUTRA_E_INVALID, "unknown request \"%.*s\"",
			  (int)(name->n < 64 ? name->n : 64), name->s);
}

/* Reads up to the name; *ret_bare: the request is the name alone. */
static int read_name(struct sutra_unpack *u, struct sutra_value *ret, bool *ret_bare)
{
	if (sutra_unpack_next(u, ret))
		return SUTRA_E_SYNTAX;
	*ret_bare = ret->type == SUTRA_V_STR;
	if (*ret_bare)
		return 0;
	return ret->type != SUTRA_V_MAP || ret->n != 1 ? SUTRA_E_INVALID : sutra_unpack_next(u, ret);
}

enum sutra_op sutra_request_op(const void *payload, size_t n)
{
	struct sutra_unpack u = sutra_unpack_of(payload, n);
	struct sutra_value v;
	bool bare;

	return read_name(&u, &v, &bare) ? SUTRA_OP_COUNT : find_op(&v);
}

int sutra_request_decode(struct sutra_decoder *d, const void *payload, size_t n, struct sutra_err *err)
{
	struct sutra_unpack u = sutra_unpack_of(payload, n);
	const struct operation *o;
	struct sutra_value v = { 0 };
	bool bare;
	int rc = reset(d, SUTRA_LIMIT_DIMENSION * sizeof(float), err);

	if (rc)
		return rc;
	rc = read_name(&u, &v, &bare);
	if (rc == SUTRA_E_INVALID)
		return sutra_fail(err, rc, "a request must be a map with one pair, or a name; not %s",
				  v.type == SUTRA_V_MAP ? "another map" : sutra_value_type_name(v.type));
	if (rc)
		return n ? sutra_field_cut_off(err, "the message") : sutra_fail(err, rc, "the frame is empty");
	d->m.op = find_op(&v);
	if (d->m.op == SUTRA_OP_COUNT)
		return not_served(&v, err);
	o = &operations[d->m.op];
	for (unsigned i = 0; i < count(o->arguments); i++)
		sutra_field_reset(d, &fields[o->arguments[i]]);
	if (bare && o->required)
		return sutra_fail(err, SUTRA_E_INVALID, "%s lacks %s", o->name, fields[o->arguments[0]].name);
	if (!bare && (rc = read_fields(d, o->arguments, o->required, &u, err)))
		return rc;
	if (u.p != u.end)
		return sutra_fail(err, SUTRA_E_SYNTAX, "%zu bytes stand behind the message",
				  (size_t)(u.end - u.p));
	return 0;
}

static int code_of_name(const struct sutra_value *name)
{
	int code = SUTRA_E_FIRST_ + 1;

	while (code < SUTRA_E_END_ && !is(name, sutra_err_name(code)))
		code++;
	return code < SUTRA_E_END_ ? code : SUTRA_E_INTERNAL;
}

static int read_error(struct sutra_decoder *d, struct sutra_unpack *u)
{
	struct sutra_value map, key, v, message = { .s = "" };
	int code = SUTRA_E_INTERNAL;

	if (sutra_unpack_next(u, &map) || map.type != SUTRA_V_MAP)
		return SUTRA_E_SYNTAX;
	for (uint32_t i = 0; i < map.n; i++) {
		if (sutra_unpack_next(u, &key) || sutra_unpack_next(u, &v) || v.type != SUTRA_V_STR)
			return SUTRA_E_SYNTAX;
		if (is(&key, "code"))
			code = code_of_name(&v);
		else if (is(&key, "message"))
			message = v;
	}
	sutra_fail(&d->error, code, "%.*s", message.n < 512 ? (int)message.n : 512, message.s);
	return 0;
}

int sutra_answer_decode(struct sutra_decoder *d, const void *payload, size_t n, struct sutra_err *err)
{
	struct sutra_unpack u = sutra_unpack_of(payload, n);
	const struct operation *o = operations;
	struct sutra_value v;
	int rc = reset(d, n < SUTRA_FRAME_MAX ? n : SUTRA_FRAME_MAX, err);

	if (rc)
		return rc;
	if (sutra_unpack_next(&u, &v) || v.type != SUTRA_V_MAP || v.n != 1 || sutra_unpack_next(&u, &v))
		return sutra_field_cut_off(err, "the answer");
	if (is(&v, "Error"))
		return read_error(d, &u) ? sutra_field_cut_off(err, "the error") : 0;
	while (o < operations + SUTRA_OP_COUNT && !is(&v, o->answer))
		o++;
	if (o == operations + SUTRA_OP_COUNT)
		return sutra_fail(err, SUTRA_E_SYNTAX, "the answer has no known name");
	d->m.op = (enum sutra_op)(o - operations);
	if (o->shape != BARE)
		return read_fields(d, o->answers, count(o->answers), &u, err);
	if (o->answers[0])
		return read_field(d, o->answers[0], &u, err);
	return sutra_unpack_skip(&u) ? sutra_field_cut_off(err, o->answer) : 0;
}
