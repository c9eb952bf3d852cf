/* lib/wire: frames, messages, hostile input; MessagePack beside msgpack-c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <msgpack.h>
#include <string.h>

#include "base/alloc.h"
#include "net/plain.h"
#include "wire/frame.h"
#include "wire/message.h"
#include "wire/pack.h"
#include "wire/unpack.h"

static struct sutra_decoder *request, *answer;
static struct sutra_buf b;

static int setup(void **state)
{
	request = sutra_calloc(1, sizeof(*request));
	answer = sutra_calloc(1, sizeof(*answer));
	sutra_decoder_init(request);
	sutra_decoder_init(answer);
	sutra_buf_init(&b, 100 << 20);
	return 0;
}

static int teardown(void **state)
{
	sutra_decoder_release(request);
	sutra_decoder_release(answer);
	sutra_free(request);
	sutra_free(answer);
	sutra_buf_release(&b);
	return 0;
}

/* The one frame in b, decoded. */
static int decode_request(struct sutra_err *err)
{
	size_t len;

	assert_int_equal(sutra_frame_peek(b.data, b.len, &len), 1);
	assert_int_equal(len + SUTRA_FRAME_HEAD, b.len);
	return sutra_request_decode(request, b.data + SUTRA_FRAME_HEAD, len, err);
}

static void decode_answer(void)
{
	size_t len;

	assert_int_equal(sutra_frame_peek(b.data, b.len, &len), 1);
	assert_int_equal(len + SUTRA_FRAME_HEAD, b.len);
	assert_int_equal(sutra_answer_decode(answer, b.data + SUTRA_FRAME_HEAD, len, NULL), 0);
	sutra_buf_clear(&b);
}

static void frames_are_whole_or_not_there(void **state)
{
	size_t begin, len = 7;

	sutra_buf_clear(&b);
	begin = sutra_frame_begin(&b);
	sutra_buf_adds(&b, "payload");
	assert_int_equal(sutra_frame_end(&b, begin), 0);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(sutra_frame_peek(b.data, n, &len), 0);
	assert_int_equal(sutra_frame_peek(b.data, b.len, &len), 1);
	assert_int_equal(len, 7);
	assert_int_equal(sutra_frame_peek("\x04\0\0\0", 4, &len), 0);
	assert_int_equal(sutra_frame_peek("\x04\0\0\1", 4, &len), SUTRA_E_TOOBIG);
	assert_int_equal(len, (64 << 20) + 1);
	assert_int_equal(sutra_frame_peek("\xFF\xFF\xFF\xFF", 4, &len), SUTRA_E_TOOBIG);
}

static void learn_travels_whole(void **state)
{
	const float v[3] = { 1, -0.5f, 0.25f };
	const struct sutra_message learn = {
		.op = SUTRA_OP_LEARN_CONCEPT,
		.concept = { .id = "\xC3\xA4:1", .id_len = 4, .content = "a\0b", .content_len = 3, .embedding = v,
			     .dimension = 3, .strength = 0.5f, .confidence = 0.75f, .metadata = "{\"k\":1}",
			     .metadata_len = 7, .ttl_seconds = 60 }
	};
	const struct sutra_concept *c = &request->m.concept;
	struct sutra_err err;

	sutra_buf_clear(&b);
	assert_int_equal(sutra_request_encode(&b, &learn), 0);
	assert_int_equal(decode_request(&err), 0);
	assert_int_equal(request->m.op, SUTRA_OP_LEARN_CONCEPT);
	assert_memory_equal(c->id, "\xC3\xA4:1", 4);
	assert_int_equal(c->content_len, 3);
	assert_memory_equal(c->content, "a\0b", 3);
	assert_false(c->content_is_text);
	assert_int_equal(c->dimension, 3);
	assert_memory_equal(c->embedding, v, sizeof(v));
	assert_true(c->strength == 0.5f && c->confidence == 0.75f);
	assert_memory_equal(c->metadata, "{\"k\":1}", 7);
	assert_int_equal(c->ttl_seconds, 60);
}

