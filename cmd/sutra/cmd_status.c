#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "base/shown.h"
#include "base/str.h"
#include "deploy/deployment.h"
#include "sutra/command.h"
#include "probe/gateway.h"
#include "probe/health.h"
#include "probe/notes.h"
#include "sutra/stackio.h"
#include "term/table.h"
#include "term/watch.h"

static uint64_t timeout_ns = 2000000000, watch_ns;
static bool flat;

static const struct sutra_option rows[] = {
	{ 0, "flat", SUTRA_OPT_FLAG, &flat, NULL, "in start order, not root cause first", 0, 0, NULL },
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "longest wait for an answer (2s)", 0, 0,
	  NULL },
	{ 0, "watch", SUTRA_OPT_PERIOD, &watch_ns, "[TIME]", "again and again, in place (2s)", 2000000000, 0, NULL },
	{ 0 },
};

static double uptime_of(const struct sutra_deployed *s, const struct sutra_probe *p)
{
	if (p->uptime_seconds >= 0)
		return p->uptime_seconds;
	return s->now.since_us ? (double)(sutra_clock_wall_us() - s->now.since_us) / 1e6 : -1;
}

static enum sutra_role role_of(enum sutra_probe_state state)
{
	return state == SUTRA_UP ? SUTRA_ROLE_OK : state == SUTRA_DOWN ? SUTRA_ROLE_BAD : SUTRA_ROLE_WARN;
}

static void cell_ms(struct sutra_table *t, uint64_t ns)
{
	if (ns)
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.1f", (double)ns / 1e6);
	else
		sutra_table_cell(t, SUTRA_ROLE_DIM, "-");
}

static void cell_bytes(struct sutra_table *t, uint64_t bytes)
{
	char text[32] = "-";

	if (bytes)
		sutra_str_bytes(bytes, text, sizeof(text));
	sutra_table_cell(t, bytes ? SUTRA_ROLE_PLAIN : SUTRA_ROLE_DIM, text);
}

/* "refused: Connection refused; affected by storage-cache-shard" */
static void cell_reason(struct sutra_table *t, const struct sutra_probe *all, const struct sutra_probe *p)
{
	if (p->state == SUTRA_UP)
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, "");
	else
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%s%s%s%s%s", p->cause >= 0 ? "affected by " : "",
				  p->cause >= 0 ? all[p->cause].name : sutra_probe_reason_name(p->reason),
				  p->detail[0] ? ": " : "", p->detail,
				  p->detail[0] || p->cause < 0 ? "" : " (no words of its own)");
}

static void common_cells(struct sutra_table *t, const struct sutra_deployed *s, const struct sutra_probe *p)
{
	char up[32] = "-";

	sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%s%s", p->cause >= 0 && !flat ? "  " : "", s->unit->name);
	sutra_table_cell(t, role_of(p->state), sutra_probe_state_name(p->state));
	if (uptime_of(s, p) >= 0)
		sutra_clock_human(uptime_of(s, p), up, sizeof(up));
	sutra_table_cell(t, SUTRA_ROLE_PLAIN, up);
	cell_ms(t, p->total_ns);
	cell_bytes(t, s->pss_bytes);
	sutra_table_cellf(t, s->now.restarts ? SUTRA_ROLE_WARN : SUTRA_ROLE_PLAIN, "%u", s->now.restarts);
}

static void print_table(const struct sutra_deployment *d, const struct sutra_probe *p, const size_t *order,
			const struct sutra_term *term, unsigned columns)
{
	static const struct sutra_column narrow[] = {
		{ "SERVICE", false, 12 }, { "STATE", false, 0 }, { "UPTIME", true, 0 },
		{ "MS", true, 0 },	  { "MEMORY", true, 0 }, { "RESTARTS", true, 0 },
		{ "REASON", false, 12 },  { NULL, false, 0 },
	};
	static const struct sutra_column wide[] = {
		{ "SERVICE", false, 12 }, { "STATE", false, 0 },  { "UPTIME", true, 0 },
		{ "MS", true, 0 },	  { "MEMORY", true, 0 },  { "RESTARTS", true, 0 },
		{ "RSS", true, 0 },	  { "DNS", true, 0 },	  { "CONNECT", true, 0 },
		{ "TLS", true, 0 },	  { "FIRST", true, 0 },	  { "PID", true, 0 },
		{ "ADDRESS", false, 0 },  { "PUBLISHED", false, 0 }, { "VERSION", false, 0 },
		{ "REASON", false, 12 },  { NULL, false, 0 },
	};
	bool is_wide = !strcmp(common.output, "wide");
	struct sutra_table *t = sutra_table_new(is_wide ? wide : narrow);

	for (size_t k = 0; k < d->n; k++) {
		const struct sutra_deployed *s = &d->services[order[k]];
		const struct sutra_probe *a = &p[order[k]];

		common_cells(t, s, a);
		if (is_wide) {
			cell_bytes(t, s->rss_bytes);
			cell_ms(t, a->dns_ns);
			cell_ms(t, a->connect_ns);
			cell_ms(t, a->tls_ns);
			cell_ms(t, a->first_byte_ns);
			sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%ld", (long)s->now.pid);
			sutra_table_cell(t, SUTRA_ROLE_PLAIN, s->address);
			sutra_table_cell(t, SUTRA_ROLE_PLAIN, s->unit->published);
			sutra_table_cell(t, SUTRA_ROLE_PLAIN, a->version);
		}
		cell_reason(t, p, a);
	}
	sutra_table_print(t, term, columns);
	sutra_table_free(t);
}

