/*
 * Only section() writes into the report, and it masks all text. Known secrets are collected before the first
 * section.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/mask.h"
#include "base/shown.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/version.h"
#include "compose/compose.h"
#include "deploy/credentials.h"
#include "compose/dotenv.h"
#include "deploy/generation.h"
#include "deploy/record.h"
#include "sutra/command.h"
#include "probe/gateway.h"
#include "probe/health.h"
#include "sutra/stackio.h"

enum { MAX_REPORT = 64 << 20, MAX_SECTION = 4 << 20, MAX_FILE = 1 << 20, MAX_LOG = 64 << 10, RUNS = 3,
       AUDIT_LINES = 50 };

static const uint64_t PROBE_NS = 2000000000, PROGRAM_NS = 5000000000;
static int64_t lines = 40;

static const struct sutra_option rows[] = {
	{ 'n', "lines", SUTRA_OPT_INT, &lines, "N", "lines of each service's log (40)", 0, 10000, NULL },
	{ 0 },
};

extern char **environ;

struct bug {
	struct sutra_buf out;
	struct sutra_mask *mask;
	struct stack stack;		/* config NULL: the settings are wrong, and config_err says how */
	struct sutra_err config_err;
	struct sutra_record *record;	/* NULL: no readable record */
	struct sutra_deployment *d;
	struct sutra_err deployment_err;
};

/* Appends a section, masked and with controls escaped, and clears text. */
static void section(struct bug *g, const char *title, struct sutra_buf *text)
{
	int bad = sutra_buf_error(text);
	struct sutra_buf masked;

	sutra_buf_init(&masked, MAX_REPORT);
	sutra_buf_addf(&g->out, "== %s\n", title);
	sutra_mask_add(g->mask, sutra_buf_str(text), text->len, &masked);
	if (bad || (bad = sutra_buf_error(&masked)))
		sutra_buf_addf(&g->out, "left out: %s\n", sutra_err_text(bad));
	else
		sutra_shown_add(&g->out, sutra_buf_str(&masked), masked.len);
	sutra_buf_release(&masked);
	if (g->out.len && g->out.data[g->out.len - 1] != '\n')
		sutra_buf_addc(&g->out, '\n');
	sutra_buf_addc(&g->out, '\n');
	sutra_buf_clear(text);
}

/* Adds the password of a URL, which may occur alone elsewhere. */
static void url_secret(struct sutra_mask *m, const char *value)
{
	const char *host = strstr(value, "://"), *at = host ? strrchr(host, '@') : NULL, *colon;
	char password[256];

	if (!at)
		return;
	colon = memchr(host + 3, ':', (size_t)(at - host - 3));
	snprintf(password, sizeof(password), "%.*s", (int)(at - (colon ? colon + 1 : host + 3)), colon ? colon + 1 : host + 3);
	sutra_mask_secret(m, password);
}

static void name_value(struct sutra_mask *m, const char *name, const char *value)
{
	if (sutra_mask_is_secret_name(name) || sutra_config_is_secret(name))
		sutra_mask_secret(m, value);
	url_secret(m, value);
}

static void environment_secrets(struct sutra_mask *m)
{
	for (char **e = environ; *e; e++) {
		const char *equals = strchr(*e, '=');
		char name[128];

		if (!equals)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(equals - *e), *e);
		name_value(m, name, equals + 1);
	}
}

/* Adds the members of a document that have the name of a secret. */
static void document_secrets(struct sutra_mask *m, const json_t *o)
{
	json_t *walk = (json_t *)(uintptr_t)o, *v;	/* jansson iterates over non-const objects */
	const char *key;
	size_t i;

	json_object_foreach (walk, key, v) {
		if (json_is_string(v))
			name_value(m, key, json_string_value(v));
		else
			document_secrets(m, v);
	}
	json_array_foreach (o, i, v) {
		document_secrets(m, v);
	}
}

