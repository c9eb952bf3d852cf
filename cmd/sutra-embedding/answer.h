/* answer - one embedding request from its texts to its vectors, for /embed, /v1 and warm. */
#ifndef SUTRA_CMD_ANSWER_H
#define SUTRA_CMD_ANSWER_H

#include "gateway.h"
#include "model/texts.h"

struct answer {
	struct sutra_cache_request get;
	struct gateway *g;
	struct sutra_http_request *request;
	struct sutra_texts body;	/* owns the texts */
	struct sutra_buf packed;	/* owns the bytes of ids and typed texts */
	const char **texts;
	size_t *lengths;
	struct gw_model model;
	size_t dimension;
	int asked;	/* how often the cache was asked */
	bool binary, base64;
};

/* An answer to texts, all of which have this input type (NULL: none). It owns the texts as soon as *texts is
 * zeroed, which an error may leave to the caller. */
int answer_new(struct gateway *g, struct sutra_http_request *r, struct sutra_texts *texts,
	       const struct gw_model *model, const char *type, struct answer **ret, struct sutra_err *err);
void answer_free(struct answer *a);	/* with its texts and vectors */
/* Asks the cache for the vectors of a->model; a->get.done follows, on any thread. */
void answer_ask(struct answer *a);
/* The first call in done. True: there is an error, or all vectors are of one model, which a->model is now.
 * False: the vectors are of several models, or of a model that is not known yet. They are requested again
 * and done is called again; after several times with an error. */
bool answer_is_whole(struct answer *a);
int answer_model(struct gateway *g, struct gw_model *ret, struct sutra_err *err);
void answer_add_vector(const struct answer *a, size_t i, struct sutra_buf *b);	/* as JSON */
void answer_count(const struct answer *a, size_t *ret_tokens, size_t *ret_truncated);

#endif