/* As a client reads it, from the answer's fields. */
static const struct sutra_message *answered(const struct sutra_message *a)
{
	sutra_buf_clear(&b);
	assert_int_equal(sutra_answer_encode(&b, a), 0);
	decode_answer();
	assert_int_equal(answer->error.code, 0);
	assert_int_equal(answer->m.op, a->op);
	return &answer->m;
}

static void answers_travel_whole(void **state)
{
	const float v[2] = { 3, 4 };
	const struct sutra_concept c = { .id = "x", .id_len = 1, .content = "text", .content_len = 4,
					 .content_is_text = true, .embedding = v, .dimension = 2,
					 .strength = 1, .confidence = 1 };
	const struct sutra_concept list[3] = { { 0 }, c, { 0 } };
	const struct sutra_message *m;
	struct sutra_buf pairs;
	struct sutra_err err;

	m = answered(&(struct sutra_message){ .op = SUTRA_OP_GET_CONCEPTS, .concepts = list, .n_concepts = 3,
					      .with_embedding = true });
	assert_int_equal(m->n_concepts, 3);
	assert_true(!m->concepts[0].id && !m->concepts[2].id && m->concepts[1].content_is_text);
	assert_memory_equal(m->concepts[1].embedding, v, sizeof(v));
	m = answered(&(struct sutra_message){ .op = SUTRA_OP_QUERY_CONCEPT, .with_embedding = true,
					      .concept = { .id = "id", .id_len = 2, .content = "" } });
	assert_int_equal(m->value, 0);
	m = answered(&(struct sutra_message){ .op = SUTRA_OP_QUERY_CONCEPT, .concept = c, .value = 1 });
	assert_int_equal(m->value, 1);
	assert_null(m->concept.embedding);
	m = answered(&(struct sutra_message){ .op = SUTRA_OP_LEARN_CONCEPT, .value = 1ull << 40 });
	assert_true(m->value == 1ull << 40);
	m = answered(&(struct sutra_message){ .op = SUTRA_OP_DELETE_CONCEPT, .value = 1 });
	assert_int_equal(m->value, 1);
	answered(&(struct sutra_message){ .op = SUTRA_OP_FLUSH });
	sutra_buf_init(&pairs, 1000);
	sutra_pack_str(&pairs, "hits");
	sutra_pack_uint(&pairs, 7);
	sutra_pack_str(&pairs, "writes");
	sutra_pack_str(&pairs, "a \"b\"");
	m = answered(&(struct sutra_message){ .op = SUTRA_OP_GET_STATS, .pairs = &pairs, .n_pairs = 2 });
	assert_string_equal(m->json, "{\"hits\":7,\"writes\":\"a \\\"b\\\"\"}");
	sutra_buf_release(&pairs);
	sutra_fail(&err, SUTRA_E_FULL, "no room");
	sutra_answer_error(&b, &err);
	decode_answer();
	assert_int_equal(answer->error.code, SUTRA_E_FULL);
	assert_string_equal(answer->error.message, "no room");
}

/* msgpack-c writes the same bytes, at each edge of a form. */
static void values_are_packed_as_the_reference_does(void **state)
{
	static const uint64_t edges[] = { 0, 1, 15, 16, 31, 32, 127, 128, 255, 256, 65535, 65536, 1ull << 31,
					  UINT32_MAX, 1ull << 32, UINT64_MAX };
	static const char text[65536];
	msgpack_packer k;
	msgpack_sbuffer want;

	msgpack_sbuffer_init(&want);
	msgpack_packer_init(&k, &want, msgpack_sbuffer_write);
	sutra_buf_clear(&b);
	for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
		size_t n = (size_t)edges[i];

		msgpack_pack_uint64(&k, edges[i]);
		sutra_pack_uint(&b, edges[i]);
		if (n > sizeof(text))
			continue;
		msgpack_pack_str_with_body(&k, text, n);
		sutra_pack_bytes(&b, text, n, true);
		msgpack_pack_bin_with_body(&k, text, n);
		sutra_pack_bytes(&b, text, n, false);
		msgpack_pack_array(&k, n);
		sutra_pack_array(&b, n);
		msgpack_pack_map(&k, n);
		sutra_pack_map(&b, n);
	}
	msgpack_pack_nil(&k);
	sutra_pack_nil(&b);
	msgpack_pack_true(&k);
	sutra_pack_bool(&b, true);
	msgpack_pack_false(&k);
	sutra_pack_bool(&b, false);
	msgpack_pack_float(&k, -0.1f);
	sutra_pack_float(&b, -0.1f);
	msgpack_pack_double(&k, 1e300);
	sutra_pack_double(&b, 1e300);
	assert_int_equal(b.len, want.size);
	assert_memory_equal(b.data, want.data, want.size);
	msgpack_sbuffer_destroy(&want);
}

