/*
 * yaml - YAML texts by libfyaml: read within bounds, and written from JSON values.
 *
 * A small text can cost much: aliases of aliases grow a thousandfold a line, libfyaml compares
 * every key of a mapping with the others, and its time for some tokens is the square of a line's
 * length. So no line is longer than 8 KiB, and the text is first read as events, which costs its
 * length alone. It is refused at 50,000 values with every alias counted as what it stands for, at
 * 500,000 comparisons of keys (1,000 keys in one mapping), at 200 anchors and at a depth of 40; also
 * when a second document begins, a line begins with "%", or a tag stands in it that is not YAML's own.
 *
 * What is written means the same to a reader of YAML 1.1 and of 1.2. libfyaml's own choice of a style
 * (FYECF_MODE_DEJSON) writes the texts "on", "1" and "~" bare, which reads as a boolean, a number and
 * null; so the style of each text is chosen here: bare where no reader takes it for anything else,
 * a literal block for several lines, double quotes for the rest.
 */
#ifndef SUTRA_COMPOSE_YAML_H
#define SUTRA_COMPOSE_YAML_H

#include <jansson.h>
#include <libfyaml.h>

#include "base/buf.h"
#include "base/err.h"

/* The document, aliases and merge keys resolved, destroyed by the caller; text must outlive it.
 * SUTRA_E_SETTING with "file:line: what". */
int sutra_yaml_load(const char *text, size_t n, const char *file, struct fy_document **ret, struct sutra_err *err);
/* Appends a document in block style, its keys in their order, ended by a newline; equal values give
 * equal bytes. Without memory, or beyond b's bound, b's error is set. */
void sutra_yaml_add(struct sutra_buf *b, const json_t *value);

#endif
