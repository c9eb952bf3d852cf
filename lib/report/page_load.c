#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/svg_chart.h"
#include "report/page_parts.h"

/* Seconds of a row of the timeline; 1 when unknown. */
static double interval_s(const json_t *doc)
{
	double ms = sutra_page_number(json_object_get(doc, "asked"), "interval_ms");

	return ms > 0 ? ms / 1e3 : 1;
}

/* Leaves out a last row of late answers in which nothing was due: it is shorter than the others. */
static void rates_chart(const json_t *doc, struct sutra_buf *b)
{
	struct sutra_chart c = { .title = "Requests", .y_label = "a second" };
	struct sutra_chart_series *sent = sutra_chart_series(&c, "due", 5);
	struct sutra_chart_series *ok = sutra_chart_series(&c, "answered", 0);
	struct sutra_chart_series *failed = NULL;
	const json_t *rows = json_object_get(doc, "timeline"), *row;
	size_t i, n = json_array_size(rows);
	double each = interval_s(doc);

	if (sutra_page_sum(rows, "failed") > 0) {
		failed = sutra_chart_series(&c, "failed", 2);
		failed->peak = true;
	}
	json_array_foreach (rows, i, row) {
		double t = sutra_page_number(row, "t_ms") / 1e3;

		if (i + 1 == n && n > 1 && !(sutra_page_number(row, "sent") > 0))
			break;
		sutra_chart_point(sent, t, sutra_page_number(row, "sent") / each);
		sutra_chart_point(ok, t, sutra_page_number(row, "ok") / each);
		if (failed)
			sutra_chart_point(failed, t, sutra_page_number(row, "failed") / each);
	}
	sutra_chart_draw(&c, b);
	sutra_chart_release(&c);
}

static void times_chart(const json_t *doc, struct sutra_buf *b)
{
	struct sutra_chart c = { .title = "Response time", .y_label = "ms, from the intended instant", .log_y = true };
	struct sutra_chart_series *max = sutra_chart_series(&c, "max", 2);
	struct sutra_chart_series *p99 = sutra_chart_series(&c, "P99", 1);
	struct sutra_chart_series *p50 = sutra_chart_series(&c, "P50", 0);
	const json_t *row;
	size_t i;

	max->peak = p99->peak = true;
	json_array_foreach (json_object_get(doc, "timeline"), i, row) {
		double t = sutra_page_number(row, "t_ms") / 1e3;

		sutra_chart_point(max, t, sutra_page_number(row, "max_ms"));
		sutra_chart_point(p99, t, sutra_page_number(row, "p99_ms"));
		sutra_chart_point(p50, t, sutra_page_number(row, "p50_ms"));
	}
	sutra_chart_draw(&c, b);
	sutra_chart_release(&c);
}

static void add_curve(struct sutra_chart *c, const json_t *points, const char *name, unsigned color)
{
	struct sutra_chart_series *s = sutra_chart_series(c, name, color);
	const json_t *p;
	size_t i;

	json_array_foreach (points, i, p) {
		sutra_chart_point(s, sutra_page_value(json_array_get(p, 0)), sutra_page_value(json_array_get(p, 1)));
	}
}

static void curve_chart(const json_t *doc, struct sutra_buf *b)
{
	struct sutra_chart c = { .title = "By percentile", .y_label = "ms", .axis = SUTRA_AXIS_NINES, .log_y = true };

	if (!strcmp(sutra_page_text(doc, "loop"), "open"))
		add_curve(&c, json_object_get(doc, "service_curve"), "service, from the send", 5);
	add_curve(&c, json_object_get(doc, "response_curve"), "response, from the intended instant", 0);
	sutra_chart_draw(&c, b);
	sutra_chart_release(&c);
}

static void times_row(struct sutra_buf *b, const char *name, const json_t *o)
{
	static const char *const keys[] = { "mean", "p50", "p75", "p90", "p95", "p99", "p99_9", "p99_99", "max" };
	enum { N = sizeof(keys) / sizeof(*keys) };
	const char *cells[N + 2] = { name };
	char text[N][32];

	if (!o)
		return;
	for (size_t i = 0; i < N; i++) {
		sutra_page_ms(sutra_page_number(o, keys[i]), text[i], sizeof(text[i]));
		cells[i + 1] = text[i];
	}
	sutra_page_row(b, cells);
}

static void times_table(const json_t *doc, struct sutra_buf *b)
{
	static const char *const titles[] = { "time", "mean", "P50", "P75", "P90", "P95", "P99", "P99.9", "P99.99", "max",
					      NULL };

	sutra_page_table_begin(b, titles, NULL);
	times_row(b, "response", json_object_get(doc, "response_ms"));
	times_row(b, "service", json_object_get(doc, "service_ms"));
	times_row(b, "lateness of the sends", json_object_get(doc, "lateness_ms"));
	sutra_page_table_end(b, NULL);
}

