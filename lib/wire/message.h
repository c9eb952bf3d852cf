/*
 * message - requests and answers of the storage protocol as a struct, and as MessagePack.
 *
 * SUTRA_OPERATIONS is the table of operations; the decoder, the encoder, the client and the server's table of
 * functions are made from it. message.c has the fields that its rows name.
 *
 * Decoding is strict: wrong types, exceeded limits and missing arguments are errors that name the argument and
 * the limit; unknown arguments are skipped. A decoded message points into the payload and its decoder, so both
 * must outlive it. Encoders append one whole frame to a buffer. message.c and sutra-wire(7) describe the
 * format. A decoder is used by one thread at a time.
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
 * Symbol; READ, WRITE (answered when the change is safe) or SYNC (answered when it is on disk); the server's
 * function (cmd/sutra-storage/operations.c); name; how many of the arguments are required; the arguments, in
 * the order of an array; name, shape and fields of the answer.
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

/* A request or an answer; used are the fields in the operation's row. The memory is borrowed. */
struct sutra_message {
	enum sutra_op op;
	struct sutra_concept concept;
	bool with_embedding;
	const struct sutra_id *ids;		/* at most SUTRA_LIMIT_BATCH */
	size_t n_ids;
	uint64_t value;				/* sequence, count, or 0 or 1: found */
	const struct sutra_concept *concepts;	/* one for each id; id NULL: not found */
	size_t n_concepts;
	const struct sutra_buf *pairs;		/* for the encoder: n_pairs names and values, packed */
	size_t n_pairs;
	const char *json;			/* from the decoder: the pairs as JSON text */
	size_t json_len;
};

/* Each appends one frame. 0, the buffer's error, or SUTRA_E_TOOBIG (above SUTRA_FRAME_MAX): nothing was
 * appended. An answer needs the request's with_embedding. */
int sutra_request_encode(struct sutra_buf *b, const struct sutra_message *m);
int sutra_answer_encode(struct sutra_buf *b, const struct sutra_message *m);
int sutra_answer_error(struct sutra_buf *b, const struct sutra_err *err);

/* A message and memory that it points to. Init once, decode often, release. */
struct sutra_decoder {
	struct sutra_message m;
	struct sutra_err error;		/* of an Error answer; code 0: it is none */
	struct sutra_id ids[SUTRA_LIMIT_BATCH];
	struct sutra_concept concepts[SUTRA_LIMIT_BATCH];
	struct sutra_buf floats;	/* embeddings, aligned */
	struct sutra_buf text;		/* maps as JSON */
};
void sutra_decoder_init(struct sutra_decoder *d);
void sutra_decoder_release(struct sutra_decoder *d);	/* NULL is fine */
/* Fill d->m from a payload. SUTRA_E_SYNTAX, INVALID, TOOBIG, UNSUPPORTED, NOMEM. For an Error answer the result
 * is 0, and d->error has the error. */
int sutra_request_decode(struct sutra_decoder *d, const void *payload, size_t n, struct sutra_err *err);
int sutra_answer_decode(struct sutra_decoder *d, const void *payload, size_t n, struct sutra_err *err);
/* The operation of a request; SUTRA_OP_COUNT: none in the table. */
enum sutra_op sutra_request_op(const void *payload, size_t n);

#endif
