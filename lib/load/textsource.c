#include "load/textsource.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "load/workload.h"

enum { MAX_FILE = 256 << 20, MAX_LINE = 64 << 10, FRESH_WORDS = 8 };

static const struct sutra_workload_spec zipf = { .seed = 15, .distinct = 2000, .alpha = 0.9, .fill = 0,
						 .trace = 100000 };

struct sutra_textsource {
	struct sutra_strv lines;	/* of a file */
	struct sutra_workload *workload;
	uint64_t nonce;
	size_t at;
};

static int new_source(struct sutra_textsource **ret, struct sutra_err *err)
{
	*ret = sutra_calloc(1, sizeof(**ret));
	return *ret ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the texts");
}

static int add_lines(struct sutra_textsource *s, const char *path, const char *text, size_t n,
		     struct sutra_err *err)
{
	const char *end = text + n;

	for (size_t number = 1; text < end; number++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((stop ? stop : end) - text);
		size_t keep = len && text[len - 1] == '\r' ? len - 1 : len;

		if (keep > MAX_LINE)
			return sutra_fail(err, SUTRA_E_INVALID, "%s, line %zu: %zu bytes; a text has at most %d", path,
					  number, keep, MAX_LINE);
		if (!sutra_str_utf8(text, keep, NULL) || memchr(text, '\0', keep))
			return sutra_fail(err, SUTRA_E_INVALID, "%s, line %zu is no UTF-8 text", path, number);
		if (keep && sutra_strv_addn(&s->lines, text, keep))
			return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %s", path);
		text += len + (stop != NULL);
	}
	return s->lines.n ? 0 : sutra_fail(err, SUTRA_E_USAGE, "%s holds no text", path);
}

int sutra_textsource_file(const char *path, struct sutra_textsource **ret, struct sutra_err *err)
{
	struct sutra_textsource *s;
	char *text = NULL;
	size_t n = 0;
	int rc = new_source(&s, err);

	if (rc)
		return rc;
	rc = sutra_file_read_text(path, MAX_FILE, &text, &n, err);
	rc = rc ? rc : add_lines(s, path, text, n, err);
	sutra_free(text);
	if (rc)
		sutra_textsource_free(s);
	else
		*ret = s;
	return rc;
}

int sutra_textsource_zipf(struct sutra_textsource **ret, struct sutra_err *err)
{
	struct sutra_textsource *s;
	int rc = new_source(&s, err);

	if (rc)
		return rc;
	rc = sutra_workload_new(&zipf, &s->workload, err);
	if (rc)
		sutra_textsource_free(s);
	else
		*ret = s;
	return rc;
}

int sutra_textsource_fresh(uint64_t nonce, struct sutra_textsource **ret, struct sutra_err *err)
{
	struct sutra_textsource *s;
	int rc = new_source(&s, err);

	if (rc)
		return rc;
	s->nonce = nonce;
	*ret = s;
	return 0;
}

void sutra_textsource_free(struct sutra_textsource *s)
{
	if (!s)
		return;
	sutra_strv_release(&s->lines);
	sutra_workload_free(s->workload);
	sutra_free(s);
}

bool sutra_textsource_next(void *source, struct sutra_buf *text, uint32_t *ret_id)
{
	struct sutra_textsource *s = source;
	size_t at = s->at++;

	if (s->lines.n)
		sutra_buf_adds(text, s->lines.items[at % s->lines.n]);
	else if (s->workload)
		sutra_workload_text(s->workload, s->workload->trace[at % zipf.trace], text);
	else
		sutra_fresh_text(s->nonce, (uint32_t)at, FRESH_WORDS, text);
	*ret_id = (uint32_t)at;
	return true;
}

json_t *sutra_textsource_document(const struct sutra_textsource *s)
{
	char digest[20];

	if (s->lines.n)
		return json_pack("{s:s, s:I}", "source", "file", "distinct", (json_int_t)s->lines.n);
	if (!s->workload)
		return json_pack("{s:s, s:i}", "source", "fresh", "words", FRESH_WORDS);
	snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)s->workload->digest);
	return json_pack("{s:s, s:I, s:f, s:s}", "source", "zipf", "distinct", (json_int_t)zipf.distinct, "alpha",
			 zipf.alpha, "digest", digest);
}
