/*
 * The storage protocol's messages (CONTRACT section 5).
 *
 * A payload is one MessagePack value. A request is a map with one pair, name to map of
 * arguments; one without arguments may be the bare string, or have nil or an empty array
 * as its arguments. An answer is a map with one pair: "<Name>Ok" to what the table in
 * sutra-wire(7) says, or "Error" to {"message": str, "code": str}.
 *
 *	LearnConcept	{"concept_id": id, "content": str|bin, "embedding": floats?,
 *			 "strength": number?, "confidence": number?,
 *			 "metadata": str|bin|map|nil?, "ttl_seconds": uint|nil?}
 *	QueryConcept	{"concept_id": id, "with_embedding": bool?}
 *	GetConcepts	{"concept_ids": [id ...], "with_embedding": bool?}
 *	DeleteConcept	{"concept_id": id}
 *	GetStats, Flush, Clear, HealthCheck
 *
 * id: str or bin, 1-128 bytes of UTF-8. floats: an array of finite numbers, or bin of
 * little-endian f32, at most 2,048 of them. A concept in an answer is an array: [true, id,
 * content, strength, confidence], then embedding (bin or nil) and metadata (str or nil) when
 * asked for. Content comes back as what it was sent as, str or bin.
 *
 * Strict where silence would lose data (types, limits, duplicates, bytes behind the message),
 * lenient where it costs nothing: arguments this version does not know are stepped over,
 * so that a newer client may talk to an older server.
 *
 * An error never costs the connection: the frame layer has already delimited the message,
 * so the next one is found wherever this one went wrong.
 */
#include "wire/message.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "wire/unpack.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "embeddings travel and are stored as little-endian f32, and are copied as they are"
#endif

static const struct {
	const char *name, *answer;
} ops[] = {
#define X(sym, name, answer) { name, answer },
	SUTRA_REQUESTS(X)
#undef X
};

const char *sutra_op_name(enum sutra_op op) { return ops[op].name; }
const char *sutra_op_answer_name(enum sutra_op op) { return ops[op].answer; }

struct argument {
	const char *name;
	bool required;
	int (*read)(struct sutra_request *r, const char *name, struct sutra_unpack *u,
		    struct sutra_err *err);
};

static int cut_off(struct sutra_err *err, const char *name)
{
	return sutra_fail(err, SUTRA_E_SYNTAX, "%s is not MessagePack, or cut off", name);
}

static int wrong_type(struct sutra_err *err, const char *name, const char *want,
		      enum sutra_value_type got)
{
	return sutra_fail(err, SUTRA_E_INVALID, "%s must be %s, not %s", name, want,
			  sutra_value_type_name(got));
}

/* A string or bytes of at most max. */
static int read_bytes(const char *name, struct sutra_unpack *u, size_t max, struct sutra_value *ret,
		      struct sutra_err *err)
{
	if (sutra_unpack_next(u, ret))
		return cut_off(err, name);
	if (ret->type != SUTRA_V_STR && ret->type != SUTRA_V_BIN)
		return wrong_type(err, name, "a string or bytes", ret->type);
	if (ret->n > max)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s is %u bytes; at most %zu are allowed", name,
				  ret->n, max);
	return 0;
}

static int read_one_id(const char *name, struct sutra_unpack *u, const char **ret_id,
		       size_t *ret_len, struct sutra_err *err)
{
	struct sutra_value v;
	size_t at;
	int rc = read_bytes(name, u, SUTRA_LIMIT_ID, &v, err);

	if (rc)
		return rc;
	if (!v.n)
		return sutra_fail(err, SUTRA_E_INVALID, "%s is empty; 1 to %u bytes are allowed", name,
				  SUTRA_LIMIT_ID);
	if (!sutra_str_utf8(v.s, v.n, &at))
		return sutra_fail(err, SUTRA_E_INVALID, "%s is not UTF-8 at byte %zu", name, at);
	*ret_id = v.s;
	*ret_len = v.n;
	return 0;
}

static int read_id(struct sutra_request *r, const char *name, struct sutra_unpack *u,
		   struct sutra_err *err)
{
	return read_one_id(name, u, &r->concept.id, &r->concept.id_len, err);
}

static int read_ids(struct sutra_request *r, const char *name, struct sutra_unpack *u,
		    struct sutra_err *err)
{
	struct sutra_value v;
	int rc;

