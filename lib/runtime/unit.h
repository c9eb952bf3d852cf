/*
 * unit - a compose service as a runtime starts it.
 *
 * For a container engine the compose model says it all; addresses are "{container}:port" until
 * the engine gives one (runtime.h). A local process is made by replacing what only a container network has: service
 * names (host:port, http://host, *_HOST) become loopback addresses, mount points become
 * folders of this machine, and SUTRA_LISTEN_<port> says where to listen: the unit's own
 * address with the container's port, and for a published port the host's address too.
 *
 * Own addresses are 127.B.C.N: B and C come from the digest of the state folder, so stacks side by
 * side do not meet. N is the service's place among all of the file at the first deploy, and
 * stays the service's (the record's "addresses"); one that is added later gets a free one.
 */
#ifndef SUTRA_RUNTIME_UNIT_H
#define SUTRA_RUNTIME_UNIT_H

#include <jansson.h>

#include "compose/compose.h"

struct sutra_unit {
	char *name, *group, *program;	/* group: "ml-base" of ml-base-1; else the name */
	char *address, *published;	/* "127.77.0.3:8887"; published may be NULL */
	char *health_url;		/* NULL: no health check */
	struct sutra_strv argv;		/* argv[0] is an absolute path */
	struct sutra_env env;
	struct sutra_dependency *depends_on;	/* borrowed from the compose model */
	size_t n_depends_on;
	struct sutra_healthcheck health;	/* test is not copied */
	enum sutra_restart restart;
	bool awaited_end;			/* another one waits until it has ended with 0 */
	int64_t restart_max;
	uint64_t memory_limit, stop_grace_ns;
	char *user;				/* of a local process; NULL: who deploys */
	char *image;				/* of a container: name, then its id once known */
	char hash[33];			/* "2-" and digits: changes exactly when a restart is due */
};

struct sutra_unit_options {
	const char *state_dir, *program_dir;	/* the daemons beside the command */
	const char *compose_dir;		/* of relative paths */
	const char *user;			/* of local processes, or NULL */
	bool containers;			/* names, paths and ports stay the container's */
	const json_t *addresses;		/* name -> N (sutra_units_addresses); NULL: by place */
};

/* N of every service of the file: as in old (may be NULL), free ones for names that it lacks; NULL and
 * SUTRA_E_SETTING when none is left. */
json_t *sutra_units_addresses(const struct sutra_compose *all, const json_t *old, struct sutra_err *err);

/* One unit a service of the selected model; all: the same file unselected, for addresses.
 * SUTRA_E_NOTFOUND names a program that is missing and the package that has it. */
int sutra_units_make(const struct sutra_compose *selected, const struct sutra_compose *all,
		     const struct sutra_unit_options *o, struct sutra_unit **ret, size_t *ret_n,
		     struct sutra_err *err);
/* Where a mount's source is on this machine; the caller frees; NULL without memory. */
char *sutra_volume_folder(const struct sutra_volume *v, const char *state_dir, const char *compose_dir);
void sutra_units_free(struct sutra_unit *units, size_t n);

#endif
