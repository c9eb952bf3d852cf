/*
 * deployment - the record of a deploy and the present state of each service as its supervisor reports
 * it. status, logs, restart, validate-scaling and monitor start here.
 */
#ifndef SUTRA_DEPLOY_DEPLOYMENT_H
#define SUTRA_DEPLOY_DEPLOYMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"
#include "deploy/record.h"
#include "runtime/runtime.h"

enum sutra_run_state { SUTRA_RUN_UNKNOWN, SUTRA_RUN_ABSENT, SUTRA_RUN_RUNNING, SUTRA_RUN_EXITED, SUTRA_RUN_STOPPED,
		       SUTRA_RUN_DONE };

/* A recorded unit and its present state. */
struct sutra_deployed {
	const struct sutra_unit *unit;
	struct sutra_strv needs;	/* names of the units that it needs: unit.h */
	char *log_dir;		/* folder of `current` (svlogd) */
	/* live: the unit's, with the container's address in it */
	char *address;		/* its own, with the container port: 127.77.0.3:8887 */
	char *health_url;	/* http://address/health; for HAProxy its own health page; NULL: none */
	enum sutra_run_state state;	/* a one-shot service that ended with 0 is DONE */
	struct sutra_supervised now;	/* pid and since_us are 0 unless it runs */
	uint64_t rss_bytes, pss_bytes;	/* of its processes */
	uint64_t cpu_us;		/* used by them since they began */
};

struct sutra_deployment {
	char *state_dir;
	struct sutra_record *record;
	const struct sutra_runtime *rt;
	bool supervised;	/* the supervisor lives */
	uint64_t files;		/* the lowest hard limit of open files of a local process; UINT64_MAX: none known */
	bool as_root;		/* local processes run as root */
	bool limits_enforced;	/* the memory limit of every running service is enforced */
	struct sutra_deployed *services;	/* one for each of record->units */
	size_t n;
};

/* $SUTRA_STATE_DIR, else $XDG_STATE_HOME/sutra, else ~/.local/state/sutra; x-allocated. */
char *sutra_state_dir(void);
/* Folder with compose/ and validate/: $SUTRA_DATA_DIR, <prefix>/share/sutra, or the source
 * tree the program was built in; x-allocated; NULL: none found. */
char *sutra_data_dir(void);
/* SUTRA_E_NOTFOUND: nothing is deployed. */
int sutra_deployment_load(const char *state_dir, struct sutra_deployment **ret,
			  struct sutra_err *err);
void sutra_deployment_free(struct sutra_deployment *d);
const struct sutra_deployed *sutra_deployment_find(const struct sutra_deployment *d, const char *name);
/* URL of the statistics of the balancer in front of a group of replicas, or NULL. */
const char *sutra_deployment_csv(const struct sutra_deployment *d, const char *group);
/* URL of the statistics of a service that is a balancer, not for display; NULL: it is none. */
const char *sutra_deployment_statistics(const struct sutra_deployment *d, const char *service);
/* Reads the live part again from the supervisor and /proc. The values of the first service about which the
 * runtime does not answer, and of those after it, stay. */
void sutra_deployment_refresh(struct sutra_deployment *d);
/* The same, but memory and limits stay as they were read last, for they are expensive to read. */
void sutra_deployment_refresh_state(struct sutra_deployment *d);
/* Restarts one service in place (HUP where the program restarts itself, else TERM and
 * start), and waits until its health check passes or timeout_ns is over. */
int sutra_deployment_restart(struct sutra_deployment *d, const char *name, uint64_t timeout_ns,
			     struct sutra_err *err);
/* kill(2) with sig on the service's main process; the supervisor starts it again. */
int sutra_deployment_kill(struct sutra_deployment *d, const char *name, int sig,
			  struct sutra_err *err);

#endif
