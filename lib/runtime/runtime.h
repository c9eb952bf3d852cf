/*
 * runtime - what runs the services: local processes under runit, or containers of an engine.
 *
 * Deploy, restart, status, logs and the checks use this table alone. A stack is named by its state folder.
 * Health checks go to a service directly: a container's address is written "{container}" in URLs until the
 * engine has given one.
 */
#ifndef SUTRA_RUNTIME_RUNTIME_H
#define SUTRA_RUNTIME_RUNTIME_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "compose/config.h"
#include "runtime/unit.h"

#define SUTRA_CONTAINER "{container}"

/* The state of a service in its supervisor. */
struct sutra_supervised {
	bool unknown;		/* the runtime did not answer: nothing below was read */
	bool supervised;	/* a supervisor watches it */
	bool running, wants_up;
	pid_t pid;
	int64_t since_us;	/* wall clock of the last change of state */
	unsigned restarts;
	int last_exit;		/* 128 + signal, -1: no run has ended yet, or unknown */
	uint64_t limit_reached;	/* that end was for want of memory: base/proc.h, sutra_proc_end */
	char ip[48];		/* of a container; else "" */
	char id[80];		/* of a container; else "" */
	uint64_t memory_limit;	/* of a container, as the engine has it */
};

/* A service until it is ready: its health check passes; without one it runs. A unit with awaited_end is ready
 * once it has ended with 0; one with SUTRA_RESTART_NO also then. */
struct sutra_awaited {
	const struct sutra_unit *unit;
	/* set by start or restart, or zero for a service that was not running */
	uint64_t asked_ns;	/* when the restart was asked for */
	bool in_place;		/* the process restarts itself, its pid stays */
	pid_t old_pid;
	uint64_t grace_ns;	/* after it the old process is killed; 0: no limit */
	unsigned restarts;	/* counted before */
	/* answered */
	bool ready;
	const char *reason;	/* closed list: exited, refused, status, first-byte-timeout ... */
	char last_reply[320], probed[300];
	struct sutra_supervised now;	/* as it was observed last */
	double took_s;
};

/* The stack that settings ask for; owns its parts. */
struct sutra_desired {
	const struct sutra_runtime *rt;
	char *file;			/* the compose file */
	struct sutra_strv profiles;
	struct sutra_compose *all, *selected;
	struct sutra_unit *units;
	size_t n;
	json_t *images;			/* service -> image, in place of the file's; NULL: none */
	struct sutra_hosts hosts;
};

/* A unit that does not run and is started. */
struct sutra_start {
	const struct sutra_unit *unit;
	bool takes_over;	/* its published address is another's, which is stopped just before */
};

/* The input of a runtime's deploy. */
struct sutra_scene {
	const char *state_dir;
	struct sutra_config *config;
	const struct sutra_desired *desired;
	struct sutra_start *starts;
	size_t n_starts;
};

/* The reader of a log. */
struct sutra_log_sink {
	void (*line)(void *user, const char *line, size_t n);
	bool (*more)(void *user);	/* whether the service may still log: asked when a stream ends */
	void *user;
};

struct sutra_runtime {
	const char *name;
	unsigned poll_ms;	/* between two looks while waiting */
	/* Checks that the runtime can be used here; the error says what is missing, its hint what to do. */
	int (*check)(struct sutra_err *err);
	/* Whether the engine answers. NULL: it is this machine. */
	int (*ping)(struct sutra_err *err);
	/* Adds the image's id to each unit: another image is a change. NULL: nothing to do. */
	int (*resolve)(struct sutra_unit *units, size_t n, struct sutra_err *err);
	/* Whether the supervisor lives that restarts services. */
	bool (*alive)(const char *state_dir);
	/* Whether that supervisor may open fewer files than this process, and services want more: every
	 * service is started anew then. NULL: never. */
	bool (*outgrown)(const char *state_dir);
	/* Before anything is written: checks that programs, folders and addresses can be used. */
	int (*prepare)(const struct sutra_scene *s, struct sutra_err *err);
	int (*begin)(const struct sutra_scene *s, struct sutra_err *err);
	/* Starts units, or restarts them with new settings, in this order. */
	int (*start)(const struct sutra_scene *s, struct sutra_awaited *list, size_t n, struct sutra_err *err);
	/* Restarts one with the settings it has. */
	int (*restart)(const char *state_dir, struct sutra_awaited *a, struct sutra_err *err);
	/* The states of n services into ret[n]. */
	void (*observe)(const char *state_dir, const char *const *names, size_t n, struct sutra_supervised *ret);
	/* Signals the service's own process; the supervisor sees its end as a crash. */
	int (*kill)(const char *state_dir, const char *name, int sig, struct sutra_err *err);
	int (*remove)(const char *state_dir, const char *name, struct sutra_err *err);
	/* For checks: start_fault stops the service and starts a server at its address (as recorded) that answers
	 * health checks with 200 and every request with 500 (sutra-probe --fault); stop_fault, with handle as
	 * start_fault set it, ends that server and starts the service again. */
	int (*start_fault)(const char *state_dir, const char *name, const char *address, char handle[80],
			struct sutra_err *err);
	int (*stop_fault)(const char *state_dir, const char *name, const char *handle, struct sutra_err *err);
	/* Asks a replica to take itself out of its balancer, before it is replaced. NULL: it is
	 * replaced in place, under the sockets it has. */
	int (*drain)(const char *state_dir, const char *name, struct sutra_err *err);
	/* Ends everything, with grace_ns for each service (0: not known); *ret_n services, *ret_killed by force. */
	int (*down)(const char *state_dir, uint64_t grace_ns, bool volumes, size_t *ret_n, int *ret_killed,
		    struct sutra_err *err);
	/* The last lines of a service's log, each with its time stamp; x-allocated, "" for none. */
	char *(*log_tail)(const char *state_dir, const char *name, int lines);
	/* The last lines and those that follow, over restarts. NULL: logs are files (deployment.h, log_dir). */
	int (*log_follow)(const char *state_dir, const char *name, int lines, const struct sutra_log_sink *to,
			  struct sutra_err *err);
};

extern const struct sutra_runtime sutra_native, sutra_docker;

/* NULL: there is none of that name. */
const struct sutra_runtime *sutra_runtime_named(const char *name);
/* The states of n units; the caller frees. */
struct sutra_supervised *sutra_runtime_observe(const struct sutra_runtime *rt, const char *state_dir,
					       const struct sutra_unit *units, size_t n);
/* text with "{container}" replaced by ip. */
void sutra_runtime_address(const char *text, const char *ip, char *out, size_t size);

#endif
