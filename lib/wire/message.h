/*
 * message - requests and answers of the storage protocol as structs, and as MessagePack.
 *
 * Decoding is strict and allocates only for metadata given as a map: types, limits and
 * missing arguments are errors that name the argument and the limit; arguments nobody
 * knows are stepped over. Strings of a decoded message point into it, so it must outlive
 * the struct. Encoders append one whole frame to a buffer. The format is
 * described at the top of message.c and in sutra-wire(7).
 */
#ifndef SUTRA_WIRE_MESSAGE_H
#define SUTRA_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* CONTRACT section 5. */
#define SUTRA_LIMIT_ID 128u
#define SUTRA_LIMIT_CONTENT (10u << 20)
#define SUTRA_LIMIT_METADATA (1u << 20)
#define SUTRA_LIMIT_DIMENSION 2048u
#define SUTRA_LIMIT_BATCH 1000u
#define SUTRA_LIMIT_TTL 4294967295u	/* seconds */

/* Every request of the contract: symbol, name, name of its answer. The first eight are
 * decoded; any other is answered with not_supported. */
#define SUTRA_REQUESTS(X)                                                     \
	X(LEARN_CONCEPT, "LearnConcept", "LearnConceptOk")                    \
	X(QUERY_CONCEPT, "QueryConcept", "QueryConceptOk")                    \
	X(GET_CONCEPTS, "GetConcepts", "GetConceptsOk")                       \
	X(DELETE_CONCEPT, "DeleteConcept", "DeleteConceptOk")                 \
	X(GET_STATS, "GetStats", "StatsOk")                                   \
	X(FLUSH, "Flush", "FlushOk")                                          \
	X(CLEAR, "Clear", "ClearOk")                                          \
	X(HEALTH_CHECK, "HealthCheck", "HealthCheckOk")                       \
	X(LEARN_CONCEPT_V2, "LearnConceptV2", "LearnConceptV2Ok")             \
	X(LEARN_BATCH, "LearnBatch", "LearnBatchOk")                          \
	X(LEARN_ASSOCIATION, "LearnAssociation", "LearnAssociationOk")        \
	X(GET_NEIGHBORS, "GetNeighbors", "GetNeighborsOk")                    \
	X(GET_ASSOCIATION, "GetAssociation", "GetAssociationOk")              \
	X(FIND_PATH, "FindPath", "FindPathOk")                                \
	X(FIND_PATHS, "FindPaths", "FindPathsOk")                             \
	X(VECTOR_SEARCH, "VectorSearch", "VectorSearchOk")                    \
	X(INVALIDATE_SIMILAR, "InvalidateSimilar", "InvalidateSimilarOk")     \
	X(GET_ALL_CONCEPT_IDS, "GetAllConceptIds", "GetAllConceptIdsOk")      \
	X(SNAPSHOT, "Snapshot", "SnapshotOk")
enum sutra_op {
#define X(sym, name, answer) SUTRA_OP_##sym,
	SUTRA_REQUESTS(X)
#undef X
	SUTRA_OP_COUNT
};
const char *sutra_op_name(enum sutra_op op);
const char *sutra_op_answer_name(enum sutra_op op);

/* A concept as it travels. Borrowed memory. */
struct sutra_concept {
	const char *id;			/* 1-128 bytes of UTF-8 */
	size_t id_len;
	const void *content;
	size_t content_len;
	const float *embedding;		/* NULL: none */
	size_t dimension;
	float strength, confidence;
	const char *metadata;		/* JSON object as text; NULL: none */
	size_t metadata_len;
	uint64_t ttl_seconds;		/* 0: the server's default */
	bool content_is_text;		/* travels as a string, else as bytes */
};

struct sutra_request {
	enum sutra_op op;
	struct sutra_concept concept;	/* LearnConcept; only the id: QueryConcept, DeleteConcept */
	bool with_embedding;		/* QueryConcept (default no), GetConcepts (default yes) */
	size_t n;			/* GetConcepts */
	const char *ids[SUTRA_LIMIT_BATCH];
	uint8_t id_lens[SUTRA_LIMIT_BATCH];
	float embedding[SUTRA_LIMIT_DIMENSION];
	struct sutra_buf metadata;	/* rendered from a map */
};

void sutra_request_init(struct sutra_request *r);
void sutra_request_release(struct sutra_request *r);
/* Fills *r (init once, reuse) from a payload. SUTRA_E_SYNTAX, INVALID, TOOBIG, UNSUPPORTED,
 * NOMEM, each with its sentence. */
int sutra_request_decode(struct sutra_request *r, const void *payload, size_t n,
			 struct sutra_err *err);

/* Requests, each one frame. 0 or the buffer's error. */
int sutra_request_learn(struct sutra_buf *b, const struct sutra_concept *c);
int sutra_request_get(struct sutra_buf *b, const char *const *ids, size_t n);
int sutra_request_id(struct sutra_buf *b, enum sutra_op op, const char *id, bool with_embedding);
int sutra_request_bare(struct sutra_buf *b, enum sutra_op op);

/* Answers, each one frame. */
int sutra_answer_number(struct sutra_buf *b, enum sutra_op op, uint64_t n);	/* [n] */
int sutra_answer_flag(struct sutra_buf *b, enum sutra_op op, bool flag);	/* [flag] */
int sutra_answer_nil(struct sutra_buf *b, enum sutra_op op);
int sutra_answer_error(struct sutra_buf *b, const struct sutra_err *err);
/* QueryConceptOk; c NULL: not found. */
int sutra_answer_query(struct sutra_buf *b, const char *id, size_t id_len,
		       const struct sutra_concept *c, bool with_embedding);
/* GetConceptsOk in steps: begin, n times add, sutra_frame_end. */
size_t sutra_answer_get_begin(struct sutra_buf *b, size_t n);
void sutra_answer_get_add(struct sutra_buf *b, const struct sutra_concept *c, bool with_embedding);

/* A map of names and values, in steps: begin, n times one of the adds, sutra_frame_end. */
size_t sutra_answer_map_begin(struct sutra_buf *b, enum sutra_op op, size_t n);
void sutra_answer_add_number(struct sutra_buf *b, const char *name, uint64_t v);
void sutra_answer_add_double(struct sutra_buf *b, const char *name, double v);
void sutra_answer_add_flag(struct sutra_buf *b, const char *name, bool v);
void sutra_answer_add_text(struct sutra_buf *b, const char *name, const char *v);
void sutra_answer_add_maps(struct sutra_buf *b, const char *name, size_t n, size_t pairs_of_first);

/* An answer as the client reads it. */
struct sutra_answer {
	enum sutra_op op;
	int code;			/* of an Error answer; else 0 */
	char message[256];		/* of an Error answer */
	uint64_t value;			/* number, flag, or found */
	size_t n;
	struct sutra_concept concepts[SUTRA_LIMIT_BATCH];
	bool found[SUTRA_LIMIT_BATCH];
	struct sutra_buf text;		/* a map (StatsOk, HealthCheckOk) as JSON */
	struct sutra_buf floats;	/* embeddings, aligned */
};
void sutra_answer_init(struct sutra_answer *a);
void sutra_answer_release(struct sutra_answer *a);
/* 0, SUTRA_E_SYNTAX or NOMEM. */
int sutra_answer_decode(struct sutra_answer *a, const void *payload, size_t n);

#endif