	if (sutra_unpack_next(u, &v))
		return cut_off(err, name);
	if (v.type != SUTRA_V_ARRAY)
		return wrong_type(err, name, "an array of ids", v.type);
	if (v.n > SUTRA_LIMIT_BATCH)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s holds %u ids; at most %u are allowed", name,
				  v.n, SUTRA_LIMIT_BATCH);
	for (r->n = 0; r->n < v.n; r->n++) {
		size_t len;

		if ((rc = read_one_id(name, u, &r->ids[r->n], &len, err)))
			return rc;
		r->id_lens[r->n] = (uint8_t)len;
	}
	return 0;
}

static int read_content(struct sutra_request *r, const char *name, struct sutra_unpack *u,
			struct sutra_err *err)
{
	struct sutra_value v;
	int rc = read_bytes(name, u, SUTRA_LIMIT_CONTENT, &v, err);

	if (rc)
		return rc;
	r->concept.content = v.s;
	r->concept.content_len = v.n;
	r->concept.content_is_text = v.type == SUTRA_V_STR;
	return 0;
}

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

static int read_float_array(struct sutra_request *r, const char *name, size_t n,
			    struct sutra_unpack *u, struct sutra_err *err)
{
	struct sutra_value v;
	double d;

	for (size_t i = 0; i < n; i++) {
		if (sutra_unpack_next(u, &v))
			return cut_off(err, name);
		if (to_double(&v, &d))
			return sutra_fail(err, SUTRA_E_INVALID, "%s[%zu] must be a number, not %s", name,
					  i, sutra_value_type_name(v.type));
		r->embedding[i] = (float)d;
	}
	return 0;
}

static int read_embedding(struct sutra_request *r, const char *name, struct sutra_unpack *u,
			  struct sutra_err *err)
{
	struct sutra_value v;
	size_t n;
	int rc;

	if (sutra_unpack_next(u, &v))
		return cut_off(err, name);
	if (v.type == SUTRA_V_NIL)
		return 0;
	if (v.type != SUTRA_V_ARRAY && v.type != SUTRA_V_BIN)
		return wrong_type(err, name, "an array of numbers or bytes of f32", v.type);
	if (v.type == SUTRA_V_BIN && v.n % sizeof(float))
		return sutra_fail(err, SUTRA_E_INVALID,
				  "%s is %u bytes, which is no whole number of f32", name, v.n);
	n = v.type == SUTRA_V_BIN ? v.n / sizeof(float) : v.n;
	if (n > SUTRA_LIMIT_DIMENSION)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s has %zu dimensions; at most %u are allowed",
				  name, n, SUTRA_LIMIT_DIMENSION);
	if (v.type == SUTRA_V_BIN)
		memcpy(r->embedding, v.s, v.n);
	else if ((rc = read_float_array(r, name, n, u, err)))
		return rc;
	for (size_t i = 0; i < n; i++)
		if (!isfinite(r->embedding[i]))
			return sutra_fail(err, SUTRA_E_INVALID, "%s[%zu] is not a finite f32", name, i);
	r->concept.embedding = n ? r->embedding : NULL;
	r->concept.dimension = n;
	return 0;
}

static int read_score(const char *name, struct sutra_unpack *u, float *ret, struct sutra_err *err)
{
	struct sutra_value v;
	double d;

	if (sutra_unpack_next(u, &v))
		return cut_off(err, name);
	if (to_double(&v, &d))
		return wrong_type(err, name, "a number", v.type);
	if (!isfinite((float)d))
		return sutra_fail(err, SUTRA_E_INVALID, "%s is not a finite number", name);
	*ret = (float)d;
	return 0;
}

static int read_strength(struct sutra_request *r, const char *name, struct sutra_unpack *u,
			 struct sutra_err *err)
{
	return read_score(name, u, &r->concept.strength, err);
}

static int read_confidence(struct sutra_request *r, const char *name, struct sutra_unpack *u,
			   struct sutra_err *err)
{
	return read_score(name, u, &r->concept.confidence, err);
}

static int read_metadata(struct sutra_request *r, const char *name, struct sutra_unpack *u,
			 struct sutra_err *err)
{
	struct sutra_unpack start = *u;
	struct sutra_value v;
	int rc;

