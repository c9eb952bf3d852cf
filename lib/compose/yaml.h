/*
 * yaml - a JSON value written as YAML in block style.
 *
 * What comes out means the same to a reader of YAML 1.1 and of 1.2: a text is left bare only
 * where no reader could take it for anything else, text of several lines becomes a literal
 * block, everything else is quoted with escapes. Keys keep their order, so equal values give
 * equal bytes.
 */
#ifndef SUTRA_COMPOSE_YAML_H
#define SUTRA_COMPOSE_YAML_H

#include <jansson.h>

#include "base/buf.h"

/* Appends the document, ended by a newline. */
void sutra_yaml_add(struct sutra_buf *b, const json_t *value);

#endif