static void collect_secrets(struct bug *g)
{
	char *dotenv = xasprintf("%s/compose/.env", g->stack.data_dir ? g->stack.data_dir : "");
	struct sutra_credentials c;
	struct sutra_env env = { 0 };

	environment_secrets(g->mask);
	sutra_dotenv_read(dotenv, NULL, &env, NULL);	/* a malformed file: the lines before the error */
	for (size_t i = 0; i < env.n; i++)
		name_value(g->mask, env.items[i].key, env.items[i].value);
	sutra_env_release(&env);
	sutra_free(dotenv);
	if (g->stack.state_dir && !sutra_credentials_read(g->stack.state_dir, &c, NULL)) {
		sutra_mask_secret(g->mask, c.password);
		sutra_mask_login(g->mask, c.user, c.password);
		sutra_credentials_release(&c);
	}
	for (size_t i = 0; g->record && i < g->record->n; i++) {
		const struct sutra_env *e = &g->record->units[i].env;

		for (size_t k = 0; k < e->n; k++)
			name_value(g->mask, e->items[k].key, e->items[k].value);
	}
}

/* Adds the first line of a program's version. */
static void program_version(struct sutra_buf *b, const char *program, const char *flag)
{
	const char *const argv[] = { program, flag, NULL };
	struct sutra_buf said;
	int status;

	sutra_buf_init(&said, 1 << 16);
	if (sutra_proc_run(argv, &said, PROGRAM_NS, &status, NULL))
		sutra_buf_addf(b, "%-10s none\n", program);
	else
		sutra_buf_addf(b, "%-10s %.*s\n", program, (int)strcspn(sutra_buf_str(&said), "\n"), sutra_buf_str(&said));
	sutra_buf_release(&said);
}

/* Adds the line of a small file with this beginning. */
static void file_line(struct sutra_buf *b, const char *path, const char *beginning)
{
	const char *at;
	char *text;
	size_t n;

	if (sutra_file_read(path, MAX_FILE, &text, &n, NULL))
		return;
	at = strstr(text, beginning);
	if (at)
		sutra_buf_addf(b, "%.*s\n", (int)strcspn(at, "\n"), at);
	sutra_free(text);
}

static void add_versions(struct bug *g, struct sutra_buf *b)
{
	struct utsname u;

	sutra_buf_addf(b, "%-10s %s, compiler %s\n", "sutra", SUTRA_VERSION, __VERSION__);
	if (!uname(&u))
		sutra_buf_addf(b, "%-10s %s %s %s\n", "kernel", u.sysname, u.release, u.machine);
	file_line(b, "/etc/os-release", "PRETTY_NAME=");
	sutra_buf_addf(b, "%-10s %ld\n", "cores", sysconf(_SC_NPROCESSORS_ONLN));
	file_line(b, "/proc/meminfo", "MemTotal:");
	file_line(b, "/proc/meminfo", "MemAvailable:");
	program_version(b, "haproxy", "-v");
	program_version(b, "docker", "--version");
	section(g, "versions", b);
}

static void add_settings(struct bug *g, struct sutra_buf *b)
{
	if (!g->stack.config)
		sutra_buf_addf(b, "they cannot be used: %s\n", g->config_err.message);
	SUTRA_EACH_SETTING (s, SUTRA_OF_OPERATOR) {
		if (!g->stack.config)
			break;
		const char *value = sutra_config_get(g->stack.config, s->name);

		if (!value)
			sutra_buf_addf(b, "%-24s unset\n", s->name);
		else
			sutra_buf_addf(b, "%-24s %-12s %s\n", s->name,
				       sutra_source_name(sutra_config_winner(g->stack.config, s->name)),
				       sutra_config_is_secret(s->name) ? SUTRA_MASKED : value);
	}
	section(g, "settings", b);
}