#define BYTES(s) s, sizeof(s) - 1

static void bad_requests_are_named(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int code;
		const char *words;
	} rows[] = {
		{ BYTES(""), SUTRA_E_SYNTAX, "empty" },
		{ BYTES("\xC1"), SUTRA_E_SYNTAX, "not MessagePack" },
		{ BYTES("\xDB\xFF\xFF\xFF\xFF"), SUTRA_E_SYNTAX, "cut off" },
		{ BYTES("\xDD\xFF\xFF\xFF\xFF"), SUTRA_E_SYNTAX, "cut off" },
		{ BYTES("\x01"), SUTRA_E_INVALID, "map with one pair" },
		{ BYTES("\x80"), SUTRA_E_INVALID, "another map" },
		{ BYTES("\xA3" "Foo"), SUTRA_E_INVALID, "unknown request \"Foo\"" },
		{ BYTES("\xA8" "Snapshot"), SUTRA_E_UNSUPPORTED, "Snapshot is not supported" },
		{ BYTES("\x81\xAC" "VectorSearch\x80"), SUTRA_E_UNSUPPORTED, "VectorSearch" },
		{ BYTES("\xA5" "Flush\xC0"), SUTRA_E_SYNTAX, "1 bytes stand behind" },
		{ BYTES("\x81\xA5" "Flush\x91\xC0"), SUTRA_E_INVALID, "Flush has 1 arguments; it takes 0" },
		{ BYTES("\x81\xAC" "LearnConcept\x91\xA1x"), SUTRA_E_INVALID, "LearnConcept lacks content" },
		{ BYTES("\x81\xAC" "LearnConcept\xA1x"), SUTRA_E_INVALID, "must be a map or an array of arguments" },
		{ BYTES("\xAC" "LearnConcept"), SUTRA_E_INVALID, "LearnConcept lacks concept_id" },
		{ BYTES("\x81\xAD" "DeleteConcept\x81\xAA" "concept_id\x07"), SUTRA_E_INVALID,
		  "concept_id must be a string or bytes, not a number" },
		{ BYTES("\x81\xAD" "DeleteConcept\x81\xAA" "concept_id\xA0"), SUTRA_E_INVALID, "is empty" },
		{ BYTES("\x81\xAD" "DeleteConcept\x81\xAA" "concept_id\xA1\xFF"), SUTRA_E_INVALID,
		  "not UTF-8 at byte 0" },
		{ BYTES("\x81\xAD" "DeleteConcept\x82\xAA" "concept_id\xA1x\xAA" "concept_id\xA1y"),
		  SUTRA_E_INVALID, "given twice" },
		{ BYTES("\x81\xAB" "GetConcepts\x81\xAB" "concept_ids\xDC\x03\xE9"), SUTRA_E_SYNTAX, "cut off" },
		{ BYTES("\x81\xAC" "LearnConcept\x83\xAA" "concept_id\xA1x\xA7" "content\xA1y\xA9"
			"embedding\xC4\x03" "abc"), SUTRA_E_INVALID, "no whole number of f32" },
		{ BYTES("\x81\xAC" "LearnConcept\x83\xAA" "concept_id\xA1x\xA7" "content\xA1y\xA9"
			"embedding\x92\x01\xC0"), SUTRA_E_INVALID, "embedding[1] must be a number, not nil" },
		{ BYTES("\x81\xAC" "LearnConcept\x83\xAA" "concept_id\xA1x\xA7" "content\xA1y\xA9"
			"embedding\x91\xCA\x7F\xC0\0\0"), SUTRA_E_INVALID, "embedding[0] is not a finite" },
		{ BYTES("\x81\xAC" "LearnConcept\x83\xAA" "concept_id\xA1x\xA7" "content\xA1y\xAB"
			"ttl_seconds\xCF\0\0\0\1\0\0\0\0"), SUTRA_E_TOOBIG, "at most 4294967295" },
	};
	struct sutra_err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(sutra_request_decode(request, rows[i].bytes, rows[i].n, &err), rows[i].code);
		if (!strstr(err.message, rows[i].words))
			fail_msg("row %zu says \"%s\"", i, err.message);
	}
}

