#include "report/svg_chart.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/str.h"
#include "report/report.h"

enum { WIDTH = 760, HEIGHT = 250, LEFT = 56, RIGHT = 14, TOP = 14, BOTTOM = 30, COLUMNS = 700 };
enum { MAX_TICKS = 32 };
enum { BAR_ROW = 22, BAR_LEFT = 230, BAR_RIGHT = 150 };

/* The range of values between the axes' ends. */
struct scale {
	double x0, x1, y0, y1;	/* y: already logarithms when log_y */
};

struct sutra_chart_series *sutra_chart_series(struct sutra_chart *c, const char *name, unsigned color)
{
	struct sutra_chart_series *s = &c->series[c->n < SUTRA_CHART_SERIES ? c->n++ : c->n - 1];

	s->name = name;
	s->color = color;
	return s;
}

void sutra_chart_point(struct sutra_chart_series *s, double x, double y)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct sutra_chart_xy *more = sutra_realloc_array(s->points, cap, sizeof(*more));

		if (!more)
			return;
		s->points = more;
		s->cap = cap;
	}
	s->points[s->n++] = (struct sutra_chart_xy){ x, y };
}

void sutra_chart_release(struct sutra_chart *c)
{
	for (size_t i = 0; i < c->n; i++)
		sutra_free(c->series[i].points);
	*c = (struct sutra_chart){ 0 };
}

static double place_x(const struct sutra_chart *c, double x)
{
	return c->axis == SUTRA_AXIS_NINES ? -log10(1 - x) : x;
}

static double place_y(const struct sutra_chart *c, double y)
{
	return !c->log_y ? y : y > 0 ? log10(y) : NAN;
}

static double across(const struct scale *s, double x)
{
	return LEFT + (x - s->x0) / (s->x1 - s->x0) * (WIDTH - LEFT - RIGHT);
}

