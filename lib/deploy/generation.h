/*
 * generation - the parts of a deploy, so that it can be repeated: <state>/generations/<number>/.
 *
 * A deploy that came to its end leaves its settings (without secrets), its compose folder and
 * the programs it started (natively; images are tagged instead), so that a later one that
 * fails can be taken back, and `sutra rollback` can. The last three before the newest are kept,
 * and any that a running service still comes from. An image's tag goes with the last that
 * names it.
 */
#ifndef SUTRA_DEPLOY_GENERATION_H
#define SUTRA_DEPLOY_GENERATION_H

#include <jansson.h>

#include "base/err.h"
#include "deploy/deploy.h"

struct sutra_generation {
	int number;
	char *dir;		/* a data folder: compose/ */
	char *program_dir;	/* NULL: not kept, a container's program is in its image */
	json_t *doc;		/* sutra.generation/1: settings, images, services ... */
};

/* Writes <state>/generations/next, before anything is started. */
int sutra_generation_prepare(const char *state_dir, struct sutra_config *config, const struct sutra_desired *d,
			     const char *data_dir, const char *cause, struct sutra_err *err);
/* The prepared one becomes the newest, *ret_number; old ones go. record: what runs. */
int sutra_generation_commit(const char *state_dir, const struct sutra_record *record, int *ret_number,
			    struct sutra_err *err);
/* Removes every one, and the tags of their images. */
int sutra_generation_forget_all(const char *state_dir, struct sutra_err *err);
/* SUTRA_E_NOTFOUND names the ones there are. */
int sutra_generation_open(const char *state_dir, int number, struct sutra_generation *ret, struct sutra_err *err);
void sutra_generation_release(struct sutra_generation *g);
/* What a rollback goes to: the newest before the current one, or with none (0: the first deploy since down
 * was cut off) the newest. SUTRA_E_NOTFOUND: there is none. */
int sutra_generation_before(const char *state_dir, int current, int *ret_number, struct sutra_err *err);
/* Numbers, newest first; *ret is sutra_free'd. */
size_t sutra_generation_list(const char *state_dir, int **ret);

#endif