static void print_summary(const struct sutra_deployment *d, const struct sutra_probe *p,
			  const struct sutra_term *term)
{
	const struct sutra_record *r = d->record;
	json_t *notes = sutra_notes(d), *note;
	size_t count[5] = { 0 }, i;
	const char *comma = "";

	for (i = 0; i < d->n; i++)
		count[p[i].state]++;
	fprintf(term->out, "\n%zu services: ", d->n);
	for (int s = 0; s < 5; s++) {
		if (!count[s])
			continue;
		fprintf(term->out, "%s%s%zu %s%s", comma, sutra_term_on(term, role_of((enum sutra_probe_state)s)), count[s],
		       sutra_probe_state_name((enum sutra_probe_state)s),
		       sutra_term_off(term, role_of((enum sutra_probe_state)s)));
		comma = ", ";
	}
	fprintf(term->out, "  (%s, %s, %lld-dim, cache %s)\n", r->runtime, r->edition, (long long)r->dimension,
	       r->cache_enabled ? "on" : "off");
	if (!r->complete)
		fprintf(term->out, "%sthe last deploy did not come to its end: sutra deploy goes on%s\n",
		       sutra_term_on(term, SUTRA_ROLE_WARN), sutra_term_off(term, SUTRA_ROLE_WARN));
	if (!d->supervised)
		fprintf(term->out, "%sthe supervisor was killed: nothing is started again until sutra deploy%s\n",
		       sutra_term_on(term, SUTRA_ROLE_BAD), sutra_term_off(term, SUTRA_ROLE_BAD));
	if (!d->limits_enforced)
		fprintf(term->out, "%smemory limits are not enforced: control groups cannot be written here%s\n",
		       sutra_term_on(term, SUTRA_ROLE_DIM), sutra_term_off(term, SUTRA_ROLE_DIM));
	json_array_foreach (notes, i, note) {
		fprintf(term->out, "%snote: %s%s\n", sutra_term_on(term, SUTRA_ROLE_WARN), json_string_value(note),
			sutra_term_off(term, SUTRA_ROLE_WARN));
	}
	json_decref(notes);
}

static json_t *text_or_null(const char *s) { return s && *s ? sutra_json_text(s) : json_null(); }

static json_t *milliseconds(uint64_t ns) { return json_real((double)ns / 1e6); }

static json_t *service_document(const struct sutra_probe *all, const struct sutra_deployed *s,
				const struct sutra_probe *p)
{
	double up = uptime_of(s, p);
	json_t *reason = p->state == SUTRA_UP ? json_null() : json_string(sutra_probe_reason_name(p->reason));
	json_t *detail = text_or_null(p->detail);

	return json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:i, s:i, s:o,"
		" s:{s:I, s:I, s:I}, s:{s:o, s:o, s:o, s:o, s:o}, s:i}",
		"name", s->unit->name, "group", s->unit->group, "state", sutra_probe_state_name(p->state), "reason", reason,
		"detail", detail ? detail : json_null(), "affected_by",
		p->cause >= 0 ? json_string(all[p->cause].name) : json_null(), "url",
		text_or_null(p->url), "address", text_or_null(s->address), "published",
		text_or_null(s->unit->published), "pid", (int)s->now.pid, "uptime_seconds",
		up >= 0 ? json_real(up) : json_null(), "restarts", (int)s->now.restarts, "last_exit",
		s->now.last_exit, "version", text_or_null(p->version), "memory_bytes", "rss",
		(json_int_t)s->rss_bytes, "pss", (json_int_t)s->pss_bytes, "limit",
		(json_int_t)s->unit->memory_limit, "latency_ms", "dns", milliseconds(p->dns_ns), "connect",
		milliseconds(p->connect_ns), "tls", milliseconds(p->tls_ns), "first_byte",
		milliseconds(p->first_byte_ns), "total", milliseconds(p->total_ns), "http_status", p->status);
}

