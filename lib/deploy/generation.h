/*
 * generation - what a deploy consists of, so that it can be repeated: <state>/generations/<number>/.
 *
 * A deploy that ended well keeps its settings (without secrets), its compose folder and the programs
 * that it started (natively; images are tagged instead), so that the stack can return to it: after a
 * later deploy failed, or by `sutra rollback`. The newest four are kept, and those from which a service
 * still runs. An image's tag is removed with the last generation that names it.
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
	json_t *doc;		/* sutra.generation/1; the members below are parts of it */
	const char *deployed_at, *cause;	/* "-": the document lacks it */
	const char *runtime;
	json_t *settings, *services, *images;	/* name -> value; names; service -> image, which may be NULL */
};

/* Writes <state>/generations/next, before a service is started. */
int sutra_generation_prepare(const char *state_dir, struct sutra_config *config, const struct sutra_desired *d,
			     const char *data_dir, const char *cause, struct sutra_err *err);
/* Makes the prepared generation the newest, *ret_number, and removes old ones that record does not use. */
int sutra_generation_commit(const char *state_dir, const struct sutra_record *record, int *ret_number,
			    struct sutra_err *err);
/* Removes all generations, and the tags of their images. */
int sutra_generation_forget_all(const char *state_dir, struct sutra_err *err);
/* SUTRA_E_NOTFOUND names the generations that are kept. */
int sutra_generation_open(const char *state_dir, int number, struct sutra_generation *ret, struct sutra_err *err);
void sutra_generation_release(struct sutra_generation *g);
/* The generation that a rollback returns to: the newest before current; the newest of all if current is 0
 * (the first deploy after down was cut off). SUTRA_E_NOTFOUND: there is none. */
int sutra_generation_before(const char *state_dir, int current, int *ret_number, struct sutra_err *err);
/* Numbers, newest first; *ret is sutra_free'd. */
size_t sutra_generation_list(const char *state_dir, int **ret);

#endif
