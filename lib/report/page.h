/*
 * page - a report for people: one HTML page that loads no other resource, in light and dark.
 *
 * It reads the documents the commands print: sutra.load/1, sutra.validate/1 and
 * sutra.cache-stats/1. What they lack is left out.
 */
#ifndef SUTRA_REPORT_PAGE_H
#define SUTRA_REPORT_PAGE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the whole page. SUTRA_E_INVALID: the document is none of the three. */
int sutra_page_add(const json_t *doc, struct sutra_buf *b, struct sutra_err *err);

#endif
