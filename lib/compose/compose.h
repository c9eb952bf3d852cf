/*
 * compose - a compose file as a model: what is planned and what runtimes run.
 *
 * Read by libfyaml (YAML 1.2; anchors, aliases and merge keys resolved), values
 * interpolated, then checked: a key that is not known here is an error with file and line,
 * never ignored in silence. Keys that only a container engine acts on (build, networks,
 * labels ...) are known and checked for their place, not modelled: that engine reads the
 * same file. x-sutra-* keys are what compose has no words for. sutra-compose(5) lists all.
 */
#ifndef SUTRA_COMPOSE_COMPOSE_H
#define SUTRA_COMPOSE_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "compose/interpolate.h"

enum sutra_condition { SUTRA_STARTED, SUTRA_HEALTHY, SUTRA_COMPLETED };
enum sutra_restart { SUTRA_RESTART_NO, SUTRA_RESTART_ALWAYS, SUTRA_RESTART_ON_FAILURE,
		     SUTRA_RESTART_UNLESS_STOPPED };

struct sutra_env {	/* sorted by key */
	struct sutra_env_item {
		char *key, *value;
	} *items;
	size_t n;
};

struct sutra_dependency {
	char *service;
	enum sutra_condition condition;
	int line;
};

struct sutra_port {
	char *host_ip;		/* "127.0.0.1"; NULL: any */
	int published, target;	/* published 0: chosen by the engine */
	char *protocol;		/* "tcp" */
};

struct sutra_volume {
	char *source;		/* name of a volume, or path; NULL: anonymous */
	char *target;
	bool named, read_only;
};

struct sutra_healthcheck {
	struct sutra_strv test;	/* without CMD; empty: none */
	bool shell, disabled;
	uint64_t interval_ns, timeout_ns, start_period_ns;	/* 30 s, 30 s, 0 as compose has it */
	int64_t retries;	/* 3 */
};

enum { SUTRA_SCALE_POLICIES = 4 };

struct sutra_scale_rule {	/* how fast an autoscaler may go in one direction */
	bool set;
	uint64_t window_ns;	/* it looks back so long before it goes */
	struct sutra_scale_policy {
		bool percent;	/* of the running ones; else a number of pods */
		int64_t value;
		uint64_t period_ns;
	} policies[SUTRA_SCALE_POLICIES];
	size_t n;
};

struct sutra_scale {	/* x-sutra-scale */
	int64_t min, max;	/* 0: not said; equal: fixed */
	int64_t cpu, memory;	/* percent of the reservation to hold; 0: not a measure */
	struct sutra_scale_rule up, down;
};

struct sutra_kubernetes {	/* x-sutra-kubernetes */
	char *entrance;		/* the Service that leads in, and its port; NULL: it is none */
	int64_t entrance_port;
	char *scale_profile;	/* where alone scale holds; NULL: everywhere */
	struct sutra_scale scale;	/* min 0: that of x-sutra-scale holds */
};

struct sutra_drain {	/* x-sutra-drain: what comes before the end */
	bool set;
	uint64_t delay_ns;	/* as long, requests still come */
	char *signal;		/* "USR1"; NULL: none */
	uint64_t wait_ns;	/* behind the signal */
};

struct sutra_service {
	char *name, *image;
	int line;
	struct sutra_strv command, entrypoint, profiles, expose;
	struct sutra_env env;		/* of environment, and behind it of env_file */
	struct sutra_env_file {
		char *path;
		bool required;
		int line;
	} *env_files;
	size_t n_env_files;
	struct sutra_dependency *depends_on;
	size_t n_depends_on;
	struct sutra_port *ports;
	size_t n_ports;
	struct sutra_volume *volumes;
	size_t n_volumes;
	struct sutra_healthcheck health;
	enum sutra_restart restart;
	int64_t restart_max;		/* of on-failure:n; 0: no limit */
	uint64_t memory_limit, memory_reservation;	/* bytes; 0: none */
	double cpu_limit, cpu_reservation;		/* cores; 0: none */
	uint64_t stop_grace_ns;		/* 10 s */
	bool read_only, init, no_new_privileges;
	struct sutra_strv cap_drop, tmpfs;
	char *user;			/* NULL: the image's */
	struct sutra_scale scale;
	struct sutra_drain drain;
	char *live_url, *ready_url;	/* x-sutra-probes; NULL: the health check's */
	char *metrics_url;		/* NULL: none */
	struct sutra_kubernetes kube;
};

struct sutra_compose {
	char *file, *name;
	struct sutra_service *services;	/* sorted by name */
	size_t n_services;
	struct sutra_strv volumes;	/* declared names */
	uint64_t *volume_sizes;		/* of each, x-sutra-size; 0: not said */
	struct sutra_strv unset;	/* variables without a value: they were taken as empty */
};

/* Reads and checks a file. Relative env_file paths are beside it. SUTRA_E_SETTING (and
 * NOTFOUND for a missing file) with "file:line: what". */
int sutra_compose_read(const char *path, sutra_lookup *lookup, void *ctx,
		       struct sutra_compose **ret, struct sutra_err *err);
/* The same from memory; file is only named in errors and for env_file. */
int sutra_compose_parse(const char *text, size_t n, const char *file, sutra_lookup *lookup, void *ctx,
			struct sutra_compose **ret, struct sutra_err *err);
void sutra_compose_free(struct sutra_compose *c);
struct sutra_service *sutra_compose_find(const struct sutra_compose *c, const char *name);
/* Drops the services whose profiles are not among the active ones, and what a profile scales. A dependency of a kept
 * service on a dropped one is SUTRA_E_SETTING with file and line. */
int sutra_compose_select(struct sutra_compose *c, const struct sutra_strv *profiles,
			 struct sutra_err *err);

const char *sutra_env_get(const struct sutra_env *e, const char *key);
int sutra_env_set(struct sutra_env *e, const char *key, const char *value);
void sutra_env_release(struct sutra_env *e);

/* "ml-base-1" and "ml-base-2" are replicas of "ml-base": that name, else the service's own.
 * The caller frees; NULL without memory. */
char *sutra_group_of(const struct sutra_compose *all, const struct sutra_service *s);
/* Whether host stands whole at text[at]: behind "//", before ":<digit>", or as all of a *_HOST variable. */
bool sutra_is_host_at(const char *key, const char *text, size_t at, const char *host);
/* Whether a variable names host. Its own SUTRA_LISTEN_* and free text (config.h) name none. */
bool sutra_env_names_host(const struct sutra_env *env, const char *host);
/* The service whose name stands as a host at text[at], or NULL. Free text names none. */
const struct sutra_service *sutra_host_at(const struct sutra_compose *all, const char *key, const char *text,
					  size_t at);

#endif
