/*
 * report - an outcome as text for people, and as JSON (sutra.validate/1), JUnit XML, TAP 13 and
 * Prometheus text for machines. One document, always in the same order.
 */
#ifndef SUTRA_REPORT_REPORT_H
#define SUTRA_REPORT_REPORT_H

#include <jansson.h>

#include "base/buf.h"
#include "check/check.h"

/* Sequences put around words of the text report; all "" without colour. */
struct sutra_report_style {
	const char *ok, *bad, *warn, *dim, *head, *off;
	unsigned width;		/* columns; 0: no limit */
	bool targets;		/* print how far over or under its target each value is */
};

void sutra_report_text(const struct sutra_outcome *o, struct sutra_suite *const *suites, size_t n,
		       const struct sutra_report_style *style, struct sutra_buf *b);
void sutra_report_json(const struct sutra_outcome *o, struct sutra_buf *b);
void sutra_report_junit(const struct sutra_outcome *o, struct sutra_buf *b);
void sutra_report_tap(const struct sutra_outcome *o, struct sutra_buf *b);
void sutra_report_prom(const struct sutra_outcome *o, struct sutra_buf *b);

/* Appends text as XML 1.0 and HTML allow it, in elements and in attributes. */
void sutra_report_xml(struct sutra_buf *b, const char *text);
/* The same between two pieces of markup. */
void sutra_report_between(struct sutra_buf *b, const char *before, const char *text, const char *after);
/* Appends a document as every command prints it, and gives its reference back. */
void sutra_report_document(struct sutra_buf *b, json_t *doc);

#endif
