#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "report/page.h"
#include "sutra/command.h"
#include "probe/gateway.h"

enum { MAX_INPUT = 64 << 20, MAX_PAGE = 256 << 20 };

static const char *html, *url_flag;

static const struct sutra_option rows[] = {
	{ 0, "html", SUTRA_OPT_STRING, &html, "FILE", "the page that is written", 0, 0, NULL },
	{ 0, "url", SUTRA_OPT_STRING, &url_flag, "URL", "without INPUT: another gateway than the deployed one", 0, 0,
	  NULL },
	{ 0 },
};

static int write_page(const json_t *doc, const char *input, struct sutra_err *err)
{
	struct sutra_buf b;
	int rc;

	sutra_buf_init(&b, MAX_PAGE);
	rc = sutra_page_add(doc, &b, err);
	if (rc && input)
		sutra_err_prefix(err, "%s", input);
	rc = rc ? rc : sutra_file_write(html, b.data, b.len, 0644, err);
	if (!rc && !common.quiet && sutra_is_file(html))	/* not when the page goes to standard output */
		printf("%s: %zu bytes\n", html, b.len);
	sutra_buf_release(&b);
	return rc;
}

static int run(int n, char **argv)
{
	const char *input = n ? argv[1] : NULL;
	json_t *doc = NULL;
	struct sutra_err err;
	int rc;

	if (n > 1)
		return command_usage("one INPUT at a time, got \"%s\" too", argv[2]);
	if (!html)
		return command_usage("where to? --html FILE");
	if (input && url_flag)
		return command_usage("--url is for the deployed cache's page; INPUT says all of a run");
	rc = input ? sutra_json_read(input, MAX_INPUT, &doc, &err) : sutra_gateway_cache_document(url_flag, &doc, &err);
	if (rc && input)
		err.code = SUTRA_E_USAGE;
	rc = rc ? rc : write_page(doc, input, &err);
	json_decref(doc);
	return rc ? command_fail(&err) : EXIT_YES;
}

const struct command cmd_report = {
	.name = "report",
	.summary = "draw a run, or the cache's last day, as one HTML page",
	.synopsis = "--html FILE [INPUT.json] [--url URL]",
	.examples = "sutra load --json >load.json\ta run to draw\n"
		    "sutra report --html load.html load.json\tits page\n"
		    "sutra report --html cache.html\tthe deployed cache, last 24 h\n",
	.options = rows,
	.formats = "table",
	.operands = true,
	.run = run,
};
