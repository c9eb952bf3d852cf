#include "report/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsonio.h"
#include "base/shown.h"

enum { TITLE_COLUMNS = 26, HEAD_COLUMNS = 9, MARGIN = 2, PHASES = 3 };

static const struct sutra_check_value *value_of(const struct sutra_result *r, size_t i)
{
	return &r->check->kind->values[i];
}

/* Few digits, no exponent for what people read. */
static void figure(double v, char *out, size_t size)
{
	double a = fabs(v);

	snprintf(out, size, a >= 100 || v == floor(v) ? "%.0f" : a >= 10 ? "%.1f" : a >= 0.01 ? "%.2f" :
		 "%.1e", v);
}

/* Whether a value with a target is on the good side of it. */
static bool is_met(const struct sutra_result *r, size_t i)
{
	const struct sutra_limit *l = &r->check->limits[i];
	double over = r->values[i] - l->target;

	return value_of(r, i)->better * over >= 0;
}

static size_t targets_missed(const struct sutra_outcome *o)
{
	size_t missed = 0;

	for (size_t r = 0; r < o->n; r++)
		for (size_t i = 0; value_of(&o->results[r], i)->name; i++)
			missed += o->results[r].has[i] && o->results[r].check->limits[i].has_target &&
				  !is_met(&o->results[r], i);
	return missed;
}

/* "4.1 ms, 163 x under the target of 667 ms" for value i of a result; false: no target or no value. */
static bool describe_target(const struct sutra_result *r, size_t i, char *out, size_t size)
{
	const struct sutra_check_value *v = value_of(r, i);
	const struct sutra_limit *l = &r->check->limits[i];
	double found = r->values[i];
	char left[32], right[32], far[48];
	bool over = found >= l->target;

	if (!r->has[i] || !l->has_target)
		return false;
	figure(found, left, sizeof(left));
	figure(l->target, right, sizeof(right));
	if (!strcmp(left, right))
		snprintf(far, sizeof(far), "on");
	else if (!strcmp(v->unit, "%"))
		snprintf(far, sizeof(far), "%.1f points %s", fabs(found - l->target), over ? "over" : "under");
	else if (found > 0 && l->target > 0)
		snprintf(far, sizeof(far), "%.*f x %s", fmax(found / l->target, l->target / found) < 10 ? 1 : 0,
			 fmax(found / l->target, l->target / found), over ? "over" : "under");
	else
		snprintf(far, sizeof(far), "%s", over ? "over" : "under");
	snprintf(out, size, "%s %s%s%s, %s the target of %s%s%s%s", v->name, left, *v->unit ? " " : "", v->unit,
		 far, right, *v->unit ? " " : "", v->unit, is_met(r, i) ? "" : ": missed");
	return true;
}

/* Appends "p50_ms <= 667, l1_percent >= 67": the limits of a check's values. */
static void add_expected(const struct sutra_check *c, struct sutra_buf *b)
{
	const struct sutra_check_value *v = c->kind->values;
	size_t before = b->len;

	for (size_t i = 0; v[i].name; i++) {
		const struct sutra_limit *l = &c->limits[i];

		if (l->has_min)
			sutra_buf_addf(b, "%s%s >= %g", b->len > before ? ", " : "", v[i].name, l->min);
		if (l->has_max)
			sutra_buf_addf(b, "%s%s <= %g", b->len > before ? ", " : "", v[i].name, l->max);
	}
}

/* Appends text in lines of at most `width` columns (0: one line), later ones indented. */
static void wrapped(struct sutra_buf *b, const char *said, size_t indent, unsigned width)
{
	size_t room = width > indent + 20 ? width - indent : 0;
	struct sutra_buf shown;
	const char *text;

	sutra_buf_init(&shown, b->max);
	sutra_shown_add(&shown, said, strlen(said));
	text = sutra_buf_str(&shown);
	while (room && strlen(text) > room) {
		size_t cut = room;

		while (cut && text[cut] != ' ')
			cut--;
		if (!cut)
			break;
		sutra_buf_addf(b, "%.*s\n%*s", (int)cut, text, (int)indent, "");
		text += cut + 1;
	}
	sutra_buf_adds(b, text);
	/* A line whose last column is empty ends at its last word. */
	while (b->len && b->data[b->len - 1] == ' ')
		b->data[--b->len] = '\0';
	sutra_buf_addc(b, '\n');
	sutra_buf_release(&shown);
}

