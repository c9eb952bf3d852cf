#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/svg_chart.h"
#include "report/page_parts.h"
#include "report/report.h"

enum { MAX_BARS = 64 };

static const char *kind_of(const char *status)
{
	return !strcmp(status, "pass") ? "good" : !strcmp(status, "fail") ? "bad" : !strcmp(status, "skip") ? "plain" : "warn";
}

static void cards(const json_t *doc, struct sutra_buf *b)
{
	static const char *const states[] = { "pass", "fail", "skip", "inconclusive" },
				 *const names[] = { "passed", "failed", "skipped", "inconclusive" };
	const json_t *counts = json_object_get(doc, "counts");
	char text[32];

	sutra_page_cards_begin(b);
	for (size_t i = 0; i < 4; i++) {
		double n = sutra_page_number(counts, states[i]);

		sutra_page_count(n, text, sizeof(text));
		sutra_page_card(b, names[i], n > 0 ? kind_of(states[i]) : "", text);
	}
	sutra_page_ms(sutra_page_number(doc, "duration_ms"), text, sizeof(text));
	sutra_page_card(b, "took", "", text);
	sutra_page_cards_end(b);
}

/* Every value that has a target, as found / target. */
static void targets(const json_t *doc, struct sutra_buf *b)
{
	struct sutra_chart_bar bars[MAX_BARS];
	char names[MAX_BARS][80], texts[MAX_BARS][48];
	const json_t *r, *v;
	size_t i, k, n = 0, left = 0;

	json_array_foreach (json_object_get(doc, "results"), i, r) {
		json_array_foreach (json_object_get(r, "values"), k, v) {
			double found = sutra_page_number(v, "found"), target = sutra_page_number(v, "target");

			if (!isfinite(found) || !(target > 0))
				continue;
			if (n == MAX_BARS) {
				left++;
				continue;
			}
			snprintf(names[n], sizeof(names[n]), "%.36s: %.30s", sutra_page_text(r, "title"), sutra_page_text(v, "name"));
			snprintf(texts[n], sizeof(texts[n]), "%.4g of %.4g %.12s", found, target, sutra_page_text(v, "unit"));
			bars[n] = (struct sutra_chart_bar){ names[n], texts[n], found / target,
							    strcmp(sutra_page_text(r, "status"), "fail") != 0 };
			n++;
		}
	}
	if (n)
		sutra_chart_bars("Found, as a multiple of the target", bars, n, b);
	if (left)
		sutra_page_sub(b, "%zu more values have a target; the table below holds them all.", left);
}

static void timeline_chart(const json_t *r, struct sutra_buf *b)
{
	static const char *const keys[] = { "sent", "ok", "retried", "failed" };
	static const char *const names[] = { "due", "answered", "tried again behind the balancer", "failed" };
	static const unsigned colors[] = { 5, 0, 1, 2 };
	const json_t *rows = json_object_get(r, "timeline"), *row;
	struct sutra_chart c = { .title = sutra_page_text(r, "title"), .y_label = "requests per 100 ms" };
	size_t i;

	for (size_t k = 0; k < 4; k++) {
		struct sutra_chart_series *s;

		if (k > 1 && sutra_page_sum(rows, keys[k]) <= 0)
			continue;	/* a line of zeros says less than its absence in the key */
		s = sutra_chart_series(&c, names[k], colors[k]);
		s->peak = k > 1;
		json_array_foreach (rows, i, row) {
			sutra_chart_point(s, sutra_page_number(row, "t_ms") / 1e3, sutra_page_number(row, keys[k]));
		}
	}
	sutra_chart_draw(&c, b);
	sutra_chart_release(&c);
}

static void failure(const json_t *r, struct sutra_buf *b)
{
	const char *hint = sutra_page_text(r, "hint"), *evidence = sutra_page_text(r, "evidence");

	sutra_report_between(b, "<br><span class=\"dim\">", sutra_page_text(r, "reason"), "</span>");
	if (*hint)
		sutra_report_between(b, "<br>hint: ", hint, "");
	if (*evidence)
		sutra_report_between(b, "<pre>", evidence, "</pre>");
}

static void result_row(const json_t *r, struct sutra_buf *b)
{
	const char *status = sutra_page_text(r, "status");
	char took[32];

	sutra_page_ms(sutra_page_number(r, "duration_ms"), took, sizeof(took));
	sutra_buf_addf(b, "<tr><td class=\"%s\"><b>", kind_of(status));
	sutra_report_xml(b, status);
	sutra_report_between(b, "</b></td><td class=\"l\">", sutra_page_text(r, "title"), "</td><td class=\"l\">");
	sutra_report_xml(b, sutra_page_text(r, "found"));
	if (*sutra_page_text(r, "reason"))
		failure(r, b);
	sutra_report_between(b, "</td><td class=\"l dim\">", sutra_page_text(r, "expected"), "");
	sutra_buf_addf(b, "</td><td>%s</td></tr>\n", took);
}

void sutra_page_validate(const json_t *doc, struct sutra_buf *b)
{
	const json_t *counts = json_object_get(doc, "counts"), *r;
	bool failed = sutra_page_number(counts, "fail") > 0, doubt = sutra_page_number(counts, "inconclusive") > 0;
	bool has_faults = false;
	char when[24];
	size_t i;

	sutra_page_head(b, "Validation", failed ? "bad" : doubt ? "warn" : "good",
			failed ? "not operational" : doubt ? "inconclusive" : "operational");
	sutra_page_sub(b, "%s", sutra_page_when(doc, when));
	cards(doc, b);
	targets(doc, b);
	json_array_foreach (json_object_get(doc, "results"), i, r) {
		if (!json_array_size(json_object_get(r, "timeline")))
			continue;
		if (!has_faults)
			sutra_page_section(b, "Faults under load");
		has_faults = true;
		timeline_chart(r, b);
	}
	sutra_page_section(b, "Checks");
	sutra_buf_adds(b, "<div class=\"scroll\"><table><tr><th></th><th class=\"l\">check</th><th class=\"l\">found</th>"
			  "<th class=\"l\">expected</th><th>took</th></tr>\n");
	json_array_foreach (json_object_get(doc, "results"), i, r) {
		result_row(r, b);
	}
	sutra_buf_adds(b, "</table></div>\n");
}