	if (sutra_unpack_next(u, &v))
		return cut_off(err, name);
	if (v.type == SUTRA_V_NIL)
		return 0;
	if (v.type == SUTRA_V_MAP) {
		*u = start;
		rc = sutra_unpack_json(u, &r->metadata);
		if (rc == SUTRA_E_INVALID)
			return sutra_fail(err, rc, "%s has a value that JSON cannot hold", name);
		if (rc == SUTRA_E_TOOBIG)
			return sutra_fail(err, rc, "%s is above %u bytes as JSON", name,
					  SUTRA_LIMIT_METADATA);
		if (rc)
			return sutra_fail(err, rc, "%s: %s", name, sutra_err_text(rc));
		r->concept.metadata = r->metadata.data;
		r->concept.metadata_len = r->metadata.len;
		return 0;
	}
	*u = start;
	if ((rc = read_bytes(name, u, SUTRA_LIMIT_METADATA, &v, err)))
		return rc;
	if (!sutra_str_utf8(v.s, v.n, NULL))
		return sutra_fail(err, SUTRA_E_INVALID, "%s is not UTF-8", name);
	r->concept.metadata = v.n ? v.s : NULL;
	r->concept.metadata_len = v.n;
	return 0;
}

static int read_ttl(struct sutra_request *r, const char *name, struct sutra_unpack *u,
		    struct sutra_err *err)
{
	struct sutra_value v;

	if (sutra_unpack_next(u, &v))
		return cut_off(err, name);
	if (v.type == SUTRA_V_NIL)
		return 0;
	if (v.type != SUTRA_V_UINT)
		return wrong_type(err, name, "a whole number of seconds", v.type);
	if (v.u > SUTRA_LIMIT_TTL)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s is %llu; at most %u are allowed", name,
				  (unsigned long long)v.u, SUTRA_LIMIT_TTL);
	r->concept.ttl_seconds = v.u;
	return 0;
}

static int read_with_embedding(struct sutra_request *r, const char *name, struct sutra_unpack *u,
			       struct sutra_err *err)
{
	struct sutra_value v;

	if (sutra_unpack_next(u, &v))
		return cut_off(err, name);
	if (v.type != SUTRA_V_BOOL)
		return wrong_type(err, name, "a boolean", v.type);
	r->with_embedding = v.u;
	return 0;
}

static const struct argument learn_arguments[] = {
	{ "concept_id", true, read_id },	  { "content", true, read_content },
	{ "embedding", false, read_embedding },	  { "strength", false, read_strength },
	{ "confidence", false, read_confidence }, { "metadata", false, read_metadata },
	{ "ttl_seconds", false, read_ttl },	  { 0 },
};
static const struct argument query_arguments[] = {
	{ "concept_id", true, read_id }, { "with_embedding", false, read_with_embedding }, { 0 },
};
static const struct argument get_arguments[] = {
	{ "concept_ids", true, read_ids }, { "with_embedding", false, read_with_embedding }, { 0 },
};
static const struct argument delete_arguments[] = { { "concept_id", true, read_id }, { 0 } };
static const struct argument no_arguments[] = { { 0 } };

/* Requests without a row are not served yet. */
static const struct argument *const arguments_of[SUTRA_OP_COUNT] = {
	[SUTRA_OP_LEARN_CONCEPT] = learn_arguments, [SUTRA_OP_QUERY_CONCEPT] = query_arguments,
	[SUTRA_OP_GET_CONCEPTS] = get_arguments,    [SUTRA_OP_DELETE_CONCEPT] = delete_arguments,
	[SUTRA_OP_GET_STATS] = no_arguments,	    [SUTRA_OP_FLUSH] = no_arguments,
	[SUTRA_OP_CLEAR] = no_arguments,	    [SUTRA_OP_HEALTH_CHECK] = no_arguments,
};

static bool is(const struct sutra_value *v, const char *name)
{
	return v->type == SUTRA_V_STR && v->n == strlen(name) && !memcmp(v->s, name, v->n);
}

static int read_pair(struct sutra_request *r, const struct argument *rows, unsigned *seen,
		     struct sutra_unpack *u, struct sutra_err *err)
{
	struct sutra_value key;

	if (sutra_unpack_next(u, &key))
		return cut_off(err, sutra_op_name(r->op));
	if (key.type != SUTRA_V_STR)
		return wrong_type(err, "the name of an argument", "a string", key.type);
	for (unsigned i = 0; rows[i].name; i++) {
		if (!is(&key, rows[i].name))
			continue;
		if (*seen & 1u << i)
			return sutra_fail(err, SUTRA_E_INVALID, "%s is given twice", rows[i].name);
		*seen |= 1u << i;
		return rows[i].read(r, rows[i].name, u, err);
	}
	return sutra_unpack_skip(u) ? cut_off(err, "an argument") : 0;
}