static double up(const struct scale *s, double y)
{
	return HEIGHT - BOTTOM - (y - s->y0) / (s->y1 - s->y0) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2, 2.5 or 5 times a power of ten: about n steps over the span. */
static double nice_step(double span, double n)
{
	double power = pow(10, floor(log10(span / n))), f = span / n / power;

	return power * (f <= 1 ? 1 : f <= 2 ? 2 : f <= 2.5 ? 2.5 : f <= 5 ? 5 : 10);
}

/* Steps of a clock, for axes of seconds. */
static double clock_step(double span)
{
	static const double steps[] = { 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (span / steps[i] <= 9)
			return steps[i];
	return 86400 * fmax(ceil(span / 86400 / 9), 1);
}

/* False: no point to draw. */
static bool find_scale(const struct sutra_chart *c, struct scale *s)
{
	*s = (struct scale){ INFINITY, -INFINITY, INFINITY, -INFINITY };
	for (size_t i = 0; i < c->n; i++) {
		for (size_t k = 0; k < c->series[i].n; k++) {
			double x = place_x(c, c->series[i].points[k].x), y = place_y(c, c->series[i].points[k].y);

			if (isfinite(x)) {	/* also of a gap: all charts of a run have the same axis */
				s->x0 = fmin(s->x0, x);
				s->x1 = fmax(s->x1, x);
			}
			if (!isfinite(x) || !isfinite(y))
				continue;
			s->y0 = fmin(s->y0, y);
			s->y1 = fmax(s->y1, y);
		}
	}
	if (s->y0 > s->y1)
		return false;
	if (s->x1 <= s->x0)
		s->x1 = s->x0 + fmax(1, fabs(s->x0) * 1e-9);
	if (c->log_y) {
		s->y0 = floor(s->y0 * 2) / 2;
		s->y1 = fmax(ceil(s->y1 * 2) / 2, s->y0 + 0.5);
		return true;
	}
	s->y0 = 0;
	s->y1 = s->y1 <= 0 ? 1 : s->y1 * 1.05;
	return true;
}

static void grid_y(const struct scale *s, double y, const char *label, struct sutra_buf *b)
{
	double at = up(s, y);

	sutra_buf_addf(b, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"y\" x=\"%d\" y=\"%.1f\">%s</text>", LEFT, at,
		       WIDTH - RIGHT, LEFT - 7, at + 4, label);
}

static void axis_y(const struct sutra_chart *c, const struct scale *s, struct sutra_buf *b)
{
	static const double parts[] = { 1, 2, 5 };
	bool wide = s->y1 - s->y0 > 2.1;
	char label[32];
	double step;

	if (!c->log_y) {
		step = nice_step(s->y1, 4);
		for (int i = 0; i < MAX_TICKS && i * step <= s->y1 * 1.0001; i++) {
			snprintf(label, sizeof(label), "%.4g", i * step);
			grid_y(s, i * step, label, b);
		}
		return;
	}
	for (double power = floor(s->y0); power <= s->y1; power++) {
		for (size_t i = 0; i < (wide ? 1 : 3); i++) {
			double y = power + log10(parts[i]);

			if (y < s->y0 - 1e-9 || y > s->y1 + 1e-9)
				continue;
			snprintf(label, sizeof(label), "%g", pow(10, power) * parts[i]);
			grid_y(s, y, label, b);
		}
	}
}

static void tick_x(const struct scale *s, double x, const char *label, struct sutra_buf *b)
{
	double at = across(s, x);

	sutra_buf_addf(b, "<path class=\"grid\" d=\"M%.1f %dv4\"/><text class=\"x\" x=\"%.1f\" y=\"%d\">%s</text>", at,
		       HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 18, label);
}

static void axis_x(const struct sutra_chart *c, const struct scale *s, struct sutra_buf *b)
{
	double step = c->axis == SUTRA_AXIS_NINES ? 1 :
		      c->axis == SUTRA_AXIS_TIME  ? clock_step(s->x1 - s->x0) :
						    nice_step(s->x1 - s->x0, 8);
	char label[32];

	for (int i = 0; i < MAX_TICKS; i++) {	/* counted: where numbers are huge, x + step may be x */
		double x = (ceil(s->x0 / step) + i) * step;
		time_t at = (time_t)sutra_whole(x);
		struct tm tm;

		if (!(x <= s->x1 + step * 1e-9))
			break;
		if (c->axis == SUTRA_AXIS_TIME && gmtime_r(&at, &tm))
			strftime(label, sizeof(label), "%H:%M", &tm);
		else if (c->axis == SUTRA_AXIS_NINES)
			snprintf(label, sizeof(label), "%.6g %%", 100 * (1 - pow(10, -x)));
		else
			snprintf(label, sizeof(label), "%.4g s", x);
		tick_x(s, x, label, b);
	}
	sutra_buf_addf(b, "<path class=\"axis\" d=\"M%d %dH%d\"/>", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT);
}

/* One point a column of the drawing; returns how many points it took. */
static size_t column(const struct sutra_chart *c, const struct sutra_chart_series *s, size_t from, size_t many,
		     double *ret_x, double *ret_y)
{
	double sum = 0, high = -INFINITY;
	size_t n = 0, k = from;

	for (; k < s->n && k < from + many; k++) {
		double y = place_y(c, s->points[k].y);

		if (!isfinite(y))
			continue;
		sum += y;
		high = fmax(high, y);
		n++;
	}
	*ret_x = place_x(c, s->points[from + (k - from - 1) / 2].x);
	*ret_y = !n ? NAN : s->peak ? high : sum / (double)n;
	return k - from;
}

static void draw_series(const struct sutra_chart *c, const struct scale *scale, const struct sutra_chart_series *s,
			struct sutra_buf *b)
{
	size_t many = s->n / COLUMNS + 1, run = 0;
	double x, y, first = 0, last = 0;

	sutra_buf_addf(b, "<path class=\"%s%u\" d=\"", s->area ? "a" : "s", s->color);
	for (size_t i = 0; i < s->n;) {
		i += column(c, s, i, many, &x, &y);
		if (isfinite(x) && isfinite(y)) {
			sutra_buf_addf(b, "%c%.1f %.1f", run ? 'L' : 'M', across(scale, x), up(scale, y));
			first = run ? first : x;
			last = x;
			run++;
		}
		if (run && (!isfinite(y) || i >= s->n)) {
			if (s->area)
				sutra_buf_addf(b, "L%.1f %dL%.1f %dZ", across(scale, last), HEIGHT - BOTTOM,
					       across(scale, first), HEIGHT - BOTTOM);
			else if (run == 1)
				sutra_buf_adds(b, "m-4 0h8");	/* one point between gaps: a dash */
			run = 0;
		}
	}
	sutra_buf_adds(b, "\"/>");
}

static void caption(const struct sutra_chart *c, struct sutra_buf *b)
{
	sutra_report_between(b, "<figcaption><b>", c->title, "</b> <span class=\"dim\">");
	sutra_report_xml(b, c->y_label);
	sutra_buf_adds(b, "</span><span class=\"keys\">");
	for (size_t i = 0; i < c->n; i++) {
		sutra_buf_addf(b, "<span class=\"key\"><i class=\"k%u\"></i>", c->series[i].color);
		sutra_report_between(b, "", c->series[i].name, "</span>");
	}
	sutra_buf_adds(b, "</span></figcaption>");
}

void sutra_chart_draw(const struct sutra_chart *c, struct sutra_buf *b)
{
	struct scale s;

	sutra_buf_adds(b, "<figure>");
	caption(c, b);
	if (!find_scale(c, &s)) {
		sutra_buf_adds(b, "<p class=\"dim\">nothing was measured</p></figure>\n");
		return;
	}
	sutra_buf_addf(b, "<svg class=\"lines\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
	sutra_report_between(b, "", c->title, "\">");
	axis_y(c, &s, b);
	axis_x(c, &s, b);
	for (size_t i = 0; i < c->n; i++)
		if (c->series[i].n)
			draw_series(c, &s, &c->series[i], b);
	sutra_buf_adds(b, "</svg></figure>\n");
}

void sutra_chart_bars(const char *title, const struct sutra_chart_bar *bars, size_t n, struct sutra_buf *b)
{
	double most = 1, from = BAR_LEFT, width = WIDTH - BAR_LEFT - BAR_RIGHT, zero;
	int height = (int)n * BAR_ROW + 34;

	for (size_t i = 0; i < n; i++)
		if (bars[i].ratio > 0)
			most = fmax(most, ceil(fabs(log10(bars[i].ratio))));
	zero = from + width / 2;
	sutra_buf_adds(b, "<figure><figcaption><b>");
	sutra_report_xml(b, title);
	sutra_buf_addf(b, "</b></figcaption><svg class=\"bars\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, height);
	sutra_report_between(b, "", title, "\">");
	for (double power = -most; power <= most; power++) {
		double x = zero + power / most * width / 2;

		sutra_buf_addf(b, "<path class=\"%s\" d=\"M%.1f 6V%d\"/><text class=\"x\" x=\"%.1f\" y=\"%d\">%g x</text>",
			       power ? "grid" : "axis", x, height - 24, x, height - 8, pow(10, power));
	}
	for (size_t i = 0; i < n; i++) {
		double end = zero + (bars[i].ratio > 0 ? log10(bars[i].ratio) : -most) / most * width / 2;
		double y = 10 + (double)i * BAR_ROW;

		sutra_buf_addf(b, "<text class=\"name\" x=\"%d\" y=\"%.1f\">", BAR_LEFT - 10, y + 12);
		sutra_report_xml(b, bars[i].name);
		sutra_buf_addf(b, "</text><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>",
			       bars[i].good ? "good" : "bad", fmin(zero, end), y, fmax(fabs(end - zero), 1.5), BAR_ROW - 7);
		sutra_buf_addf(b, "<text class=\"value\" x=\"%d\" y=\"%.1f\">", WIDTH - BAR_RIGHT + 12, y + 12);
		sutra_report_between(b, "", bars[i].text, "</text>");
	}
	sutra_buf_adds(b, "</svg></figure>\n");
}