/* Stacked areas: each line is the sum of those below it. */
static void levels_chart(const json_t *history, struct sutra_buf *b)
{
	struct sutra_chart c = { .title = "Texts by where they came from", .y_label = "a minute",
				 .axis = SUTRA_AXIS_TIME };
	struct sutra_chart_series *computed = sutra_chart_series(&c, "computed", 1);
	struct sutra_chart_series *l2 = sutra_chart_series(&c, "L2", 3);
	struct sutra_chart_series *l1 = sutra_chart_series(&c, "L1", 0);
	const json_t *p;
	size_t i;

	computed->area = l2->area = l1->area = true;
	json_array_foreach (history, i, p) {
		double t = sutra_page_number(p, "t"), low = sutra_page_number(p, "l1"), middle = low + sutra_page_number(p, "l2");

		sutra_chart_point(computed, t, middle + sutra_page_number(p, "miss"));
		sutra_chart_point(l2, t, middle);
		sutra_chart_point(l1, t, low);
	}
	sutra_chart_draw(&c, b);
	sutra_chart_release(&c);
}

static void rate_chart(const json_t *history, struct sutra_buf *b)
{
	struct sutra_chart c = { .title = "Hit rate", .y_label = "% of each minute's texts", .axis = SUTRA_AXIS_TIME };
	struct sutra_chart_series *both = sutra_chart_series(&c, "L1 and L2", 3);
	struct sutra_chart_series *l1 = sutra_chart_series(&c, "L1", 0);
	const json_t *p;
	size_t i;

	json_array_foreach (history, i, p) {
		double t = sutra_page_number(p, "t"), low = sutra_page_number(p, "l1"), l2 = sutra_page_number(p, "l2");
		double all = low + l2 + sutra_page_number(p, "miss");

		sutra_chart_point(both, t, all > 0 ? 100 * (low + l2) / all : NAN);
		sutra_chart_point(l1, t, all > 0 ? 100 * low / all : NAN);
	}
	sutra_chart_draw(&c, b);
	sutra_chart_release(&c);
}

static void level_row(struct sutra_buf *b, const char *name, const json_t *l)
{
	static const char *const counts[] = { "size", "max_size", "hits", "misses", "evictions" },
				 *const times[] = { "p50", "p99" };
	const json_t *latency = json_object_get(l, "latency_us");
	char text[8][32];
	const char *cells[] = { name, text[0], text[1], text[2], text[3], text[4], text[5], text[6], text[7], NULL };

	if (!json_is_object(l))
		return;
	for (size_t i = 0; i < 5; i++)
		sutra_page_count(sutra_page_number(l, counts[i]), text[i], sizeof(text[i]));
	sutra_page_figure(100 * sutra_page_number(l, "hit_rate"), 1, " %", text[5], sizeof(text[5]));
	for (size_t i = 0; i < 2; i++)
		sutra_page_ms(sutra_page_number(latency, times[i]) / 1e3, text[6 + i], sizeof(text[0]));
	sutra_page_row(b, cells);
}

static void one_gateway(const json_t *doc, struct sutra_buf *b)
{
	static const char *const titles[] = { "level", "entries", "of", "hits", "misses", "evicted", "hit rate", "P50",
					      "P99", NULL };
	const json_t *total = json_object_get(doc, "total"), *history = json_object_get(doc, "history");
	char text[32];

	sutra_page_cards_begin(b);
	sutra_page_count(sutra_page_number(total, "requests"), text, sizeof(text));
	sutra_page_card(b, "texts asked for", "", text);
	sutra_page_figure(100 * sutra_page_number(total, "hit_rate"), 1, " %", text, sizeof(text));
	sutra_page_card(b, "from the cache", "", text);
	sutra_page_count(sutra_page_number(total, "misses"), text, sizeof(text));
	sutra_page_card(b, "computed", "", text);
	sutra_page_count(sutra_page_number(doc, "coalesced"), text, sizeof(text));
	sutra_page_card(b, "shared under way", "", text);
	sutra_page_cards_end(b);
	if (json_array_size(history)) {
		levels_chart(history, b);
		rate_chart(history, b);
	} else {
		sutra_page_sub(b, "The gateway keeps one point a minute; since it started no minute is over.");
	}
	sutra_page_table_begin(b, titles, NULL);
	level_row(b, "L1, memory", json_object_get(doc, "l1"));
	level_row(b, "L2, cache shard", json_object_get(doc, "l2"));
	sutra_page_table_end(b, NULL);
}

void sutra_page_cache(const json_t *doc, struct sutra_buf *b)
{
	const json_t *gateways = json_object_get(doc, "gateways"), *g;
	bool on = json_is_true(json_object_get(doc, "enabled")) || gateways;
	size_t i;

	sutra_page_head(b, "Cache, last 24 hours", on ? "good" : "warn", on ? "on" : "off");
	if (!gateways) {
		sutra_page_sub(b, "%s", sutra_page_text(doc, "url"));
		one_gateway(doc, b);
		return;
	}
	json_array_foreach (gateways, i, g) {
		sutra_page_section(b, sutra_page_text(g, "url"));
		one_gateway(g, b);
	}
}