static void text_detail(const struct sutra_result *r, const struct sutra_report_style *st,
			struct sutra_buf *b)
{
	enum { INDENT = 2 * MARGIN };
	char line[256];

	for (size_t i = 0; st->targets && value_of(r, i)->name; i++) {
		if (!describe_target(r, i, line, sizeof(line)))
			continue;
		sutra_buf_addf(b, "%*s%s%s%s\n", INDENT, "", st->dim, line, st->off);
	}
	if (r->attempts > 1)
		sutra_buf_addf(b, "%*s%s on attempt %u\n", INDENT, "",
			       r->verdict == SUTRA_PASS ? "passed" : "still failed", r->attempts);
	if (r->verdict != SUTRA_FAIL)
		return;
	sutra_buf_addf(b, "%*swhy:  ", INDENT, "");
	wrapped(b, r->why, INDENT + 6, st->width);
	if (r->check->hint) {
		sutra_buf_addf(b, "%*shint: ", INDENT, "");
		wrapped(b, r->check->hint, INDENT + 6, st->width);
	}
	for (const char *s = r->evidence; s && *s;) {
		size_t n = strcspn(s, "\n");

		sutra_buf_addf(b, "%*s%s| ", INDENT, "", st->dim);
		sutra_shown_add(b, s, n);
		sutra_buf_addf(b, "%s\n", st->off);
		s += n + (s[n] == '\n');
	}
}

static void text_line(const struct sutra_result *r, const struct sutra_report_style *st,
		      struct sutra_buf *b)
{
	const char *color[] = { st->ok, st->bad, st->warn, st->warn };
	const char *word = sutra_verdict_name(r->verdict);
	size_t title = strlen(r->check->title);

	sutra_buf_addf(b, "%*s%s%*s  %s%-4s%s  ", MARGIN, "", r->check->title,
		       title < TITLE_COLUMNS ? (int)(TITLE_COLUMNS - title) : 0, "", color[r->verdict], word,
		       st->off);
	wrapped(b, r->verdict == SUTRA_PASS || r->verdict == SUTRA_FAIL ? r->found : r->why,
		MARGIN + TITLE_COLUMNS + 8, st->width);
	text_detail(r, st, b);
}

/* "All phases", or the ones that ran: "Phase 0, 2". */
static void add_phases(const struct sutra_outcome *o, struct sutra_buf *b)
{
	unsigned ran = 0;

	for (size_t i = 0; i < o->n; i++)
		ran |= o->results[i].check->phase < PHASES ? 1u << o->results[i].check->phase : 0;
	if (ran == 7 || !ran) {
		sutra_buf_adds(b, ran ? "All phases" : "All that was checked is");
		return;
	}
	sutra_buf_adds(b, "Phase");
	for (int phase = 0; phase < PHASES; phase++)
		if (ran & 1u << phase)
			sutra_buf_addf(b, "%s%d", ran & ((1u << phase) - 1) ? ", " : " ", phase);
}

static void summary(const struct sutra_outcome *o, const struct sutra_report_style *st,
		    struct sutra_buf *b)
{
	char took[32];

	sutra_clock_human(o->duration_ms / 1e3, took, sizeof(took));
	if (!o->count[SUTRA_FAIL] && !o->count[SUTRA_INCONCLUSIVE] && o->count[SUTRA_PASS]) {
		sutra_buf_adds(b, st->ok);
		if (o->count[SUTRA_SKIP])
			sutra_buf_adds(b, "What could be checked is");
		else
			add_phases(o, b);
		sutra_buf_addf(b, " operational%s", st->off);
	} else {
		sutra_buf_addf(b, "%s%s%s", st->bad,
			       o->count[SUTRA_FAIL] ? "Not operational" : "Inconclusive", st->off);
	}
	sutra_buf_addf(b, ": %zu passed, %zu failed", o->count[SUTRA_PASS], o->count[SUTRA_FAIL]);
	if (o->count[SUTRA_SKIP])
		sutra_buf_addf(b, ", %zu skipped", o->count[SUTRA_SKIP]);
	if (o->count[SUTRA_INCONCLUSIVE])
		sutra_buf_addf(b, ", %zu inconclusive", o->count[SUTRA_INCONCLUSIVE]);
	if (st->targets && targets_missed(o))
		sutra_buf_addf(b, ", %zu target%s missed", targets_missed(o), targets_missed(o) == 1 ? "" : "s");
	sutra_buf_addf(b, " in %s\n", took);
}