static int read_arguments(struct sutra_request *r, struct sutra_unpack *u, struct sutra_err *err)
{
	const struct argument *rows = arguments_of[r->op];
	struct sutra_value v;
	unsigned seen = 0;
	int rc;

	if (sutra_unpack_next(u, &v))
		return cut_off(err, sutra_op_name(r->op));
	if (v.type == SUTRA_V_NIL || (v.type == SUTRA_V_ARRAY && !v.n))
		v = (struct sutra_value){ .type = SUTRA_V_MAP };
	if (v.type != SUTRA_V_MAP)
		return wrong_type(err, sutra_op_name(r->op), "a map of arguments", v.type);
	for (uint32_t i = 0; i < v.n; i++)
		if ((rc = read_pair(r, rows, &seen, u, err)))
			return rc;
	for (unsigned i = 0; rows[i].name; i++)
		if (rows[i].required && !(seen & 1u << i))
			return sutra_fail(err, SUTRA_E_INVALID, "%s lacks %s", sutra_op_name(r->op),
					  rows[i].name);
	return 0;
}

static int find_op(const struct sutra_value *name, enum sutra_op *ret, struct sutra_err *err)
{
	if (name->type != SUTRA_V_STR)
		return wrong_type(err, "the name of a request", "a string", name->type);
	for (int op = 0; op < SUTRA_OP_COUNT; op++) {
		if (!is(name, ops[op].name))
			continue;
		*ret = (enum sutra_op)op;
		if (arguments_of[op])
			return 0;
		return sutra_fail(err, SUTRA_E_UNSUPPORTED,
				  "%s is not supported by this server; it serves the cache's requests",
				  ops[op].name);
	}
	for (uint32_t i = 0; i < name->n && i < 64; i++)
		if (name->s[i] < ' ' || name->s[i] > '~')
			return sutra_fail(err, SUTRA_E_INVALID, "unknown request");
	return sutra_fail(err, SUTRA_E_INVALID, "unknown request \"%.*s\"",
			  (int)(name->n < 64 ? name->n : 64), name->s);
}

int sutra_request_decode(struct sutra_request *r, const void *payload, size_t n,
			 struct sutra_err *err)
{
	struct sutra_unpack u = sutra_unpack_of(payload, n);
	struct sutra_value v;
	bool bare;
	int rc;

	if (sutra_unpack_next(&u, &v))
		return n ? cut_off(err, "the message") :
			   sutra_fail(err, SUTRA_E_SYNTAX, "the frame is empty");
	bare = v.type == SUTRA_V_STR;
	if (!bare && (v.type != SUTRA_V_MAP || v.n != 1))
		return sutra_fail(err, SUTRA_E_INVALID,
				  "a request must be a map with one pair, or a name; not %s",
				  v.type == SUTRA_V_MAP ? "another map" : sutra_value_type_name(v.type));
	if (!bare && sutra_unpack_next(&u, &v))
		return cut_off(err, "the name of the request");
	if ((rc = find_op(&v, &r->op, err)))
		return rc;
	r->concept = (struct sutra_concept){ .strength = 1, .confidence = 1 };
	r->with_embedding = r->op == SUTRA_OP_GET_CONCEPTS;
	r->n = 0;
	sutra_buf_clear(&r->metadata);
	if (bare && arguments_of[r->op][0].name)
		return sutra_fail(err, SUTRA_E_INVALID, "%s lacks %s", sutra_op_name(r->op),
				  arguments_of[r->op][0].name);
	if (!bare && (rc = read_arguments(r, &u, err)))
		return rc;
	if (u.p != u.end)
		return sutra_fail(err, SUTRA_E_SYNTAX, "%zu bytes stand behind the message",
				  (size_t)(u.end - u.p));
	return 0;
}

void sutra_request_init(struct sutra_request *r)
{
	r->n = 0;
	sutra_buf_init(&r->metadata, SUTRA_LIMIT_METADATA);
}

void sutra_request_release(struct sutra_request *r)
{
	if (r)
		sutra_buf_release(&r->metadata);
}
