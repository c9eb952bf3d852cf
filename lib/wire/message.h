/*
 * message - requests and answers of the storage protocol as a struct, and as MessagePack.
 *
 * SUTRA_OPERATIONS is the table of what is served, a row an operation; the decoder, the encoder, the client
 * and the server's table of functions are made from it. The fields that its rows name stand in message.c.
 *
 * Decoding is strict: types, limits and missing arguments are errors that name the argument and the limit;
 * arguments nobody knows are stepped over. What a decoded message points to lies in the payload or in its
 * decoder, so both must outlive its use. Encoders append one whole frame to a buffer. The format is
 * described at the top of message.c and in sutra-wire(7). No function here keeps state: one thread a decoder.
 */
#ifndef SUTRA_WIRE_MESSAGE_H
#define SUTRA_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/concept.h"
#include "base/err.h"

#define SUTRA_LIMIT_ID 128u
#define SUTRA_LIMIT_CONTENT (10u << 20)
#define SUTRA_LIMIT_METADATA (1u << 20)
#define SUTRA_LIMIT_DIMENSION 2048u
#define SUTRA_LIMIT_BATCH 1000u
#define SUTRA_LIMIT_TTL 4294967295u	/* seconds */

/*
 * Symbol; READ, or WRITE: its answer waits until what it did is safe, or SYNC: on disk; the function of
 * the server that serves it (cmd/sutra-storage/operations.c); name; how many of its arguments must be there; its
 * arguments in the order of an array of them; name, shape and fields of its answer.
 */
#define SUTRA_OPERATIONS(X)                                                                          \
	X(LEARN_CONCEPT, WRITE, learn, "LearnConcept", 2,                                            \
	  FIELDS(CONCEPT_ID, CONTENT, EMBEDDING, STRENGTH, CONFIDENCE, METADATA, TTL_SECONDS),       \
	  "LearnConceptOk", ARRAY, FIELDS(SEQUENCE))                                                 \
	X(QUERY_CONCEPT, READ, query, "QueryConcept", 1, FIELDS(CONCEPT_ID, WITH_EMBEDDING),         \
	  "QueryConceptOk", BARE, FIELDS(CONCEPT))                                                   \
	X(GET_CONCEPTS, READ, get_all, "GetConcepts", 1, FIELDS(CONCEPT_IDS, WITH_EMBEDDING_UNLESS_FALSE), \
	  "GetConceptsOk", MAP, FIELDS(CONCEPTS))                                                    \
	X(DELETE_CONCEPT, WRITE, delete_one, "DeleteConcept", 1, FIELDS(CONCEPT_ID),                 \
	  "DeleteConceptOk", ARRAY, FIELDS(FOUND))                                                   \
	X(GET_STATS, READ, stats, "GetStats", 0, FIELDS(NONE), "StatsOk", BARE, FIELDS(PAIRS))       \
	X(FLUSH, SYNC, flush, "Flush", 0, FIELDS(NONE), "FlushOk", BARE, FIELDS(NONE))              \
	X(CLEAR, WRITE, clear, "Clear", 0, FIELDS(NONE), "ClearOk", ARRAY, FIELDS(COUNT))            \
	X(HEALTH_CHECK, READ, health, "HealthCheck", 0, FIELDS(NONE), "HealthCheckOk", BARE, FIELDS(PAIRS))

enum sutra_op {
#define X(sym, ...) SUTRA_OP_##sym,
	SUTRA_OPERATIONS(X)
#undef X
	SUTRA_OP_COUNT
};

struct sutra_id {
	const char *id;
	size_t id_len;
};

/* A request or an answer: of its fields those that the operation's row names. Borrowed memory. */
struct sutra_message {
	enum sutra_op op;
	struct sutra_concept concept;
	bool with_embedding;
	const struct sutra_id *ids;		/* at most SUTRA_LIMIT_BATCH */
	size_t n_ids;
	uint64_t value;				/* sequence or number; of a delete 0 or 1: found */
	const struct sutra_concept *concepts;	/* one for each id */
	size_t n_concepts;
	const struct sutra_buf *pairs;		/* to be encoded: n_pairs names and values, packed */
	size_t n_pairs;
	const char *json;			/* decoded: the same as JSON text */
	size_t json_len;
};

/* Each appends one frame. 0, the buffer's error, or SUTRA_E_TOOBIG: above SUTRA_FRAME_MAX, and nothing
 * was appended. with_embedding of an answer is the request's. */
int sutra_request_encode(struct sutra_buf *b, const struct sutra_message *m);
int sutra_answer_encode(struct sutra_buf *b, const struct sutra_message *m);
int sutra_answer_error(struct sutra_buf *b, const struct sutra_err *err);

/* A message and the room for what it points to. Init once, decode often, release. */
struct sutra_decoder {
	struct sutra_message m;
	struct sutra_err error;		/* that the answer is; code 0: none */
	struct sutra_id ids[SUTRA_LIMIT_BATCH];
	struct sutra_concept concepts[SUTRA_LIMIT_BATCH];
	struct sutra_buf floats;	/* embeddings, aligned */
	struct sutra_buf text;		/* maps as JSON */
};
void sutra_decoder_init(struct sutra_decoder *d);
void sutra_decoder_release(struct sutra_decoder *d);	/* NULL is fine */
/* Fill d->m from a payload. SUTRA_E_SYNTAX, INVALID, TOOBIG, UNSUPPORTED, NOMEM, each with its sentence;
 * an Error answer is 0, and d->error says what it was. */
int sutra_request_decode(struct sutra_decoder *d, const void *payload, size_t n, struct sutra_err *err);
int sutra_answer_decode(struct sutra_decoder *d, const void *payload, size_t n, struct sutra_err *err);
/* The operation that a request asks for; SUTRA_OP_COUNT: none that is served. */
enum sutra_op sutra_request_op(const void *payload, size_t n);

#endif
