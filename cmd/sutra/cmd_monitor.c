#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "deploy/deployment.h"
#include "sutra/command.h"
#include "sutra/monitor/monitor_run.h"

enum { MAX_ROWS = 1000, MAX_COLUMNS = 1000, FRAME_ROWS = 30, FRAME_COLUMNS = 100 };

static struct monitor_options opts = { .interval_ns = 1000000000 };
static bool once, keys;
static const char *size;

static const struct sutra_option rows[] = {
	{ 0, "interval", SUTRA_OPT_DURATION, &opts.interval_ns, "TIME", "between two samples, from 100ms (1s)", 0, 0,
	  NULL },
	{ 0, "once", SUTRA_OPT_FLAG, &once, NULL, "print one frame as text and end", 0, 0, NULL },
	{ 0, "size", SUTRA_OPT_STRING, &size, "WxH", "columns and rows of that frame (100x30)", 0, 0, NULL },
	{ 0, "count", SUTRA_OPT_INT, &opts.count, "N", "with -o jsonl: end after N samples", 1, 1000000000, NULL },
	{ 0, "record", SUTRA_OPT_STRING, &opts.record, "FILE", "keep every sample in FILE", 0, 0, NULL },
	{ 0, "replay", SUTRA_OPT_STRING, &opts.replay, "FILE", "show a recording in place of the stack", 0, 0, NULL },
	{ 0, "admin", SUTRA_OPT_FLAG, &opts.admin, NULL, "allow r (restart) and d (drain, ready)", 0, 0, NULL },
	{ 0, "ascii", SUTRA_OPT_FLAG, &opts.ascii, NULL, "draw with ASCII characters only", 0, 0, NULL },
	{ 0, "keys", SUTRA_OPT_FLAG, &keys, NULL, "print the keys and end", 0, 0, NULL },
	{ 0 },
};

static int read_size(void)
{
	int64_t columns = FRAME_COLUMNS, lines = FRAME_ROWS;
	const char *x = size ? strchr(size, 'x') : NULL;
	char left[16];

	if (size && (!x || (size_t)(x - size) >= sizeof(left)))
		return -1;
	if (size) {
		snprintf(left, sizeof(left), "%.*s", (int)(x - size), size);
		if (sutra_str_int(left, 1, MAX_COLUMNS, &columns) || sutra_str_int(x + 1, 1, MAX_ROWS, &lines))
			return -1;
	}
	opts.columns = (int)columns;
	opts.rows = (int)lines;
	return 0;
}

static int check(void)
{
	if (opts.interval_ns < 100000000 || opts.interval_ns > 3600000000000u)
		return command_usage("--interval is below 100ms or above 1h");
	if (read_size())
		return command_usage("--size is \"%s\"; allowed are columns x rows, as 100x30, up to %dx%d", size,
				     MAX_COLUMNS, MAX_ROWS);
	if (opts.replay && (opts.record || opts.admin))
		return command_usage("--replay shows a recording: %s has no meaning with it",
				     opts.record ? "--record" : "--admin");
	if (!once && strcmp(common.output, "jsonl") != 0 && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return command_usage("standard input or output is no terminal: --once prints a frame, -o jsonl the samples");
	return 0;
}

static int run(int n, char **argv)
{
	bool jsonl = !strcmp(common.output, "jsonl");
	int code;

	if (keys) {
		monitor_print_keys(stdout);
		return EXIT_YES;
	}
	code = check();
	if (code)
		return code;
	opts.color = common.color;
	opts.state_dir = sutra_state_dir();
	code = once ? monitor_once(&opts, jsonl) : jsonl ? monitor_stream(&opts) : monitor_live(&opts);
	sutra_free(opts.state_dir);
	return code;
}

const struct command cmd_monitor = {
	.name = "monitor",
	.summary = "watch services, hit rates, replica load and traffic",
	.synopsis = "[-o FORMAT] [--interval TIME] [--once] [--size WxH] [--count N] [--record FILE] "
		    "[--replay FILE] [--admin] [--ascii] [--keys]",
	.examples = "sutra monitor\ton the terminal; ? lists the keys\n"
		    "sutra monitor --once --size 80x24\ta frame as text\n"
		    "sutra monitor -o jsonl --record day.jsonl\ta sample a second, kept\n"
		    "sutra monitor --replay day.jsonl\tas it was\n",
	.options = rows,
	.formats = "table|jsonl",
	.run = run,
};
