/*
 * shown - text of others on a terminal: as text, whatever it holds.
 *
 * What could move the cursor, change colours or the window, or reorder what is read is written as an
 * escape: C0 controls but tab and newline, DEL and bytes that are no UTF-8 as \x1b, C1 controls
 * (U+0080-U+009F), bidirectional controls (U+061C, U+200E, U+200F, U+202A-U+202E, U+2066-U+2069) and
 * the separators U+2028 and U+2029 as \u009b. A backslash stays: the form is for readers, not for
 * programs; JSON keeps the bytes.
 */
#ifndef SUTRA_BASE_SHOWN_H
#define SUTRA_BASE_SHOWN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"

/* Appends n bytes as text. */
void sutra_shown_add(struct sutra_buf *b, const char *s, size_t n);
/* Whether text is shown as it is, on one line. */
bool sutra_shown_is_text(const char *s);
/* Appends JSON text whose strings hold such characters raw, with the escapes of JSON (\u009b): an
 * equal document. */
void sutra_shown_json(struct sutra_buf *b, const char *s, size_t n);
/* fprintf; all of what it makes is shown as text. */
void sutra_shown_printf(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
