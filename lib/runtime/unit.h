/*
 * unit - a service as a runtime starts it, and as the record of a deployment keeps it.
 *
 * A container engine gets the compose file's own values; addresses are "{container}:port" until the engine
 * gives one (runtime.h). For a local process, what only a container network has is replaced: service
 * names (host:port, http://host, *_HOST) become loopback addresses, mount points become
 * folders of this machine, and SUTRA_LISTEN_<port> says where to listen: the unit's own
 * address with the container's port, and for a published port the host's address too.
 *
 * Own addresses are 127.B.C.N: B and C come from the digest of the state folder, so stacks side by
 * side do not meet. N is the service's place among all of the file at the first deploy, and
 * stays the service's (the record's hosts); a service that is added later gets a free one.
 */
#ifndef SUTRA_RUNTIME_UNIT_H
#define SUTRA_RUNTIME_UNIT_H

#include "compose/compose.h"

struct sutra_unit {		/* owns its parts */
	char *name, *group, *program;	/* group: "ml-base" of ml-base-1; else the name */
	char *address, *published;	/* "127.77.0.3:8887"; published may be NULL */
	char *health_url;		/* NULL: no health check */
	struct sutra_strv argv;		/* argv[0] is an absolute path */
	struct sutra_env env;		/* of a recorded one: without secrets */
	struct sutra_dependency *depends_on;	/* of a recorded one: without conditions */
	size_t n_depends_on;
	enum sutra_restart restart;
	bool awaited_end;			/* another unit waits until this one has ended with 0 */
	int64_t restart_max;
	uint64_t memory_limit;			/* bytes; 0: none */
	uint64_t start_period_ns, stop_grace_ns;
	char *user;				/* of a local process; NULL: the user who deploys */
	char *image;				/* of a container: name, then its id once known */
	char *hash;			/* "2-" and digits: changes exactly when a restart is due */
	/* Set in a recorded unit; else NULL. */
	char *container;		/* its id, "" for a local process */
	char *compose_file;		/* a container mounts files beside it */
};

/* N of each service. */
struct sutra_hosts {
	struct sutra_host {
		char *service;
		unsigned n;
	} *items;
	size_t n;
};

struct sutra_unit_options {
	const char *state_dir, *program_dir;	/* the daemons beside the command */
	const char *compose_dir;		/* of relative paths */
	const char *user;			/* of local processes, or NULL */
	bool containers;			/* names, paths and ports stay the container's */
	const struct sutra_hosts *hosts;	/* NULL: by place */
};

/* N of every service of the file and of old (may be NULL): as in old, free ones for names that it lacks;
 * SUTRA_E_SETTING when none is left. */
int sutra_hosts_make(const struct sutra_compose *all, const struct sutra_hosts *old, struct sutra_hosts *ret,
		     struct sutra_err *err);
void sutra_hosts_add(struct sutra_hosts *h, const char *service, unsigned n);
void sutra_hosts_release(struct sutra_hosts *h);

/* One unit a service of the selected model; all: the same file unselected, for addresses.
 * SUTRA_E_NOTFOUND names a program that is missing and the package that has it. */
int sutra_units_make(const struct sutra_compose *selected, const struct sutra_compose *all,
		     const struct sutra_unit_options *o, struct sutra_unit **ret, size_t *ret_n,
		     struct sutra_err *err);
/* The path of a mount's source on this machine; x-allocated. */
char *sutra_volume_folder(const struct sutra_volume *v, const char *state_dir, const char *compose_dir);
void sutra_unit_release(struct sutra_unit *u);
void sutra_units_free(struct sutra_unit *units, size_t n);
/* By name; NULL: none. */
const struct sutra_unit *sutra_units_find(const struct sutra_unit *units, size_t n, const char *name);

/* Appends to *ret, once each, the names of the units that units[at] needs: those of its depends_on, then
 * those whose name or own address stands in its environment. */
void sutra_units_needs(const struct sutra_unit *units, size_t n, size_t at, struct sutra_strv *ret);

#endif
