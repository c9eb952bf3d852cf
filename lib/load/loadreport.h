/*
 * loadreport - a load run as one document, sutra.load/1, and two of them compared.
 *
 * Everything that prints a load reads this document, so that table, JSON and HTML agree.
 * Times are milliseconds.
 */
#ifndef SUTRA_LOAD_LOADREPORT_H
#define SUTRA_LOAD_LOADREPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "load/load.h"

struct sutra_load_run {
	const char *url;
	const struct sutra_load_options *asked;
	const struct sutra_load_result *result;
	json_t *texts;		/* sutra_textsource_document; borrowed */
	int64_t started_us;	/* wall clock */
	bool interrupted;
	uint64_t max_late_ns;	/* of the sends, at P99; UINT64_MAX: no limit */
	bool has_cache;		/* counted by the gateway meanwhile, of all its clients */
	int64_t l1, l2, computed;
};

/* Why the figures do not describe the service: the generator could not send 99 % of what was asked, sent
 * too late, or no request was answered; "" when they do. Into out, at least 160 bytes. */
void sutra_load_doubt(const struct sutra_load_run *r, char *out, size_t size);
/* The caller's reference. exit_code goes into it. */
json_t *sutra_load_document(const struct sutra_load_run *r, int exit_code);
/* Adds "against": before, now and now / before of each figure of an earlier document.
 * SUTRA_E_INVALID: it is none. */
int sutra_load_compare(json_t *doc, const json_t *before, struct sutra_err *err);

#endif
