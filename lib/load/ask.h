/*
 * ask - one request to an embedding service, as checks and load need it.
 *
 * Works against the gateway and against an ml-base replica alike. The answer is JSON
 * (CONTRACT sections 3, 4); a replica's answer carries no cache levels, so that every text
 * counts as computed.
 */
#ifndef SUTRA_LOAD_ASK_H
#define SUTRA_LOAD_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct sutra_embed_request {
	const char *const *texts;
	size_t n;
	int64_t dimension;	/* 0: the service's default */
	bool raw;		/* normalize:false, which also goes past the gateway's cache */
};

struct sutra_embed_answer {
	float *vectors;		/* count rows of dimension */
	size_t count, dimension;
	bool has_cache;		/* the answer came from a gateway */
	int64_t l1, l2, computed;
	size_t body_bytes;	/* of the JSON answer */
	uint64_t took_ns;
};

/* {"texts":[...],...} */
void sutra_embed_body(struct sutra_buf *b, const struct sutra_embed_request *q);
/* Reads an answer; SUTRA_E_INVALID names what is missing or of another shape. */
int sutra_embed_parse(const char *json, size_t n, struct sutra_embed_answer *ret,
		      struct sutra_err *err);
/* POST base/embed. *last (may be NULL) gets the beginning of the reply, also on failure. */
int sutra_embed(const char *base, const struct sutra_embed_request *q, uint64_t timeout_ns,
		struct sutra_buf *last, struct sutra_embed_answer *ret, struct sutra_err *err);
void sutra_embed_release(struct sutra_embed_answer *a);

/* Number `key` of GET base/info, above 0. */
int sutra_info_read(const char *base, const char *key, uint64_t timeout_ns, int64_t *ret,
		    struct sutra_err *err);

#endif
