/*
 * record - <state>/deployment.json: the services that deploy has started, and their settings.
 *
 * It is the model of a deployment: plan, status, checks and runtimes point into it and add what they
 * measured. It is written whole after every change, so that it is true after an interrupted deploy too.
 * record.c alone reads and writes the file. Its "schema" is "sutra.deployment/<format>"; a change that an
 * older command would misread raises the format.
 */
#ifndef SUTRA_DEPLOY_RECORD_H
#define SUTRA_DEPLOY_RECORD_H

#include <jansson.h>

#include "base/err.h"
#include "deploy/balancer.h"
#include "runtime/unit.h"

struct sutra_record {		/* owns its parts */
	char *project;
	char *runtime;			/* "native", "docker"; NULL: unknown, the record was lost */
	char *edition;
	char *deployed_at;		/* RFC 3339 */
	int64_t dimension;
	int64_t generation;		/* of the last deploy that came to its end; 0: none */
	bool cache_enabled;
	bool complete;			/* the last deploy came to its end */
	struct sutra_hosts hosts;	/* addresses of local processes: unit.h */
	struct sutra_balancer *balancers;
	size_t n_balancers;
	struct sutra_unit *units;	/* in start order */
	size_t n;
};

/* SUTRA_E_NOTFOUND: nothing is deployed; SUTRA_E_SYNTAX, SUTRA_E_CORRUPT: the file is no record;
 * SUTRA_E_UNSUPPORTED: a newer command wrote it, and it must not be replaced. */
int sutra_record_load(const char *state_dir, struct sutra_record **ret, struct sutra_err *err);
/* The same for deploy, which goes on without a record: *ret is NULL when nothing is deployed, and has only the
 * names of units, from the service folders, when the record is lost. The only error is SUTRA_E_UNSUPPORTED. */
int sutra_record_recover(const char *state_dir, struct sutra_record **ret, struct sutra_err *err);
int sutra_record_save(const char *state_dir, const struct sutra_record *r, struct sutra_err *err);
/* The document that is saved; the caller's reference. */
json_t *sutra_record_document(const struct sutra_record *r);
void sutra_record_free(struct sutra_record *r);
/* NULL: none, or no record. Borrowed until the next put or remove. */
const struct sutra_unit *sutra_record_find(const struct sutra_record *r, const char *name);
/* Replaces or adds a unit: a copy without secrets. container: its id, or "". */
void sutra_record_put(struct sutra_record *r, const struct sutra_unit *u, const char *container,
		      const char *compose_file);
void sutra_record_remove(struct sutra_record *r, const char *name);
/* Whether a unit was started from a file below the folder. */
bool sutra_record_uses(const struct sutra_record *r, const char *folder);

#endif
