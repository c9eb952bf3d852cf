#include "load/ask.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "net/fetch.h"

enum { MAX_URL = 512, MAX_LAST = 600, MAX_BODY = 16 << 20 };

void sutra_embed_body(struct sutra_buf *b, const struct sutra_embed_request *q)
{
	sutra_buf_adds(b, "{\"texts\":[");
	for (size_t i = 0; i < q->n; i++) {
		if (i)
			sutra_buf_addc(b, ',');
		sutra_json_add_string(b, q->texts[i], strlen(q->texts[i]));
	}
	sutra_buf_addc(b, ']');
	if (q->dimension)
		sutra_buf_addf(b, ",\"dimension\":%lld", (long long)q->dimension);
	sutra_buf_adds(b, q->raw ? ",\"normalize\":false}" : "}");
}

static int read_row(const json_t *row, size_t index, struct sutra_embed_answer *a,
		    struct sutra_err *err)
{
	if (json_array_size(row) != a->dimension)
		return sutra_fail(err, SUTRA_E_INVALID, "embedding %zu has %zu numbers, not %zu", index,
				  json_array_size(row), a->dimension);
	for (size_t i = 0; i < a->dimension; i++) {
		const json_t *v = json_array_get(row, i);

		if (!json_is_number(v))
			return sutra_fail(err, SUTRA_E_INVALID, "embedding %zu holds %s", index,
					  sutra_json_type_name(v));
		a->vectors[index * a->dimension + i] = (float)json_number_value(v);
	}
	return 0;
}

static int read_levels(const json_t *doc, struct sutra_embed_answer *a, struct sutra_err *err)
{
	const json_t *cache = json_object_get(doc, "cache");
	int rc = 0;

	a->computed = (int64_t)a->count;
	if (!json_is_object(cache))
		return 0;
	a->has_cache = true;
	a->computed = 0;
	rc = sutra_json_get_int(cache, "l1", &a->l1, err);
	rc = rc ? rc : sutra_json_get_int(cache, "l2", &a->l2, err);
	return rc ? rc : sutra_json_get_int(cache, "miss", &a->computed, err);
}

int sutra_embed_parse(const char *json, size_t n, struct sutra_embed_answer *ret,
		      struct sutra_err *err)
{
	struct sutra_embed_answer a = { .body_bytes = n };
	const json_t *rows;
	json_t *doc = NULL;
	int rc = sutra_json_parse(json, n, &doc, err);

	if (rc)
		return rc;
	rows = json_object_get(doc, "embeddings");
	a.count = json_array_size(rows);
	a.dimension = json_array_size(json_array_get(rows, 0));
	if (!a.count || !a.dimension) {
		rc = sutra_fail(err, SUTRA_E_INVALID, "the answer holds no \"embeddings\"");
		goto out;
	}
	a.vectors = sutra_calloc(a.count * a.dimension, sizeof(float));
	if (!a.vectors) {
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu vectors", a.count);
		goto out;
	}
	for (size_t i = 0; !rc && i < a.count; i++)
		rc = read_row(json_array_get(rows, i), i, &a, err);
	rc = rc ? rc : read_levels(doc, &a, err);
out:
	json_decref(doc);
	if (rc)
		sutra_embed_release(&a);
	else
		*ret = a;
	return rc;
}

int sutra_embed(const char *base, const struct sutra_embed_request *q, uint64_t timeout_ns,
		struct sutra_buf *last, struct sutra_embed_answer *ret, struct sutra_err *err)
{
	char url[MAX_URL], shown[SUTRA_FETCH_SHOWN];
	struct sutra_buf body;
	struct sutra_fetch f;
	int rc;

	sutra_buf_init(&body, MAX_BODY);
	sutra_fetch_init(&f);
	sutra_embed_body(&body, q);
	if (sutra_buf_error(&body)) {
		rc = sutra_fail(err, sutra_buf_error(&body), "a request of %zu texts is too large", q->n);
		goto out;
	}
	snprintf(url, sizeof(url), "%s/embed", base);
	f.url = url;
	f.body = body.data;
	f.body_len = body.len;
	f.timeout_ns = timeout_ns;
	rc = sutra_fetch_one(&f, err);
	sutra_fetch_shown(url, shown, sizeof(shown));
	if (last) {
		sutra_buf_clear(last);
		sutra_buf_addf(last, "POST %s: %d %.*s", shown, f.status, MAX_LAST,
			       sutra_buf_str(&f.answer));
	}
	if (rc)
		goto out;
	rc = sutra_embed_parse(sutra_buf_str(&f.answer), f.answer.len, ret, err);
	if (rc)
		sutra_err_prefix(err, "%s", shown);
	else
		ret->took_ns = f.total_ns;
out:
	sutra_fetch_release(&f);
	sutra_buf_release(&body);
	return rc;
}

void sutra_embed_release(struct sutra_embed_answer *a)
{
	sutra_free(a->vectors);
	*a = (struct sutra_embed_answer){ 0 };
}

int sutra_info_read(const char *base, const char *key, uint64_t timeout_ns, int64_t *ret,
		    struct sutra_err *err)
{
	char shown[SUTRA_FETCH_SHOWN];
	struct sutra_fetch f;
	json_t *doc = NULL;
	int64_t v = 0;
	int rc = sutra_fetch_get(&f, base, "/info", timeout_ns, err);

	rc = rc ? rc : sutra_json_parse(sutra_buf_str(&f.answer), f.answer.len, &doc, err);
	rc = rc ? rc : sutra_json_get_int(doc, key, &v, err);
	if (!rc && v < 1)
		rc = sutra_fail(err, SUTRA_E_INVALID, "%s/info does not report \"%s\"",
				sutra_fetch_shown(base, shown, sizeof(shown)), key);
	json_decref(doc);
	sutra_fetch_release(&f);
	if (!rc)
		*ret = v;
	return rc;
}