/* One past each limit is an error that names the limit; the limit itself passes. */
static void limits_are_exact(void **state)
{
	static char text[SUTRA_LIMIT_CONTENT + 1];
	static float v[SUTRA_LIMIT_DIMENSION + 1];
	static struct sutra_id ids[SUTRA_LIMIT_BATCH + 1];
	struct sutra_message learn = { .op = SUTRA_OP_LEARN_CONCEPT,
				       .concept = { .id = text, .id_len = 128, .content = text } };
	struct sutra_message get = { .op = SUTRA_OP_GET_CONCEPTS, .ids = ids };
	struct sutra_concept *c = &learn.concept;
	struct sutra_err err;

	memset(text, 'a', sizeof(text));
	for (int over = 0; over < 2; over++) {
		c->content_len = SUTRA_LIMIT_CONTENT + (size_t)over;
		sutra_buf_clear(&b);
		sutra_request_encode(&b, &learn);
		assert_int_equal(decode_request(&err), over ? SUTRA_E_TOOBIG : 0);
	}
	assert_non_null(strstr(err.message, "at most 10485760"));
	c->content_len = 1;
	c->embedding = v;
	for (int over = 0; over < 2; over++) {
		c->dimension = SUTRA_LIMIT_DIMENSION + (size_t)over;
		sutra_buf_clear(&b);
		sutra_request_encode(&b, &learn);
		assert_int_equal(decode_request(&err), over ? SUTRA_E_TOOBIG : 0);
	}
	assert_non_null(strstr(err.message, "at most 2048"));
	c->embedding = NULL;
	c->id_len = 129;
	sutra_buf_clear(&b);
	sutra_request_encode(&b, &learn);
	assert_int_equal(decode_request(&err), SUTRA_E_TOOBIG);
	assert_non_null(strstr(err.message, "at most 128"));
	for (size_t i = 0; i <= SUTRA_LIMIT_BATCH; i++)
		ids[i] = (struct sutra_id){ "id", 2 };
	for (int over = 0; over < 2; over++) {
		sutra_buf_clear(&b);
		get.n_ids = SUTRA_LIMIT_BATCH + (size_t)over;
		sutra_request_encode(&b, &get);
		assert_int_equal(decode_request(&err), over ? SUTRA_E_TOOBIG : 0);
	}
	assert_non_null(strstr(err.message, "at most 1000"));
}

static void every_cut_is_refused(void **state)
{
	const float v[2] = { 1, 2 };
	const struct sutra_message learn = { .op = SUTRA_OP_LEARN_CONCEPT,
					     .concept = { .id = "id", .id_len = 2, .content = "content",
							  .content_len = 7, .embedding = v, .dimension = 2,
							  .metadata = "{}", .metadata_len = 2, .ttl_seconds = 9 } };
	struct sutra_err err;

	sutra_buf_clear(&b);
	sutra_request_encode(&b, &learn);
	for (size_t n = 0; n + SUTRA_FRAME_HEAD < b.len; n++) {
		char *cut = sutra_memdup(b.data + SUTRA_FRAME_HEAD, n ? n : 1);

		assert_int_equal(sutra_request_decode(request, cut, n, &err), SUTRA_E_SYNTAX);
		sutra_free(cut);
	}
}