static void print_json(const struct sutra_deployment *d, const struct sutra_probe *p, const size_t *order,
		       int code)
{
	const struct sutra_record *r = d->record;
	json_t *list = json_array();
	char when[SUTRA_RFC3339_LEN];

	sutra_clock_rfc3339(sutra_clock_wall_us(), when);
	for (size_t k = 0; k < d->n; k++)
		json_array_append_new(list, service_document(p, &d->services[order[k]], &p[order[k]]));
	print_document(json_pack(
		"{s:s, s:s, s:i, s:o, s:o, s:o, s:I, s:b, s:b, s:b, s:b, s:o, s:o, s:o, s:o}", "schema", "sutra.status/1", "time", when,
		"exit_code", code, "project", text_or_null(r->project), "runtime", text_or_null(r->runtime),
		"edition", text_or_null(r->edition), "dimension", (json_int_t)r->dimension, "cache_enabled",
		r->cache_enabled, "complete", r->complete, "supervised", d->supervised, "limits_enforced",
		d->limits_enforced, "deployed_at", text_or_null(r->deployed_at), "root_causes",
		sutra_health_causes(p, d->n), "notes", sutra_notes(d), "services", list));
}

static void print_prom(const struct sutra_deployment *d, const struct sutra_probe *p)
{
	static const struct {
		const char *name, *help;
	} rows_[] = {
		{ "sutra_service_up", "1 up, 0 anything else" },
		{ "sutra_service_probe_seconds", "time the health check took" },
		{ "sutra_service_memory_bytes", "proportional set size" },
		{ "sutra_service_restarts", "restarts by the supervisor since the deploy" },
	};

	for (size_t r = 0; r < 4; r++) {
		printf("# HELP %s %s\n# TYPE %s gauge\n", rows_[r].name, rows_[r].help, rows_[r].name);
		for (size_t i = 0; i < d->n; i++) {
			const double v[] = { p[i].state == SUTRA_UP, (double)p[i].total_ns / 1e9,
					     (double)d->services[i].pss_bytes,
					     d->services[i].now.restarts };

			printf("%s{service=\"%s\"} %.9g\n", rows_[r].name, d->services[i].unit->name, v[r]);
		}
	}
}

static int exit_code(const struct sutra_deployment *d, const struct sutra_probe *p)
{
	bool down = false, qualified = !d->supervised || !d->record->complete, unknown = false;

	for (size_t i = 0; i < d->n; i++) {
		down |= p[i].state == SUTRA_DOWN;
		qualified |= p[i].state == SUTRA_DEGRADED || p[i].state == SUTRA_STARTING;
		unknown |= p[i].state == SUTRA_UNKNOWN;
	}
	return unknown ? EXIT_INCONCLUSIVE : down ? EXIT_NO : qualified ? EXIT_QUALIFIED : EXIT_YES;
}

static int show(const struct sutra_deployment *d, const struct sutra_term *term, unsigned columns,
		struct sutra_err *err)
{
	struct sutra_probe *p = xcalloc(d->n + 1, sizeof(*p));
	size_t *order = xcalloc(d->n + 1, sizeof(*order));
	int rc = sutra_health_probe(d, timeout_ns, p, err), code = exit_code(d, p);

	for (size_t i = 0; i < d->n; i++)
		order[i] = i;
	if (!flat)
		sutra_probe_order(p, d->n, order);
	if (rc) {
		code = command_fail(err);
	} else if (common.json) {
		print_json(d, p, order, code);
	} else if (!strcmp(common.output, "prom")) {
		print_prom(d, p);
	} else if (!common.quiet) {
		print_causes(term->out, term, p, d->n);
		print_table(d, p, order, term, columns);
		print_summary(d, p, term);
	}
	sutra_free(order);
	sutra_free(p);
	return code;
}

/* A frame of --watch; the stack can change or end between frames. */
static void frame(const struct sutra_term *term, unsigned columns, void *state_dir)
{
	struct sutra_deployment *d = NULL;
	struct sutra_err err;

	if (sutra_deployment_load(state_dir, &d, &err))
		sutra_shown_printf(term->out, "%s\n", err.message);
	else
		show(d, term, columns, &err);
	sutra_deployment_free(d);
}

static int run(int n, char **argv)
{
	char *state_dir;
	struct sutra_deployment *d = NULL;
	struct sutra_term term;
	struct sutra_err err;
	int code;

	if (watch_ns && (code = command_formats("table|wide")))
		return code;
	state_dir = sutra_state_dir();
	sutra_term_init(&term, stdout, common.color);
	if (watch_ns) {
		code = sutra_watch(&term, watch_ns, frame, state_dir);
		code = code ? 128 + code : EXIT_YES;
	} else if (sutra_deployment_load(state_dir, &d, &err)) {
		command_fail(&err);
		code = EXIT_INCONCLUSIVE;
	} else {
		code = show(d, &term, 0, &err);
	}
	sutra_deployment_free(d);
	sutra_free(state_dir);
	return code;
}

const struct command cmd_status = {
	.name = "status",
	.summary = "show what runs, and why something does not",
	.synopsis = "[-o FORMAT] [--flat] [--timeout TIME] [--watch [TIME]]",
	.examples = "sutra status\troot cause first\n"
		    "sutra status -o wide\tlatency by phase, addresses, versions\n"
		    "sutra status --watch 5s\tagain every 5 s, in place\n"
		    "sutra status --json\tfor scripts; exit code 0 up, 1 down, 3 degraded\n",
	.options = rows,
	.formats = "table|wide|json|prom",
	.run = run,
};
