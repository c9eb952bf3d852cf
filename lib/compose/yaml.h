/*
 * yaml - YAML by libfyaml: reading within limits, and writing from JSON values.
 *
 * A small text can take much time: aliases of aliases grow a thousandfold per line, libfyaml compares
 * every key of a mapping with the others, and its time for some tokens is quadratic in the length of a
 * line. So lines are limited to 8 KiB, and the text is first read as events, in linear time. It is
 * refused above 50,000 values with every alias counted as its anchor's, above 500,000 comparisons of
 * keys (1,000 keys in one mapping), 200 anchors or a depth of 40; also when a second document begins, a
 * line begins with "%", or it has a tag that is not one of YAML.
 *
 * The output means the same in YAML 1.1 and 1.2. libfyaml's own choice of a style (FYECF_MODE_DEJSON)
 * writes the texts "on", "1" and "~" bare, which reads as a boolean, a number and
 * null; so the style of each text is chosen here: bare when every parser reads it as text,
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
 * equal bytes. Out of memory, or of room in b: b->error is set. */
void sutra_yaml_add(struct sutra_buf *b, const json_t *value);

#endif
