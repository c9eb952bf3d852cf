#include "term/table.h"

#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/shown.h"

enum { GAP = 2, MAX_LINE = 1 << 20 };

struct cell {
	char *text;
	enum sutra_role role;
	size_t width;
};

struct sutra_table {
	const struct sutra_column *columns;
	size_t n_columns;
	struct cell *cells;
	size_t n;
};

struct sutra_table *sutra_table_new(const struct sutra_column *columns)
{
	struct sutra_table *t = xcalloc(1, sizeof(*t));

	t->columns = columns;
	while (columns[t->n_columns].title)
		t->n_columns++;
	return t;
}

void sutra_table_cell(struct sutra_table *t, enum sutra_role role, const char *text)
{
	struct sutra_buf shown;

	/* Grows by doubling: at each power of two the block is full. */
	if (!(t->n & (t->n - 1)))
		t->cells = xrealloc_array(t->cells, t->n ? 2 * t->n : 1, sizeof(*t->cells));
	sutra_buf_init(&shown, MAX_LINE);
	sutra_shown_add(&shown, text ? text : "", text ? strlen(text) : 0);
	t->cells[t->n++] = (struct cell){ xstrdup(sutra_buf_str(&shown)), role,
					  sutra_text_width(sutra_buf_str(&shown), shown.len) };
	sutra_buf_release(&shown);
}

void sutra_table_cellf(struct sutra_table *t, enum sutra_role role, const char *fmt, ...)
{
	struct sutra_buf b;
	va_list ap;

	sutra_buf_init(&b, 4096);
	va_start(ap, fmt);
	sutra_buf_vaddf(&b, fmt, ap);
	va_end(ap);
	sutra_table_cell(t, role, sutra_buf_str(&b));
	sutra_buf_release(&b);
}

/* Narrows the widest shrinkable column until the line fits or none can shrink. */
static void shrink(const struct sutra_table *t, size_t *widths, size_t limit)
{
	for (;;) {
		size_t total = GAP * (t->n_columns - 1), widest = t->n_columns;

		for (size_t c = 0; c < t->n_columns; c++) {
			total += widths[c];
			if (t->columns[c].shrink && widths[c] > t->columns[c].shrink &&
			    (widest == t->n_columns || widths[c] > widths[widest]))
				widest = c;
		}
		if (total <= limit || widest == t->n_columns)
			return;
		widths[widest]--;
	}
}

static void add_cell(struct sutra_buf *b, const struct sutra_table *t, size_t c, const char *text,
		     enum sutra_role role, size_t width, const struct sutra_term *term)
{
	size_t from, shown, pad;
	struct sutra_buf fitted;

	sutra_buf_init(&fitted, MAX_LINE);
	from = sutra_text_width(text, strlen(text));
	/* Only a column that may shrink is cut; another one overflows. */
	sutra_text_fit(&fitted, text, from > width ? width : 0, term->utf8);
	shown = from > width ? width : from;
	pad = width - shown;
	if (t->columns[c].right)
		sutra_buf_addf(b, "%*s", (int)pad, "");
	sutra_buf_addf(b, "%s%s%s", sutra_term_on(term, role), sutra_buf_str(&fitted),
		       sutra_term_off(term, role));
	if (c + 1 < t->n_columns)
		sutra_buf_addf(b, "%*s", (int)((t->columns[c].right ? 0 : pad) + GAP), "");
	sutra_buf_release(&fitted);
}

static void end_line(struct sutra_buf *b, FILE *out)
{
	while (b->len && b->data[b->len - 1] == ' ')
		b->len--;
	sutra_buf_addc(b, '\n');
	fwrite(b->data, 1, b->len, out);
	sutra_buf_clear(b);
}

void sutra_table_print(const struct sutra_table *t, const struct sutra_term *term, unsigned columns)
{
	size_t *widths = xcalloc(t->n_columns, sizeof(*widths));
	unsigned limit = columns ? columns : sutra_term_columns(term);
	struct sutra_buf line;
	bool head = false;

	sutra_buf_init(&line, MAX_LINE);
	for (size_t c = 0; c < t->n_columns; c++) {
		widths[c] = strlen(t->columns[c].title);
		head |= widths[c] > 0;
	}
	for (size_t i = 0; i < t->n; i++)
		if (t->cells[i].width > widths[i % t->n_columns])
			widths[i % t->n_columns] = t->cells[i].width;
	if (limit)
		shrink(t, widths, limit);
	for (size_t c = 0; head && c < t->n_columns; c++)
		add_cell(&line, t, c, t->columns[c].title, SUTRA_ROLE_HEAD, widths[c], term);
	if (head)
		end_line(&line, term->out);
	for (size_t i = 0; i < t->n; i++) {
		add_cell(&line, t, i % t->n_columns, t->cells[i].text, t->cells[i].role,
			 widths[i % t->n_columns], term);
		if (i % t->n_columns == t->n_columns - 1)
			end_line(&line, term->out);
	}
	sutra_buf_release(&line);
	sutra_free(widths);
}

void sutra_table_free(struct sutra_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		sutra_free(t->cells[i].text);
	sutra_free(t->cells);
	sutra_free(t);
}
