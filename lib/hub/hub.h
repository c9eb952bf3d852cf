/*
 * hub - models from the Hugging Face hub: the list of a repository's files, and their download.
 *
 * GET {hub}/api/models/{repo}/revision/main?blobs=true gives the commit and, for every file,
 * its size and (large files) its SHA-256; GET {hub}/{repo}/resolve/{commit}/{file} the bytes.
 * {hub} is $SUTRA_HUB_URL, default https://huggingface.co. $HF_TOKEN is sent to that host alone, and over
 * plain HTTP only to this machine.
 */
#ifndef SUTRA_HUB_HUB_H
#define SUTRA_HUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

/* Called during a fetch: the current step, bytes done and total (0: unknown). Not 0: stop the fetch. */
typedef int sutra_model_progress(const char *what, uint64_t done, uint64_t total);

struct sutra_hub_file {
	const char *name;	/* static: one of the names that a model folder may hold */
	uint64_t size;
	char sha256[SUTRA_SHA256_HEX];	/* "": the hub gives none (small files) */
};

enum { SUTRA_HUB_MAX_FILES = 16 };

struct sutra_hub_listing {
	char commit[65];
	struct sutra_hub_file files[SUTRA_HUB_MAX_FILES];	/* those that a model needs or may have */
	size_t n;
};

/* "owner/name" of letters, digits, '.', '_', '-'; each part 1 to 96 long, no dots alone. */
bool sutra_hub_is_repo(const char *name);
/* Reads the API's answer. SUTRA_E_SYNTAX or CORRUPT: it is malformed; SUTRA_E_INVALID: the repository lacks
 * config.json, vocab.txt or model.safetensors, which the message names. */
int sutra_hub_parse(const char *json, size_t n, struct sutra_hub_listing *ret, struct sutra_err *err);
/* Asks the hub. work: an existing folder for the answer. */
int sutra_hub_list(const char *repo, const char *work, sutra_model_progress *progress,
		   struct sutra_hub_listing *ret, struct sutra_err *err);
/* Downloads every file of the listing to <work>/<commit>/, continues what an earlier call began, and checks
 * size and SHA-256; a file that does not match is removed (SUTRA_E_CORRUPT). */
int sutra_hub_get(const char *repo, const struct sutra_hub_listing *l, const char *work,
		  sutra_model_progress *progress, struct sutra_err *err);

#endif