static void metadata_as_a_map_becomes_json(void **state)
{
	static const char bytes[] = "\x81\xAC" "LearnConcept\x83\xAA" "concept_id\xA1x\xA7" "content\xC4\1y\xA8"
				    "metadata\x82\xA1" "a\x93\x01\xC3\xFF\xA1" "b\xC0";
	struct sutra_err err;

	assert_int_equal(sutra_request_decode(request, bytes, sizeof(bytes) - 1, &err), 0);
	assert_string_equal(request->m.concept.metadata, "{\"a\":[1,true,-1],\"b\":null}");
}

/* An array of them, in the order of the row; what is left out at its end has its usual value. */
static void arguments_come_by_name_or_in_order(void **state)
{
	static const char learn[] = "\x81\xAC" "LearnConcept\x95\xA1x\xA1y\xC0\xCA\x3F\0\0\0\x01";
	static const char get[] = "\x81\xAB" "GetConcepts\x92\x91\xA1x\xC2";
	const struct sutra_message *m = &request->m;
	struct sutra_err err;

	assert_int_equal(sutra_request_decode(request, learn, sizeof(learn) - 1, &err), 0);
	assert_true(m->concept.strength == 0.5f && m->concept.confidence == 1 && !m->concept.embedding);
	assert_true(m->concept.content_len == 1 && !m->concept.metadata && !m->concept.ttl_seconds);
	assert_int_equal(sutra_request_decode(request, get, sizeof(get) - 1, &err), 0);
	assert_true(m->n_ids == 1 && !m->with_embedding);
	assert_int_equal(sutra_request_decode(request, get, sizeof(get) - 2, &err), SUTRA_E_SYNTAX);
	assert_int_equal(sutra_request_op(get, sizeof(get) - 1), SUTRA_OP_GET_CONCEPTS);
	assert_int_equal(sutra_request_op("\xA5" "Flush", 6), SUTRA_OP_FLUSH);
	assert_int_equal(sutra_request_op("\xA5" "Flus", 5), SUTRA_OP_COUNT);
}

static void plain_http_heads(void **state)
{
	struct sutra_plain r;
	const char *head = "GET /health?x=1 HTTP/1.1\r\nHost: a\r\nX-Request-Id:  abc \r\n\r\nrest";

	assert_true(sutra_plain_looks_http("GET /") && sutra_plain_looks_http("POST"));
	assert_false(sutra_plain_looks_http("\0\0\0\1"));
	for (size_t n = 0; n < strlen(head) - 4; n++)
		assert_int_equal(sutra_plain_parse(head, n, &r), 0);
	assert_int_equal(sutra_plain_parse(head, strlen(head), &r), (int)strlen(head) - 4);
	assert_string_equal(r.path, "/health");
	assert_string_equal(r.id, "abc");
	assert_true(r.keep_alive && !r.has_body);
	assert_int_equal(sutra_plain_parse("GET\r\n\r\n", 7, &r), SUTRA_E_SYNTAX);
	assert_int_equal(sutra_plain_parse("GET / HTTP/2.0\r\n\r\n", 18, &r), SUTRA_E_SYNTAX);
	assert_int_equal(sutra_plain_parse("GET / HTTP/1.1\rX\r\n\r\n", 20, &r), SUTRA_E_SYNTAX);
	assert_true(sutra_plain_parse("GET / HTTP/1.0\r\n\r\n", 18, &r) > 0 && !r.keep_alive);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_whole_or_not_there), cmocka_unit_test(learn_travels_whole),
		cmocka_unit_test(answers_travel_whole), cmocka_unit_test(values_are_packed_as_the_reference_does),
		cmocka_unit_test(arguments_come_by_name_or_in_order), cmocka_unit_test(bad_requests_are_named),
		cmocka_unit_test(limits_are_exact),		 cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(metadata_as_a_map_becomes_json), cmocka_unit_test(plain_http_heads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
