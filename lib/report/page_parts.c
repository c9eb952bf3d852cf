#include "report/page_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "report/report.h"

#define MAX_FIGURE 1e18	/* larger ones would leave the range of sums and axes */

const char *sutra_page_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

double sutra_page_value(const json_t *v)
{
	double d = json_is_number(v) ? json_number_value(v) : NAN;

	return fabs(d) <= MAX_FIGURE ? d : NAN;
}

double sutra_page_number(const json_t *o, const char *key) { return sutra_page_value(json_object_get(o, key)); }

void sutra_page_count(double v, char *out, size_t size)
{
	char digits[32];
	size_t n, at = 0;

	if (!isfinite(v) || fabs(v) > 1e15) {
		snprintf(out, size, "-");
		return;
	}
	n = (size_t)snprintf(digits, sizeof(digits), "%.0f", v);
	for (size_t i = 0; i < n && at + 2 < size; i++) {
		if (i && (n - i) % 3 == 0 && digits[i - 1] != '-')
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

void sutra_page_figure(double v, int digits, const char *unit, char *out, size_t size)
{
	if (isfinite(v))
		snprintf(out, size, "%.*f%s", digits, v, unit);
	else
		snprintf(out, size, "-");
}

void sutra_page_ms(double ms, char *out, size_t size)
{
	if (isfinite(ms))
		sutra_clock_human(ms / 1e3, out, size);
	else
		snprintf(out, size, "-");
}

void sutra_page_head(struct sutra_buf *b, const char *title, const char *kind, const char *word)
{
	sutra_report_between(b, "<h1>", title, "");
	sutra_buf_addf(b, " <span class=\"pill %s\">", kind);
	sutra_report_between(b, "", word, "</span></h1>\n");
}

void sutra_page_sub(struct sutra_buf *b, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sutra_report_between(b, "<p class=\"dim\">", text, "</p>\n");
}

void sutra_page_cards_begin(struct sutra_buf *b) { sutra_buf_adds(b, "<div class=\"cards\">"); }

void sutra_page_card(struct sutra_buf *b, const char *name, const char *kind, const char *value)
{
	sutra_buf_addf(b, "<div class=\"card\"><b class=\"%s\">", kind);
	sutra_report_xml(b, value);
	sutra_report_between(b, "</b><span>", name, "</span></div>");
}

void sutra_page_cards_end(struct sutra_buf *b) { sutra_buf_adds(b, "</div>\n"); }

void sutra_page_section(struct sutra_buf *b, const char *title)
{
	sutra_report_between(b, "<h2>", title, "</h2>\n");
}

void sutra_page_table_begin(struct sutra_buf *b, const char *const *titles, const char *summary)
{
	if (summary)
		sutra_report_between(b, "<details><summary>", summary, "</summary>");
	sutra_buf_adds(b, "<div class=\"scroll\"><table><tr>");
	for (; *titles; titles++)
		sutra_report_between(b, "<th>", *titles, "</th>");
	sutra_buf_adds(b, "</tr>\n");
}

void sutra_page_row(struct sutra_buf *b, const char *const *cells)
{
	sutra_buf_adds(b, "<tr>");
	for (; *cells; cells++)
		sutra_report_between(b, "<td>", *cells, "</td>");
	sutra_buf_adds(b, "</tr>\n");
}

void sutra_page_table_end(struct sutra_buf *b, const char *summary)
{
	sutra_buf_adds(b, summary ? "</table></div></details>\n" : "</table></div>\n");
}

double sutra_page_sum(const json_t *rows, const char *key)
{
	const json_t *row;
	double sum = 0;
	size_t i;

	json_array_foreach (rows, i, row) {
		double v = sutra_page_number(row, key);

		sum += isnan(v) ? 0 : v;
	}
	return sum;
}

const char *sutra_page_when(const json_t *doc, char out[24])
{
	const char *when = sutra_page_text(doc, "started");

	snprintf(out, 24, "%.10s %.5s UTC", when, strlen(when) > 11 ? when + 11 : "");
	return out;
}