void sutra_report_text(const struct sutra_outcome *o, struct sutra_suite *const *suites, size_t n,
		       const struct sutra_report_style *style, struct sutra_buf *b)
{
	int phase = -1;

	for (size_t i = 0; i < o->n; i++) {
		char head[16] = "";

		if (o->results[i].check->phase != phase) {
			phase = o->results[i].check->phase;
			/* The scaling phases have a number; that of other suites is their order only. */
			if (phase < PHASES)
				snprintf(head, sizeof(head), "Phase %-*d", HEAD_COLUMNS - 6, phase);
			for (size_t s = 0; s < n; s++)
				if (suites[s]->phase == phase)
					sutra_buf_addf(b, "%s%s%s%s%s\n", i ? "\n" : "", style->head, head,
						       suites[s]->title, style->off);
		}
		text_line(&o->results[i], style, b);
	}
	sutra_buf_addc(b, '\n');
	summary(o, style, b);
}

static json_t *number(double v)
{
	return v == floor(v) && fabs(v) < 9e15 ? json_integer((json_int_t)v) : json_real(v);
}

static json_t *json_values(const struct sutra_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; value_of(r, i)->name; i++) {
		const struct sutra_limit *l = &r->check->limits[i];
		char far[256];
		json_t *v;

		if (!r->has[i])
			continue;
		v = json_pack("{s:s, s:s, s:o}", "name", value_of(r, i)->name, "unit", value_of(r, i)->unit, "found",
			      isfinite(r->values[i]) ? number(r->values[i]) : json_null());
		if (l->has_min)
			json_object_set_new(v, "min", number(l->min));
		if (l->has_max)
			json_object_set_new(v, "max", number(l->max));
		if (l->has_target)
			json_object_set_new(v, "target", number(l->target));
		if (describe_target(r, i, far, sizeof(far))) {
			json_object_set_new(v, "against_target", sutra_json_text(far));
			json_object_set_new(v, "target_met", json_boolean(is_met(r, i)));
		}
		json_array_append_new(list, v);
	}
	return list;
}

static json_t *json_timeline(const struct sutra_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_timeline; i++) {
		const struct sutra_load_bucket *b = &r->timeline[i];
		json_array_append_new(list, json_pack("{s:I, s:I, s:I, s:I, s:I}", "t_ms",
						      (json_int_t)(i * SUTRA_LOAD_BUCKET_MS), "sent",
						      (json_int_t)b->sent, "ok", (json_int_t)b->ok, "retried",
						      (json_int_t)b->retried, "failed", (json_int_t)b->failed));
	}
	return list;
}

static json_t *json_result(const struct sutra_result *r)
{
	struct sutra_buf expected;
	json_t *o;

	sutra_buf_init(&expected, 4096);
	add_expected(r->check, &expected);
	o = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:f, s:i}", "id", r->check->id, "suite",
		      r->check->suite, "phase", r->check->phase, "title", r->check->title, "kind",
		      r->check->kind->name, "status", sutra_verdict_name(r->verdict), "expected",
		      sutra_buf_str(&expected), "found", sutra_json_text(r->found), "values", json_values(r),
		      "duration_ms", r->duration_ms, "attempts", (int)r->attempts);
	if (r->why[0])
		json_object_set_new(o, "reason", sutra_json_text(r->why));
	if (r->check->hint && r->verdict == SUTRA_FAIL)
		json_object_set_new(o, "hint", json_string(r->check->hint));
	if (r->evidence)
		json_object_set_new(o, "evidence", sutra_json_text(r->evidence));
	if (r->timeline)
		json_object_set_new(o, "timeline", json_timeline(r));
	sutra_buf_release(&expected);
	return o;
}