static void add_record(struct bug *g, struct sutra_buf *b)
{
	json_t *o = g->record ? sutra_record_document(g->record) : NULL;

	if (o)
		sutra_json_add(b, o, 1);
	else
		sutra_buf_addf(b, "none: %s", g->deployment_err.message);
	json_decref(o);
	section(g, "record", b);
}

static void last_lines(struct sutra_buf *b, const char *text, size_t n, int64_t many)
{
	const char *from = text + n;

	for (int64_t seen = -1; from > text; from--)
		if (from[-1] == '\n' && ++seen == many)
			break;
	if (text + n - from > MAX_LOG)
		from = text + n - MAX_LOG;
	sutra_buf_adds(b, from);
}

static void add_file_tail(struct bug *g, struct sutra_buf *b, const char *name, int64_t many)
{
	char *path = xasprintf("%s/%s", g->stack.state_dir ? g->stack.state_dir : "", name), *text;
	size_t n;

	if (!sutra_file_read(path, MAX_SECTION, &text, &n, NULL)) {
		last_lines(b, text, n, many);
		sutra_free(text);
	} else {
		sutra_buf_adds(b, "none\n");
	}
	sutra_free(path);
}

static void add_runs(struct bug *g, struct sutra_buf *b)
{
	struct sutra_generation gen;
	int *numbers = NULL;
	size_t n = g->stack.state_dir ? sutra_generation_list(g->stack.state_dir, &numbers) : 0;

	add_file_tail(g, b, "audit.log", AUDIT_LINES);
	section(g, "last runs", b);
	for (size_t i = 0; i < n && i < RUNS; i++) {
		char title[48];

		if (sutra_generation_open(g->stack.state_dir, numbers[i], &gen, NULL))
			continue;
		document_secrets(g->mask, gen.doc);
		sutra_json_add(b, gen.doc, 1);
		snprintf(title, sizeof(title), "generation %d", numbers[i]);
		section(g, title, b);
		sutra_generation_release(&gen);
	}
	sutra_free(numbers);
}

static void add_states(struct bug *g, struct sutra_buf *b)
{
	struct sutra_probe *p = xcalloc(g->d ? g->d->n + 1 : 1, sizeof(*p));
	struct sutra_err err;
	int rc = g->d ? sutra_health_probe(g->d, PROBE_NS, p, &err) : 0;

	if (!g->d || rc)
		sutra_buf_addf(b, "unknown: %s\n", rc ? err.message : g->deployment_err.message);
	for (size_t i = 0; g->d && !rc && i < g->d->n; i++) {
		const struct sutra_deployed *s = &g->d->services[i];
		char memory[32];

		sutra_str_bytes(s->rss_bytes, memory, sizeof(memory));
		sutra_buf_addf(b, "%-22s %-9s %s %s version=%s status=%d ms=%.1f pid=%ld restarts=%u last_exit=%d rss=%s\n",
			       s->unit->name, sutra_probe_state_name(p[i].state),
			       p[i].state == SUTRA_UP ? "" : sutra_probe_reason_name(p[i].reason), p[i].detail,
			       p[i].version, p[i].status, (double)p[i].total_ns / 1e6, (long)s->now.pid, s->now.restarts,
			       s->now.last_exit, memory);
		if (p[i].state != SUTRA_UP && p[i].last_reply[0])
			sutra_buf_addf(b, "  last reply: %s\n", p[i].last_reply);
	}
	sutra_free(p);
	section(g, "states", b);
}

static void add_cache(struct bug *g, struct sutra_buf *b)
{
	struct sutra_strv bases = { 0 };
	struct sutra_err err;
	json_t *doc;

	if (g->d && !sutra_gateway_urls(NULL, &bases, NULL)) {
		for (size_t i = 0; i < bases.n; i++) {
			if (sutra_gateway_call(bases.items[i], "GET", "/cache/stats", NULL, &doc, &err)) {
				sutra_buf_addf(b, "%s\n", err.message);
				continue;
			}
			json_object_del(doc, "history");
			sutra_json_add(b, doc, 1);
			sutra_buf_addc(b, '\n');
			json_decref(doc);
		}
		section(g, "cache", b);
	}
	sutra_strv_release(&bases);
}

