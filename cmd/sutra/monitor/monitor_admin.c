/* The actions of --admin: restart a service, drain a replica, make it ready again. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "deploy/haproxy_csv.h"
#include "deploy/audit.h"
#include "deploy/deploy.h"
#include "deploy/deployment.h"
#include "base/lock.h"
#include "sutra/monitor/monitor_run.h"

static const uint64_t LIMIT_NS = 60000000000u, LOCK_WAIT_NS = 1, FETCH_NS = 1000000000u;

struct monitor_job {
	const char *state_dir;
	char service[64];
	enum monitor_action action;
	int wake_fd;
	pthread_t thread;
	atomic_bool done;
	char outcome[160];
};

/* Whether the balancer sends it new requests. */
static int is_ready(const char *csv, const char *group, const char *name, bool *ret, struct sutra_err *err)
{
	const struct sutra_haproxy_row *row;
	struct sutra_haproxy_stats s;
	int rc = sutra_haproxy_fetch(csv, FETCH_NS, &s, err);

	if (rc)
		return rc;
	row = sutra_haproxy_find(&s, group, name);
	*ret = row && sutra_haproxy_is_up(row);
	sutra_haproxy_release(&s);
	return 0;
}

/* A drained replica is restarted in place to become ready: it first answers its requests. */
static int drain_or_ready(struct sutra_deployment *d, struct monitor_job *j, struct sutra_err *err)
{
	const struct sutra_deployed *s = sutra_deployment_find(d, j->service);
	const char *csv = s && strcmp(s->unit->group, s->unit->name) ? sutra_deployment_csv(d, s->unit->group) : NULL;
	bool ready = false;
	int rc;

	if (!csv)
		return sutra_fail(err, SUTRA_E_USAGE, "%s is no replica behind a balancer", j->service);
	rc = is_ready(csv, s->unit->group, s->unit->name, &ready, err);
	if (!rc && !ready) {
		rc = sutra_deployment_restart(d, s->unit->name, LIMIT_NS, err);
		snprintf(j->outcome, sizeof(j->outcome), "%s is ready again", j->service);
	} else if (!rc) {
		rc = d->rt->drain ? d->rt->drain(d->state_dir, s->unit->name, err) :
				    sutra_deployment_kill(d, s->unit->name, SIGUSR1, err);
		snprintf(j->outcome, sizeof(j->outcome), "%s is drained: it gets no new requests; d makes it ready",
			 j->service);
	}
	return rc;
}

static int work(struct monitor_job *j, struct sutra_err *err)
{
	const char *command = j->action == ACT_RESTART ? "monitor: restart" : "monitor: drain or ready";
	struct sutra_deployment *d = NULL;
	int lock = -1, rc = sutra_deployment_load(j->state_dir, &d, err);

	rc = rc ? rc : sutra_lock_take(j->state_dir, command, LOCK_WAIT_NS, NULL, &lock, err);
	if (!rc && j->action == ACT_RESTART) {
		rc = sutra_deployment_restart(d, j->service, LIMIT_NS, err);
		snprintf(j->outcome, sizeof(j->outcome), "%s is healthy again", j->service);
	} else if (!rc) {
		rc = drain_or_ready(d, j, err);
	}
	if (lock >= 0) {
		sutra_audit(j->state_dir, command, rc ? err->message : j->outcome);
		sutra_lock_release(j->state_dir, lock);
	}
	sutra_deployment_free(d);
	return rc;
}

static void *run_job(void *arg)
{
	struct monitor_job *j = arg;
	struct sutra_err err;
	uint64_t one = 1;

	if (work(j, &err))
		snprintf(j->outcome, sizeof(j->outcome), "%s", err.message);
	atomic_store(&j->done, true);
	if (write(j->wake_fd, &one, sizeof(one)) < 0)
		return NULL;	/* full: the reader is awake */
	return NULL;
}

struct monitor_job *monitor_job_start(const char *state_dir, const char *service, enum monitor_action action,
				      int wake_fd)
{
	struct monitor_job *j = xcalloc(1, sizeof(*j));

	j->state_dir = state_dir;
	snprintf(j->service, sizeof(j->service), "%s", service);
	j->action = action;
	j->wake_fd = wake_fd;
	if (!pthread_create(&j->thread, NULL, run_job, j))
		return j;
	sutra_free(j);
	return NULL;
}

void monitor_job_wait(struct monitor_job *j)
{
	if (!j)
		return;
	pthread_join(j->thread, NULL);
	sutra_free(j);
}

bool monitor_job_done(struct monitor_job *j, char *out, size_t size)
{
	if (!atomic_load(&j->done))
		return false;
	snprintf(out, size, "%s", j->outcome);
	monitor_job_wait(j);
	return true;
}
