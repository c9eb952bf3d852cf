#include "check/pass.h"

#include "base/histogram.h"
#include "load/workload.h"
#include "net/fetch.h"

static const uint64_t REQUEST_NS = 10000000000u;
static const double RATIO_SCALE = 1e6;	/* a histogram holds whole numbers: ratios in millionths */
enum { MAX_TEXT = 4096, WORDS = 10 };

int sutra_check_embed(struct sutra_check_run *r, const char *base, const struct sutra_embed_request *q,
		      struct sutra_embed_answer *ret, struct sutra_err *err)
{
	char shown[SUTRA_FETCH_SHOWN];
	int rc = sutra_embed(base, q, sutra_check_time(r->env, REQUEST_NS), &r->last, ret, err);

	if (!rc && ret->count != q->n) {
		rc = sutra_fail(err, SUTRA_E_INVALID, "%s/embed answered %zu vectors to %zu texts",
				sutra_fetch_shown(base, shown, sizeof(shown)), ret->count, q->n);
		sutra_embed_release(ret);
	}
	return rc;
}

int sutra_check_fresh(struct sutra_check_run *r, const char *base, uint32_t number, bool raw,
		      struct sutra_embed_answer *ret, struct sutra_err *err)
{
	struct sutra_embed_request q = { .n = 1, .raw = raw, .dimension = raw ? r->shared->dimension : 0 };
	struct sutra_buf text;
	const char *one;
	int rc;

	sutra_buf_init(&text, MAX_TEXT);
	sutra_fresh_text(r->shared->nonce, number, WORDS, &text);
	one = sutra_buf_str(&text);
	q.texts = &one;
	rc = sutra_check_embed(r, base, &q, ret, err);
	sutra_buf_release(&text);
	return rc;
}

bool sutra_check_next(void *source, struct sutra_buf *text, uint32_t *ret_id)
{
	struct sutra_fresh_source *s = source;

	if (!s->left)
		return false;
	s->left--;
	*ret_id = s->shared->fresh++;
	sutra_fresh_text(s->shared->nonce, *ret_id, s->words, text);
	return true;
}

/* Sends one more new text past the cache and records how much longer it took than took_ns. */
static int record_ratio(struct sutra_check_run *r, const char *base, uint64_t took_ns,
			struct sutra_histogram *ratios, struct sutra_err *err)
{
	struct sutra_embed_answer computed;
	int rc = sutra_check_fresh(r, base, r->shared->fresh++, true, &computed, err);

	if (rc)
		return rc;
	sutra_histogram_record(ratios, (uint64_t)(RATIO_SCALE * (double)computed.took_ns /
						  (double)(took_ns ? took_ns : 1)));
	sutra_embed_release(&computed);
	return 0;
}

int sutra_check_pass(struct sutra_check_run *r, const char *base, uint32_t first, uint32_t n, bool pairs,
		     struct sutra_pass *ret, struct sutra_err *err)
{
	struct sutra_histogram *took = sutra_histogram_new(), *ratios = sutra_histogram_new();
	struct sutra_pass p = { .has_cache = true };
	int rc = took && ratios ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for a histogram");

	for (uint32_t i = 0; !rc && i < n; i++) {
		struct sutra_embed_answer a;

		rc = sutra_check_fresh(r, base, first + i, false, &a, err);
		if (rc)
			break;
		p.has_cache &= a.has_cache;
		p.l1 += a.l1;
		p.l2 += a.l2;
		p.computed += a.computed;
		sutra_histogram_record(took, a.took_ns);
		rc = pairs ? record_ratio(r, base, a.took_ns, ratios, err) : 0;
		sutra_embed_release(&a);
		sutra_check_progress(r, "%u of %u", i + 1, n);
	}
	if (!rc) {
		p.p50_ms = (double)sutra_histogram_quantile(took, 0.5) / 1e6;
		p.p95_ms = (double)sutra_histogram_quantile(took, 0.95) / 1e6;
		p.faster = (double)sutra_histogram_quantile(ratios, 0.5) / RATIO_SCALE;
		*ret = p;
	}
	sutra_histogram_free(took);
	sutra_histogram_free(ratios);
	return rc;
}
