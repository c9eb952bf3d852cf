#include "term/screen.h"

#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"

void sutra_screen_init(struct sutra_screen *s, int rows, int columns, bool utf8)
{
	*s = (struct sutra_screen){ .utf8 = utf8 };
	sutra_screen_resize(s, rows, columns);
}

void sutra_screen_release(struct sutra_screen *s)
{
	sutra_free(s->cells);
	s->cells = NULL;
	s->rows = s->columns = 0;
}

void sutra_screen_clear(struct sutra_screen *s)
{
	for (size_t i = 0; i < (size_t)s->rows * (size_t)s->columns; i++)
		s->cells[i] = (struct sutra_cell){ " ", SUTRA_ROLE_PLAIN };
}

void sutra_screen_resize(struct sutra_screen *s, int rows, int columns)
{
	if (rows != s->rows || columns != s->columns) {
		s->cells = xrealloc_array(s->cells, (size_t)rows * (size_t)columns, sizeof(*s->cells));
		s->rows = rows;
		s->columns = columns;
	}
	sutra_screen_clear(s);
}

static struct sutra_cell *cell_at(const struct sutra_screen *s, int row, int column)
{
	if (row < 0 || row >= s->rows || column < 0 || column >= s->columns)
		return NULL;
	return &s->cells[(size_t)row * (size_t)s->columns + (size_t)column];
}

const struct sutra_cell *sutra_screen_cell(const struct sutra_screen *s, int row, int column)
{
	return cell_at(s, row, column);
}

/* Half of a wide character would shift the rest of its row: it becomes a blank. */
static void put(struct sutra_screen *s, int row, int column, enum sutra_role role, const char *glyph, size_t n)
{
	struct sutra_cell *c = cell_at(s, row, column), *before = cell_at(s, row, column - 1),
			  *after = cell_at(s, row, column + 1);

	if (!c || n >= sizeof(c->glyph))
		return;
	if (!c->glyph[0] && before)
		memcpy(before->glyph, " ", 2);
	if (after && !after->glyph[0])
		memcpy(after->glyph, " ", 2);
	memcpy(c->glyph, glyph, n);
	c->glyph[n] = '\0';
	c->role = (unsigned char)role;
}

static void put_wide(struct sutra_screen *s, int row, int column, enum sutra_role role, const char *glyph, size_t n)
{
	struct sutra_cell *right = cell_at(s, row, column + 1);

	if (!right) {
		put(s, row, column, role, " ", 1);
		return;
	}
	put(s, row, column, role, glyph, n);
	put(s, row, column + 1, role, "", 0);
}

static int put_text(struct sutra_screen *s, int row, int column, int width, enum sutra_role role, const char *text)
{
	size_t n = strlen(text), columns;
	int used = 0;
	bool plain;

	for (size_t i = 0; i < n;) {
		size_t len = sutra_text_next(text + i, n - i, &columns, &plain);
		/* Combining characters are left out: not every terminal agrees on them. */
		bool shown = plain && (s->utf8 || !(text[i] & 0x80)) && len < sizeof(struct sutra_cell);

		if (used + (int)columns > width)
			break;
		if (columns == 1)
			put(s, row, column + used, role, shown ? text + i : "?", shown ? len : 1);
		else if (columns == 2)
			put_wide(s, row, column + used, role, shown ? text + i : " ", shown ? len : 1);
		used += (int)columns;
		i += len;
	}
	return used;
}

int sutra_screen_text(struct sutra_screen *s, int row, int column, int width, enum sutra_role role,
		      const char *text)
{
	const char *dots = s->utf8 ? "\u2026" : "~";
	int used;

	if (width > s->columns - column)
		width = s->columns - column;
	if (width <= 0 || row < 0 || row >= s->rows || column < 0)
		return 0;
	if (sutra_text_width(text, strlen(text)) <= (size_t)width)
		return put_text(s, row, column, width, role, text);
	used = put_text(s, row, column, width - 1, role, text);
	put(s, row, column + used, role, dots, strlen(dots));
	return used + 1;
}

int sutra_screen_textf(struct sutra_screen *s, int row, int column, int width, enum sutra_role role,
		       const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sutra_screen_text(s, row, column, width, role, text);
}

void sutra_screen_fill(struct sutra_screen *s, int row, int column, int width, enum sutra_role role,
		       const char *glyph)
{
	for (int i = 0; i < width; i++)
		put(s, row, column + i, role, glyph, strlen(glyph));
}

void sutra_screen_paint(struct sutra_screen *s, int row, int column, int height, int width, enum sutra_role role)
{
	for (int y = row; y < row + height; y++) {
		for (int x = column; x < column + width; x++) {
			struct sutra_cell *c = cell_at(s, y, x);

			if (c)
				c->role = (unsigned char)role;
		}
	}
}

static int end_of(const struct sutra_screen *s, int row)
{
	int end = s->columns;

	while (end && !strcmp(cell_at(s, row, end - 1)->glyph, " ") &&
	       cell_at(s, row, end - 1)->role != SUTRA_ROLE_SELECT)
		end--;
	return end;
}

void sutra_screen_print(const struct sutra_screen *s, const struct sutra_term *term)
{
	for (int y = 0; y < s->rows; y++) {
		enum sutra_role role = SUTRA_ROLE_PLAIN;

		for (int x = 0, end = end_of(s, y); x < end; x++) {
			const struct sutra_cell *c = cell_at(s, y, x);

			if (c->role != role) {
				fputs(sutra_term_off(term, role), term->out);
				role = (enum sutra_role)c->role;
				fputs(sutra_term_on(term, role), term->out);
			}
			fputs(c->glyph, term->out);
		}
		fputs(sutra_term_off(term, role), term->out);
		fputc('\n', term->out);
	}
}
