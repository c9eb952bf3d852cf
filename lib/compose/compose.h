/*
 * compose - the model of a compose file, from which deploys are planned.
 *
 * Read by libfyaml (YAML 1.2; anchors, aliases and merge keys resolved), values
 * interpolated, then checked: an unknown key is an error with file and line, never ignored.
 * Keys that only a container engine uses (build, networks, labels ...) are allowed in their
 * place and not modelled: that engine reads the same file. x-sutra-* keys hold what compose
 * has no keys for. sutra-compose(5) lists all of them.
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
	uint64_t interval_ns, timeout_ns, start_period_ns;	/* defaults of compose: 30 s, 30 s, 0 */
	int64_t retries;	/* 3 */
};

enum { SUTRA_SCALE_POLICIES = 4 };

struct sutra_scale_rule {	/* how fast an autoscaler may scale up, or down */
	bool set;
	uint64_t window_ns;	/* stabilization window */
	struct sutra_scale_policy {
		bool percent;	/* value is a share of the running pods; else a number of pods */
		int64_t value;
		uint64_t period_ns;
	} policies[SUTRA_SCALE_POLICIES];
	size_t n;
};

struct sutra_scale {	/* x-sutra-scale */
	int64_t min, max;	/* 0: unset; equal: fixed */
	int64_t cpu, memory;	/* target, percent of the reservation; 0: not used */
	struct sutra_scale_rule up, down;
};

struct sutra_kubernetes {	/* x-sutra-kubernetes */
	char *entrance;		/* name and port of the Service for clients; NULL: none */
	int64_t entrance_port;
	char *scale_profile;	/* the only profile in which scale applies; NULL: all */
	struct sutra_scale scale;	/* min 0: x-sutra-scale applies */
};

struct sutra_drain {	/* x-sutra-drain: the steps before a service is ended */
	bool set;
	uint64_t delay_ns;	/* requests still arrive during it */
	char *signal;		/* "USR1"; NULL: none */
	uint64_t wait_ns;	/* after the signal */
};

struct sutra_service {
	char *name, *image;
	int line;
	struct sutra_strv command, entrypoint, profiles, expose;
	struct sutra_env env;		/* of environment, then of env_file */
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
	uint64_t *volume_sizes;		/* x-sutra-size of each; 0: unset */
	struct sutra_strv unset;	/* variables without a value, which became empty */
};

/* Reads and checks a file. Relative env_file paths start at its folder. SUTRA_E_SETTING (and
 * NOTFOUND for a missing file) with "file:line: what". */
int sutra_compose_read(const char *path, sutra_lookup *lookup, void *ctx,
		       struct sutra_compose **ret, struct sutra_err *err);
/* The same from memory; file is the path for errors and env_file. */
int sutra_compose_parse(const char *text, size_t n, const char *file, sutra_lookup *lookup, void *ctx,
			struct sutra_compose **ret, struct sutra_err *err);
void sutra_compose_free(struct sutra_compose *c);
struct sutra_service *sutra_compose_find(const struct sutra_compose *c, const char *name);
/* Drops the services whose profiles are not among the active ones, and scales of inactive profiles. When a
 * kept service depends on a dropped one: SUTRA_E_SETTING with file and line. */
int sutra_compose_select(struct sutra_compose *c, const struct sutra_strv *profiles,
			 struct sutra_err *err);

const char *sutra_env_get(const struct sutra_env *e, const char *key);
int sutra_env_set(struct sutra_env *e, const char *key, const char *value);
void sutra_env_release(struct sutra_env *e);

/* The group of a service: "ml-base" for the replicas "ml-base-1" and "ml-base-2", else its own name.
 * The caller frees it; NULL: out of memory. */
char *sutra_group_of(const struct sutra_compose *all, const struct sutra_service *s);
/* Whether a variable names host. SUTRA_LISTEN_* and free text (config.h) name none. */
bool sutra_env_names_host(const struct sutra_env *env, const char *host);
/* The service whose name is the host at text[at], or NULL. Free text names none. */
const struct sutra_service *sutra_host_at(const struct sutra_compose *all, const char *key, const char *text,
					  size_t at);

#endif