static void add_logs(struct bug *g, struct sutra_buf *b)
{
	for (size_t i = 0; g->d && i < g->d->n; i++) {
		const char *name = g->d->services[i].unit->name;
		char *title = xasprintf("log of %s", name);
		char *text = g->d->rt->log_tail(g->d->state_dir, name, (int)lines);

		last_lines(b, text, strlen(text), lines);
		section(g, title, b);
		sutra_free(text);
		sutra_free(title);
	}
	if (g->d && !strcmp(g->d->record->runtime, "native")) {
		add_file_tail(g, b, "native/runsvdir.log", lines);
		section(g, "log of the supervisor", b);
	}
}

static void write_report(struct bug *g)
{
	char now[SUTRA_RFC3339_LEN];
	struct sutra_buf b;

	sutra_buf_init(&b, MAX_SECTION);
	sutra_clock_rfc3339(sutra_clock_wall_us(), now);
	sutra_buf_addf(&g->out, "sutra bugreport of %.19sZ. Secrets are masked; read it before you send it.\n\n"
				"== what happened\n(what you did, what you expected, what came instead)\n\n", now);
	collect_secrets(g);
	add_versions(g, &b);
	add_settings(g, &b);
	add_record(g, &b);
	add_runs(g, &b);
	add_states(g, &b);
	add_cache(g, &b);
	add_logs(g, &b);
	sutra_buf_release(&b);
}

static void open_bug(struct bug *g)
{
	struct sutra_err err;

	sutra_buf_init(&g->out, MAX_REPORT);
	g->mask = sutra_mask_new();
	stack_open(&g->stack, false, &g->config_err);
	if (!g->stack.state_dir)
		g->stack.state_dir = sutra_state_dir();
	sutra_record_load(g->stack.state_dir, &g->record, &g->deployment_err);
	if (sutra_deployment_load(g->stack.state_dir, &g->d, &err)) {
		g->d = NULL;
		g->deployment_err = err;
	}
}

static void close_bug(struct bug *g)
{
	sutra_buf_release(&g->out);
	sutra_mask_free(g->mask);
	sutra_deployment_free(g->d);
	sutra_record_free(g->record);
	stack_release(&g->stack);
}

static int run(int n, char **argv)
{
	struct bug g = { 0 };
	struct sutra_err err;
	int rc = 0;

	if (n > 1)
		return command_usage("one FILE, got \"%s\" too", argv[2]);
	open_bug(&g);
	if (!g.mask) {
		rc = sutra_fail(&err, SUTRA_E_NOMEM, "out of memory");
	} else {
		write_report(&g);
		rc = sutra_buf_error(&g.out) ? sutra_fail(&err, sutra_buf_error(&g.out), "the report is too large") : 0;
	}
	if (!rc && n) {
		rc = sutra_file_write(argv[1], g.out.data, g.out.len, 0600, &err);
		if (!rc && !common.quiet && sutra_is_file(argv[1]))
			printf("%s: %zu bytes; read it before you send it\n", argv[1], g.out.len);
	} else if (!rc) {
		fwrite(g.out.data, 1, g.out.len, stdout);
	}
	close_bug(&g);
	return rc ? command_fail(&err) : EXIT_YES;
}

const struct command cmd_bugreport = {
	.name = "bugreport",
	.summary = "gather what a bug report needs, secrets masked",
	.synopsis = "[-n LINES] [FILE]",
	.examples = "sutra bugreport report.txt\tone text to attach\n"
		    "sutra bugreport | less\tlook at it\n",
	.options = rows,
	.formats = "table",
	.operands = true,
	.run = run,
};