void sutra_report_document(struct sutra_buf *b, json_t *doc)
{
	/* 12 digits are more than is measured, and 4.1 stays 4.1. */
	sutra_json_dump(b, doc, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	sutra_buf_addc(b, '\n');
	json_decref(doc);
}

void sutra_report_json(const struct sutra_outcome *o, struct sutra_buf *b)
{
	json_t *list = json_array(), *counts = json_object();
	char when[SUTRA_RFC3339_LEN];

	sutra_clock_rfc3339(o->started_us, when);
	for (size_t i = 0; i < o->n; i++)
		json_array_append_new(list, json_result(&o->results[i]));
	for (int v = 0; v < 4; v++)
		json_object_set_new(counts, sutra_verdict_name((enum sutra_verdict)v),
				    json_integer((json_int_t)o->count[v]));
	sutra_report_document(b, json_pack("{s:s, s:s, s:f, s:i, s:o, s:o}", "schema", "sutra.validate/1", "started",
					   when, "duration_ms", o->duration_ms, "exit_code", sutra_outcome_exit(o),
					   "counts", counts, "results", list));
}

/* Escaped; control characters, many of which XML forbids, are shown as text. */
void sutra_report_xml(struct sutra_buf *b, const char *text)
{
	struct sutra_buf shown;

	sutra_buf_init(&shown, b->max);
	sutra_shown_add(&shown, text, strlen(text));
	for (const char *s = sutra_buf_str(&shown); *s; s++) {
		char c = *s;

		if (c == '<')
			sutra_buf_adds(b, "&lt;");
		else if (c == '>')
			sutra_buf_adds(b, "&gt;");
		else if (c == '&')
			sutra_buf_adds(b, "&amp;");
		else if (c == '"')
			sutra_buf_adds(b, "&quot;");
		else
			sutra_buf_addc(b, c);
	}
	sutra_buf_release(&shown);
}

void sutra_report_between(struct sutra_buf *b, const char *before, const char *text, const char *after)
{
	sutra_buf_adds(b, before);
	sutra_report_xml(b, text);
	sutra_buf_adds(b, after);
}

static void junit_case(const struct sutra_result *r, struct sutra_buf *b)
{
	static const char *const element[] = { NULL, "failure", "skipped", "error" };

	sutra_buf_addf(b, "    <testcase classname=\"sutra.%s\"", r->check->suite);
	sutra_report_between(b, " name=\"", r->check->id, "\"");
	sutra_buf_addf(b, " time=\"%.3f\">\n", r->duration_ms / 1e3);
	if (element[r->verdict]) {
		sutra_buf_addf(b, "      <%s", element[r->verdict]);
		sutra_report_between(b, " message=\"", r->why, "\">");
		if (r->verdict == SUTRA_FAIL && r->check->hint)
			sutra_report_between(b, "hint: ", r->check->hint, "\n");
		sutra_report_xml(b, r->evidence ? r->evidence : "");
		sutra_buf_addf(b, "</%s>\n", element[r->verdict]);
	}
	sutra_buf_adds(b, "      <system-out>");
	sutra_report_xml(b, r->found);
	if (r->attempts > 1)
		sutra_buf_addf(b, " (attempt %u)", r->attempts);
	sutra_buf_adds(b, "</system-out>\n    </testcase>\n");
}

/* Counts results of one suite, or with NULL of all. */
static void junit_counts(const struct sutra_outcome *o, const char *suite, struct sutra_buf *b)
{
	size_t count[4] = { 0 }, n = 0;
	double ms = 0;

	for (size_t i = 0; i < o->n; i++) {
		if (suite && strcmp(o->results[i].check->suite, suite) != 0)
			continue;
		count[o->results[i].verdict]++;
		ms += o->results[i].duration_ms;
		n++;
	}
	sutra_buf_addf(b, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\"", n,
		       count[SUTRA_FAIL], count[SUTRA_INCONCLUSIVE], count[SUTRA_SKIP], ms / 1e3);
}

void sutra_report_junit(const struct sutra_outcome *o, struct sutra_buf *b)
{
	char when[SUTRA_RFC3339_LEN];
	const char *suite = NULL;

	sutra_clock_rfc3339(o->started_us, when);
	sutra_buf_adds(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sutra\">\n");
	for (size_t i = 0; i < o->n; i++) {
		if (!suite || strcmp(o->results[i].check->suite, suite) != 0) {
			if (suite)
				sutra_buf_adds(b, "  </testsuite>\n");
			suite = o->results[i].check->suite;
			sutra_report_between(b, "  <testsuite name=\"", suite, "\"");
			sutra_buf_addf(b, " timestamp=\"%.19s\"", when);
			junit_counts(o, suite, b);
			sutra_buf_adds(b, ">\n");
		}
		junit_case(&o->results[i], b);
	}
	sutra_buf_adds(b, o->n ? "  </testsuite>\n</testsuites>\n" : "</testsuites>\n");
}

/* A value of the YAML block, always quoted. */
static void yaml(struct sutra_buf *b, const char *key, const char *text)
{
	if (!text || !*text)
		return;
	sutra_buf_addf(b, "  %s: ", key);
	sutra_json_add_string(b, text, strlen(text));
	sutra_buf_addc(b, '\n');
}

void sutra_report_tap(const struct sutra_outcome *o, struct sutra_buf *b)
{
	sutra_buf_addf(b, "TAP version 13\n1..%zu\n", o->n);
	for (size_t i = 0; i < o->n; i++) {
		const struct sutra_result *r = &o->results[i];
		bool ok = r->verdict == SUTRA_PASS || r->verdict == SUTRA_SKIP;

		sutra_buf_addf(b, "%sok %zu - %s", ok ? "" : "not ", i + 1, r->check->id);
		if (r->verdict == SUTRA_SKIP) {
			sutra_buf_adds(b, " # SKIP ");
			sutra_shown_add(b, r->why, strlen(r->why));
		}
		sutra_buf_adds(b, "\n  ---\n");
		yaml(b, "status", sutra_verdict_name(r->verdict));
		yaml(b, "found", r->found);
		yaml(b, "reason", r->why);
		yaml(b, "hint", ok ? NULL : r->check->hint);
		yaml(b, "evidence", r->evidence);
		sutra_buf_addf(b, "  duration_ms: %.1f\n  attempts: %u\n  ...\n", r->duration_ms, r->attempts);
	}
}

void sutra_report_prom(const struct sutra_outcome *o, struct sutra_buf *b)
{
	sutra_buf_adds(b, "# HELP sutra_check_passed 1 passed, 0 failed; absent when it was skipped or inconclusive\n"
			  "# TYPE sutra_check_passed gauge\n");
	for (size_t i = 0; i < o->n; i++)
		if (o->results[i].verdict <= SUTRA_FAIL)
			sutra_buf_addf(b, "sutra_check_passed{id=\"%s\",suite=\"%s\"} %d\n",
				       o->results[i].check->id, o->results[i].check->suite,
				       o->results[i].verdict == SUTRA_PASS);
	sutra_buf_adds(b, "# HELP sutra_check_value a measured value of a check, in its unit\n"
			  "# TYPE sutra_check_value gauge\n");
	for (size_t i = 0; i < o->n; i++) {
		const struct sutra_result *r = &o->results[i];

		for (size_t v = 0; value_of(r, v)->name; v++)
			if (r->has[v] && isfinite(r->values[v]))
				sutra_buf_addf(b, "sutra_check_value{id=\"%s\",value=\"%s\"} %.9g\n",
					       r->check->id, value_of(r, v)->name, r->values[v]);
	}
	sutra_buf_adds(b, "# HELP sutra_check_duration_seconds how long the run took\n"
			  "# TYPE sutra_check_duration_seconds gauge\n");
	sutra_buf_addf(b, "sutra_check_duration_seconds %.3f\n", o->duration_ms / 1e3);
}
