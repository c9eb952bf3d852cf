#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "sutra/command.h"
#include "probe/gateway.h"
#include "sutra/stackio.h"
#include "term/progress.h"

enum { BATCH = 256, MAX_BATCH_BYTES = 4 << 20, MAX_LINE = 1 << 20 };

static const char *url_flag;

static const struct sutra_option rows[] = {
	{ 0, "url", SUTRA_OPT_STRING, &url_flag, "URL", "another gateway than the deployed one", 0, 0, NULL },
	{ 0 },
};

/* Posts to every gateway, also after one has failed, and appends the answers; returns the first failure. */
static int post_all(const struct sutra_strv *bases, const char *path, const char *body, json_t *answers,
		    struct sutra_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < bases->n; i++) {
		struct sutra_err why;
		json_t *doc;

		if (!sutra_gateway_call(bases->items[i], "POST", path, body, &doc, &why)) {
			json_array_append_new(answers, doc);
		} else {
			*err = rc ? *err : why;
			rc = err->code;
		}
	}
	return rc;
}

static json_int_t count_of(const json_t *answer, const char *key)
{
	return json_integer_value(json_object_get(answer, key));
}

static int clear(const struct sutra_strv *bases, struct sutra_err *err)
{
	json_t *answers = json_array(), *a;
	int rc = post_all(bases, "/cache/clear", NULL, answers, err);
	json_int_t l1 = 0, l2 = 0;
	size_t i;

	json_array_foreach (answers, i, a) {
		l1 += count_of(a, "l1");
		l2 += count_of(a, "l2");
	}
	json_decref(answers);
	if (rc)
		return rc;
	if (common.json)
		print_document(json_pack("{s:s, s:I, s:I}", "schema", "sutra.cache-clear/1", "l1", l1, "l2", l2));
	else if (!common.quiet)
		printf("cleared: %lld entries of L1, %lld of L2\n", (long long)l1, (long long)l2);
	return 0;
}

static int invalidate(const struct sutra_strv *bases, const char *text, struct sutra_err *err)
{
	json_t *answers = json_array(), *a;
	json_int_t gone = 0;
	struct sutra_buf body;
	size_t i;
	int rc;

	sutra_buf_init(&body, 8 * MAX_LINE);
	sutra_buf_adds(&body, "{\"text\":");
	sutra_json_add_string(&body, text, strlen(text));
	sutra_buf_addc(&body, '}');
	rc = post_all(bases, "/cache/invalidate", sutra_buf_str(&body), answers, err);
	json_array_foreach (answers, i, a) {
		gone = count_of(a, "invalidated") > gone ? count_of(a, "invalidated") : gone;
	}
	json_decref(answers);
	sutra_buf_release(&body);
	if (rc)
		return rc;
	if (common.json)
		print_document(json_pack("{s:s, s:I}", "schema", "sutra.cache-invalidate/1", "invalidated", gone));
	else if (!common.quiet)
		printf("%lld entr%s removed\n", (long long)gone, gone == 1 ? "y" : "ies");
	return 0;
}

struct warm {
	const char *base;
	struct sutra_buf body;
	size_t in_batch, sent;
	struct sutra_progress progress;
};

static int send_batch(struct warm *w, struct sutra_err *err)
{
	char detail[64];
	int rc;

	if (!w->in_batch)
		return 0;
	sutra_buf_adds(&w->body, "]}");
	rc = sutra_buf_error(&w->body);
	if (rc)
		return sutra_fail(err, rc, "a batch of %zu lines is too large", w->in_batch);
	rc = sutra_gateway_call(w->base, "POST", "/cache/warm", w->body.data, NULL, err);
	w->sent += rc ? 0 : w->in_batch;
	w->in_batch = 0;
	sutra_buf_clear(&w->body);
	snprintf(detail, sizeof(detail), "%zu texts", w->sent);
	sutra_progress_state(&w->progress, "warming the cache", detail);
	return rc;
}

