/* page_parts - the elements of a page: headings, cards, tables, figures; for page*.c alone. */
#ifndef SUTRA_REPORT_PAGE_PARTS_H
#define SUTRA_REPORT_PAGE_PARTS_H

#include <jansson.h>

#include "base/buf.h"

const char *sutra_page_text(const json_t *o, const char *key);	/* "" when it is none */
double sutra_page_value(const json_t *v);	/* NaN when it is no number, or none that can be drawn */
double sutra_page_number(const json_t *o, const char *key);	/* the same of a member */
void sutra_page_count(double v, char *out, size_t size);		/* "12,345" */
void sutra_page_figure(double v, int digits, const char *unit, char *out, size_t size);	/* "4.1 x", "-" for NaN */
void sutra_page_ms(double ms, char *out, size_t size);		/* "4.1 ms", "-" for NaN */
/* "2026-11-21 09:20 UTC": when the run was started. */
const char *sutra_page_when(const json_t *doc, char out[24]);
/* Sum of a number of all rows. */
double sutra_page_sum(const json_t *rows, const char *key);
/* Title with a word on its state: kind is "good", "bad", "warn" or "plain". */
void sutra_page_head(struct sutra_buf *b, const char *title, const char *kind, const char *word);
void sutra_page_sub(struct sutra_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));	/* a line below it */
void sutra_page_cards_begin(struct sutra_buf *b);
void sutra_page_card(struct sutra_buf *b, const char *name, const char *kind, const char *value);
void sutra_page_cards_end(struct sutra_buf *b);
void sutra_page_section(struct sutra_buf *b, const char *title);
/* A table row by row: cells of text; the first of a row in figures stands left, the others right. */
void sutra_page_table_begin(struct sutra_buf *b, const char *const *titles, const char *summary);
void sutra_page_row(struct sutra_buf *b, const char *const *cells);
void sutra_page_table_end(struct sutra_buf *b, const char *summary);

void sutra_page_load(const json_t *doc, struct sutra_buf *b);
void sutra_page_validate(const json_t *doc, struct sutra_buf *b);
void sutra_page_cache(const json_t *doc, struct sutra_buf *b);

#endif