static void against_table(const json_t *doc, struct sutra_buf *b)
{
	static const char *const titles[] = { "figure", "before", "now", "now / before", NULL };
	const json_t *o = json_object_get(doc, "against"), *row;
	char text[3][32], title[64];
	size_t i;

	if (!o)
		return;
	snprintf(title, sizeof(title), "Against the run of %.19s", sutra_page_text(o, "started"));
	sutra_page_section(b, title);
	sutra_page_table_begin(b, titles, NULL);
	json_array_foreach (json_object_get(o, "figures"), i, row) {
		const char *cells[] = { sutra_page_text(row, "figure"), text[0], text[1], text[2], NULL };

		sutra_page_figure(sutra_page_number(row, "before"), 3, "", text[0], sizeof(text[0]));
		sutra_page_figure(sutra_page_number(row, "now"), 3, "", text[1], sizeof(text[1]));
		sutra_page_figure(sutra_page_number(row, "ratio"), 2, " x", text[2], sizeof(text[2]));
		sutra_page_row(b, cells);
	}
	sutra_page_table_end(b, NULL);
}

static void timeline_table(const json_t *doc, struct sutra_buf *b)
{
	static const char *const titles[] = { "at", "due", "answered", "failed", "P50", "P99", "max", NULL };
	static const char *const counts[] = { "sent", "ok", "failed" }, *const times[] = { "p50_ms", "p99_ms", "max_ms" };
	const json_t *row;
	char text[7][32];
	size_t i;

	sutra_page_table_begin(b, titles, "the timeline in figures");
	json_array_foreach (json_object_get(doc, "timeline"), i, row) {
		const char *cells[] = { text[0], text[1], text[2], text[3], text[4], text[5], text[6], NULL };

		sutra_page_figure(sutra_page_number(row, "t_ms") / 1e3, interval_s(doc) < 1 ? 2 : 0, " s", text[0], sizeof(text[0]));
		for (size_t k = 0; k < 3; k++) {
			sutra_page_count(sutra_page_number(row, counts[k]), text[1 + k], sizeof(text[0]));
			sutra_page_ms(sutra_page_number(row, times[k]), text[4 + k], sizeof(text[0]));
		}
		sutra_page_row(b, cells);
	}
	sutra_page_table_end(b, "");
}

static void cards(const json_t *doc, struct sutra_buf *b)
{
	static const struct {
		const char *name, *key;
	} times[] = { { "P50", "p50" }, { "P99", "p99" }, { "P99.9", "p99_9" }, { "max", "max" } };
	const json_t *response = json_object_get(doc, "response_ms"), *cache = json_object_get(doc, "cache");
	double failed = sutra_page_number(doc, "failed"), l1 = sutra_page_number(cache, "l1"), l2 = sutra_page_number(cache, "l2"),
	       all = l1 + l2 + sutra_page_number(cache, "computed");
	char text[48];

	sutra_page_cards_begin(b);
	for (size_t i = 0; i < 4; i++) {
		sutra_page_ms(sutra_page_number(response, times[i].key), text, sizeof(text));
		sutra_page_card(b, times[i].name, "", text);
	}
	sutra_page_figure(sutra_page_number(doc, "ok_rate"), 1, "/s", text, sizeof(text));
	sutra_page_card(b, "answered", "", text);
	sutra_page_count(sutra_page_number(doc, "sent"), text, sizeof(text));
	sutra_page_card(b, "requests", "", text);
	sutra_page_count(failed, text, sizeof(text));
	sutra_page_card(b, "failed", failed > 0 ? "bad" : "", text);
	sutra_page_count(sutra_page_number(doc, "late"), text, sizeof(text));
	sutra_page_card(b, "sent late", "", text);
	if (all > 0) {
		snprintf(text, sizeof(text), "%.1f %%", 100 * (l1 + l2) / all);
		sutra_page_card(b, "from the cache", "", text);
	}
	sutra_page_cards_end(b);
}

void sutra_page_load(const json_t *doc, struct sutra_buf *b)
{
	const json_t *asked = json_object_get(doc, "asked");
	const char *doubt = sutra_page_text(doc, "doubt");
	char when[24], figure[32], sent[32];
	bool failed = sutra_page_number(doc, "failed") > 0, open = !strcmp(sutra_page_text(doc, "loop"), "open");

	sutra_page_head(b, "Load", *doubt ? "warn" : failed ? "bad" : "good",
			*doubt ? "inconclusive" : failed ? "requests failed" : "every request answered");
	sutra_page_figure(sutra_page_number(asked, open ? "rate" : "connections"), 0, "", figure, sizeof(figure));
	sutra_page_figure(sutra_page_number(doc, "sent_rate"), 1, "", sent, sizeof(sent));
	if (open)
		sutra_page_sub(b, "open loop, %s requests/s asked, %s sent; %s texts; %s", figure, sent,
			       sutra_page_text(json_object_get(asked, "texts"), "source"), sutra_page_text(doc, "url"));
	else
		sutra_page_sub(b, "closed loop, %s callers; %s texts; %s", figure,
			       sutra_page_text(json_object_get(asked, "texts"), "source"), sutra_page_text(doc, "url"));
	sutra_page_ms(1e3 * sutra_page_number(doc, "wall_s"), figure, sizeof(figure));
	sutra_page_sub(b, "%s, %s%s", sutra_page_when(doc, when), figure,
		       json_is_true(json_object_get(doc, "interrupted")) ? ", interrupted" : "");
	if (*doubt)
		sutra_page_sub(b, "%s", doubt);
	if (failed)
		sutra_page_sub(b, "first failure: %s", sutra_page_text(doc, "first_failure"));
	cards(doc, b);
	rates_chart(doc, b);
	times_chart(doc, b);
	curve_chart(doc, b);
	times_table(doc, b);
	against_table(doc, b);
	timeline_table(doc, b);
}