static int add_line(struct warm *w, const char *path, size_t number, const char *line, size_t n,
		    struct sutra_err *err)
{
	size_t at;

	if (!sutra_str_utf8(line, n, &at))
		return sutra_fail(err, SUTRA_E_SYNTAX, "%s:%zu: byte %zu is no UTF-8", path, number, at + 1);
	sutra_buf_adds(&w->body, w->in_batch++ ? "," : "{\"texts\":[");
	sutra_json_add_string(&w->body, line, n);
	return w->in_batch == BATCH || w->body.len > MAX_BATCH_BYTES ? send_batch(w, err) : 0;
}

/* One text per line; empty lines are skipped. */
static int warm(const char *base, const char *path, struct sutra_err *err)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	struct warm w = { .base = base };
	struct sutra_buf line;
	size_t number = 0;
	int rc = 0, got = 0;

	if (!f)
		return sutra_fail_errno(err, "cannot read %s", path);
	sutra_buf_init(&line, MAX_LINE);
	sutra_buf_init(&w.body, 2 * MAX_BATCH_BYTES + 8 * MAX_LINE);
	sutra_progress_init(&w.progress, common.color, common.quiet);
	while (!rc && (got = sutra_file_line(f, &line, &number)) > 0)
		if (line.len)
			rc = add_line(&w, path, number, line.data, line.len, err);
	if (!rc && got == SUTRA_E_IO)
		rc = sutra_fail_errno(err, "cannot read %s", path);
	else if (!rc && got < 0)
		rc = sutra_fail(err, got, "%s:%zu: a line has at most %d bytes", path, number + 1, MAX_LINE);
	rc = rc ? rc : send_batch(&w, err);
	sutra_progress_clear(&w.progress);
	if (f != stdin)
		fclose(f);
	sutra_buf_release(&line);
	sutra_buf_release(&w.body);
	if (!rc && common.json)
		print_document(json_pack("{s:s, s:I}", "schema", "sutra.cache-warm/1", "texts",
					 (json_int_t)w.sent));
	else if (!rc && !common.quiet)
		printf("%zu texts are cached\n", w.sent);
	return rc;
}

static int run(int n, char **argv)
{
	const char *verb = n ? argv[1] : "";
	struct sutra_strv bases = { 0 };
	struct sutra_err err;
	int rc;

	if (!strcmp(verb, "stats"))
		return command_fail((sutra_fail(&err, SUTRA_E_USAGE, "the figures are a command of their own"),
				     sutra_hint(&err, "sutra cache-stats"), &err));
	if (strcmp(verb, "clear") && strcmp(verb, "warm") && strcmp(verb, "invalidate"))
		return command_usage("say clear, warm FILE or invalidate TEXT%s%s%s", n ? ", not \"" : "", verb,
				     n ? "\"" : "");
	if (n != (strcmp(verb, "clear") ? 2 : 1))
		return command_usage("cache %s", !strcmp(verb, "clear") ? "clear takes no operand" :
					 !strcmp(verb, "warm") ? "warm takes one FILE (- is standard input)" :
								 "invalidate takes one TEXT");
	rc = sutra_gateway_urls(url_flag, &bases, &err);
	if (!rc && !strcmp(verb, "clear"))
		rc = clear(&bases, &err);
	else if (!rc && !strcmp(verb, "warm"))
		rc = warm(bases.items[0], argv[2], &err);
	else if (!rc)
		rc = invalidate(&bases, argv[2], &err);
	sutra_strv_release(&bases);
	return rc ? command_fail(&err) : EXIT_YES;
}

const struct command cmd_cache = {
	.name = "cache",
	.summary = "clear or warm the cache, or remove one text from it",
	.synopsis = "[--url URL] clear | warm FILE | invalidate TEXT",
	.examples = "sutra cache clear\tboth levels\n"
		    "sutra cache warm texts.txt\tone text a line\n"
		    "sutra cache invalidate \"an old text\"\tone entry, both levels\n",
	.options = rows,
	.formats = "table|json",
	.operands = true,
	.run = run,
};
