#include "term/grid.h"

#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"

enum { GAP = 2, MAX_COLUMNS = 32 };

struct sutra_grid_cell {
	char *text;
	enum sutra_role role;
	int width;
};

void sutra_grid_init(struct sutra_grid *g, const struct sutra_grid_column *columns)
{
	*g = (struct sutra_grid){ .columns = columns };
	while (g->n_columns < MAX_COLUMNS && columns[g->n_columns].title)
		g->n_columns++;
}

void sutra_grid_release(struct sutra_grid *g)
{
	for (size_t i = 0; i < g->n; i++)
		sutra_free(g->cells[i].text);
	sutra_free(g->cells);
	*g = (struct sutra_grid){ 0 };
}

void sutra_grid_cell(struct sutra_grid *g, enum sutra_role role, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Grows by doubling: at each power of two the block is full. */
	if (!(g->n & (g->n - 1)))
		g->cells = xrealloc_array(g->cells, g->n ? 2 * g->n : 1, sizeof(*g->cells));
	g->cells[g->n++] = (struct sutra_grid_cell){ xstrdup(text), role, (int)sutra_text_width(text, strlen(text)) };
}

size_t sutra_grid_rows(const struct sutra_grid *g) { return g->n_columns ? g->n / g->n_columns : 0; }

static int total_of(const int *widths, size_t n)
{
	int total = -GAP;

	for (size_t c = 0; c < n; c++)
		total += widths[c] >= 0 ? widths[c] + GAP : 0;
	return total;
}

static void natural_widths(const struct sutra_grid *g, int *widths)
{
	for (size_t c = 0; c < g->n_columns; c++)
		widths[c] = (int)strlen(g->columns[c].title);
	for (size_t i = 0; i < g->n; i++)
		if (g->cells[i].width > widths[i % g->n_columns])
			widths[i % g->n_columns] = g->cells[i].width;
}

/* Narrows the widest column that may be cut by one; false: none may. */
static bool shrink(const struct sutra_grid *g, int *widths)
{
	size_t widest = g->n_columns;

	for (size_t c = 0; c < g->n_columns; c++)
		if (widths[c] > 0 && g->columns[c].shrink && widths[c] > g->columns[c].shrink &&
		    (widest == g->n_columns || widths[c] > widths[widest]))
			widest = c;
	if (widest < g->n_columns)
		widths[widest]--;
	return widest < g->n_columns;
}

/* Leaves out the column with the highest rank, and resets the others to their natural width. */
static bool leave_out(const struct sutra_grid *g, const int *natural, int *widths)
{
	size_t out = g->n_columns;

	for (size_t c = 0; c < g->n_columns; c++)
		if (widths[c] >= 0 && g->columns[c].rank &&
		    (out == g->n_columns || g->columns[c].rank >= g->columns[out].rank))
			out = c;
	if (out == g->n_columns)
		return false;
	widths[out] = -1;
	for (size_t c = 0; c < g->n_columns; c++)
		widths[c] = widths[c] < 0 ? -1 : natural[c];
	return true;
}

/* Computes widths that fit into limit; -1: the column is left out. */
static void fit(const struct sutra_grid *g, int limit, int *widths)
{
	int natural[MAX_COLUMNS];

	natural_widths(g, natural);
	memcpy(widths, natural, g->n_columns * sizeof(*widths));
	while (total_of(widths, g->n_columns) > limit && (shrink(g, widths) || leave_out(g, natural, widths)))
		;
}

static void draw_row(const struct sutra_grid *g, struct sutra_screen *s, struct sutra_rect at, const int *widths,
		     const struct sutra_grid_cell *cells)
{
	int x = at.column;

	for (size_t c = 0; c < g->n_columns; c++) {
		const char *text = cells ? cells[c].text : g->columns[c].title;
		enum sutra_role role = cells ? cells[c].role : SUTRA_ROLE_HEAD;
		int own = (int)sutra_text_width(text, strlen(text)), left = at.column + at.width - x;

		if (widths[c] < 0)
			continue;
		own = own < widths[c] ? own : widths[c];
		sutra_screen_text(s, at.row, x + (g->columns[c].right ? widths[c] - own : 0),
				  widths[c] < left ? widths[c] : left, role, text);
		x += widths[c] + GAP;
	}
}

void sutra_grid_draw(const struct sutra_grid *g, struct sutra_screen *s, struct sutra_rect at, long selected)
{
	long rows = (long)sutra_grid_rows(g), room = at.height - 1, first = 0;
	int widths[MAX_COLUMNS];
	struct sutra_rect line = at;

	if (at.height < 1 || at.width < 1)
		return;
	fit(g, at.width, widths);
	draw_row(g, s, line, widths, NULL);
	if (selected >= room)
		first = selected - room + 1;
	for (long r = first; r < rows && r - first < room; r++) {
		line.row = at.row + 1 + (int)(r - first);
		draw_row(g, s, line, widths, g->cells + (size_t)r * g->n_columns);
		if (r == selected)
			sutra_screen_paint(s, line.row, at.column, 1, at.width, SUTRA_ROLE_SELECT);
	}
	if (rows - first > room && room > 0) {
		char more[32];
		int n = snprintf(more, sizeof(more), " %ld more ", rows - first - room);

		sutra_screen_text(s, at.row + at.height - 1, at.column + at.width - n, n, SUTRA_ROLE_DIM, more);
	}
}
