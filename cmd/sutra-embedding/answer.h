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
	struct sutra_buf packed;	/* owns those that are not strings: ids, typed texts */
	const char **texts;
	size_t *lengths;
	struct gw_model model;
	size_t dimension;
	int asked;	/* times the cache was asked */
	bool binary, base64;
};

/* Room for n texts; answer_free gives everything back, vectors too. */
int answer_new(struct gateway *g, struct sutra_http_request *r, size_t n, struct answer **ret,
	       struct sutra_err *err);
void answer_free(struct answer *a);
/* The texts of body, all of them of this type (NULL: of none); ids where they are lists. */
int answer_take_texts(struct answer *a, const char *type, struct sutra_err *err);
/* Asks the cache for the vectors of a->model; a->get.done follows, on any thread. */
void answer_ask(struct answer *a);
/* The first thing in done. True: an error, or vectors of one model, which is a->model now. False: they
 * were of several models, or of one that is not known yet; they are asked for anew, and done is called
 * once more, with an error in the end. */
bool answer_is_whole(struct answer *a);
int answer_model(struct gateway *g, struct gw_model *ret, struct sutra_err *err);
void answer_add_vector(const struct answer *a, size_t i, struct sutra_buf *b);	/* as JSON */
void answer_count(const struct answer *a, size_t *ret_tokens, size_t *ret_truncated);

#endif
