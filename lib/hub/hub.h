/*
 * hub - models from the Hugging Face hub: which files a repository has, and those files.
 *
 * GET {hub}/api/models/{repo}/revision/main?blobs=true gives the commit and, for every file,
 * its size and (large files) its SHA-256; GET {hub}/{repo}/resolve/{commit}/{file} the bytes.
 * {hub} is $SUTRA_HUB_URL, default https://huggingface.co; $HF_TOKEN, when set, goes to that
 * host alone, and not over plain HTTP beyond this machine.
 */
#ifndef SUTRA_HUB_HUB_H
#define SUTRA_HUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

/* One step of a fetch: what is being done, bytes done and in all (0: not told). Not 0: stop. */
typedef int sutra_model_progress(const char *what, uint64_t done, uint64_t total);

struct sutra_hub_file {
	const char *name;	/* static: one of the names a model folder may hold */
	uint64_t size;
	char sha256[SUTRA_SHA256_HEX];	/* "" where the hub tells none (small files) */
};

enum { SUTRA_HUB_MAX_FILES = 16 };

struct sutra_hub_listing {
	char commit[65];
	struct sutra_hub_file files[SUTRA_HUB_MAX_FILES];	/* those a model needs or may have */
	size_t n;
};

/* "owner/name" of letters, digits, '.', '_', '-'; each part 1 to 96 long, no dots alone. */
bool sutra_hub_is_repo(const char *name);
/* The API's answer. SUTRA_E_SYNTAX or CORRUPT: not what the hub sends; SUTRA_E_INVALID: a
 * repository without config.json, vocab.txt or model.safetensors, named. */
int sutra_hub_parse(const char *json, size_t n, struct sutra_hub_listing *ret, struct sutra_err *err);
/* Asks the hub. work: folder for what comes, made by the caller. */
int sutra_hub_list(const char *repo, const char *work, sutra_model_progress *progress,
		   struct sutra_hub_listing *ret, struct sutra_err *err);
/* Gets every file of the listing into <work>/<commit>/, going on where an earlier call
 * stopped, and checks size and SHA-256; a file that is wrong is removed (SUTRA_E_CORRUPT). */
int sutra_hub_get(const char *repo, const struct sutra_hub_listing *l, const char *work,
		  sutra_model_progress *progress, struct sutra_err *err);

#endif
