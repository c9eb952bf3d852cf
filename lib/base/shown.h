/*
 * shown - untrusted text, made safe to print on a terminal.
 *
 * Characters that move the cursor, change colours or the window, or reorder text are written as
 * escapes: C0 controls except tab and newline, DEL and invalid UTF-8 as \x1b, C1 controls
 * (U+0080-U+009F), bidirectional controls (U+061C, U+200E, U+200F, U+202A-U+202E, U+2066-U+2069) and
 * the separators U+2028 and U+2029 as \u009b. A backslash is not escaped: the form is for people, not
 * for programs, which read JSON.
 */
#ifndef SUTRA_BASE_SHOWN_H
#define SUTRA_BASE_SHOWN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"

/* Appends n bytes, with escapes. */
void sutra_shown_add(struct sutra_buf *b, const char *s, size_t n);
/* Whether text needs no escape and is one line. */
bool sutra_shown_is_text(const char *s);
/* Appends JSON text whose strings hold such characters, which become JSON escapes (\u009b): the document
 * stays equal. */
void sutra_shown_json(struct sutra_buf *b, const char *s, size_t n);
/* fprintf with escapes in the whole output. */
void sutra_shown_printf(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
