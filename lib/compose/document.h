/* document - a YAML text as libfyaml's tree, within bounds. Internal to lib/stack.
 *
 * A small text can ask for much: aliases of aliases grow a thousandfold a line, libfyaml compares
 * every key of a mapping with the others, and takes the square of a line's length for some tokens.
 * So no line is longer than 8 KiB, and the text is first read as events, which costs its length
 * alone. It is refused at 50,000 values with every alias counted as what it stands for, at 500,000
 * comparisons of keys (1,000 keys in one mapping), at 200 anchors and at a depth of 40; also when a
 * second document begins, a line begins with "%", or a tag stands in it that is not YAML's own. */
#ifndef SUTRA_COMPOSE_DOCUMENT_H
#define SUTRA_COMPOSE_DOCUMENT_H

#include <libfyaml.h>

#include "base/err.h"

/* The document, aliases and merge keys resolved, destroyed by the caller; text must outlive it.
 * SUTRA_E_SETTING with "file:line: what". */
int document_load(const char *text, size_t n, const char *file, struct fy_document **ret, struct sutra_err *err);

#endif
