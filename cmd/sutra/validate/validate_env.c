#include "sutra/validate/validate_env.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "deploy/await.h"
#include "sutra/command.h"
#include "probe/gateway.h"

/* Time limit of look-ups in the shard: the default for measurements; longer for checks of what is kept,
 * because a busy machine must not turn a hit into a miss. */
enum { SHARD_MS = 50, LONG_SHARD_MS = 2000 };

/* Runs in the child: once the command has ended, sends SIGCONT to every service whose index was written. */
static void guard(struct validate_env *c, int from)
{
	bool *stopped = xcalloc(c->check.d->n, 1);
	size_t at;

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while (read(from, &at, sizeof(at)) == sizeof(at))
		stopped[at] = true;
	for (at = 0; at < c->check.d->n; at++)
		if (stopped[at])
			sutra_deployment_kill(c->check.d, c->check.d->services[at].unit->name, SIGCONT, NULL);
	_exit(0);
}

/* Forks a child that outlives this command however it ends. No thread runs yet, so that the child may call
 * everything. */
static int start_guard(struct validate_env *c, struct sutra_err *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return sutra_fail_errno(err, "cannot make a pipe");
	pid = fork();
	if (!pid) {
		close(ends[1]);
		guard(c, ends[0]);
	}
	close(ends[0]);	/* the other end closes with the process */
	c->guard = ends[1];
	return pid > 0 ? 0 : sutra_fail_errno(err, "cannot start a process");
}

/* Writes to the guard that service `at` will be stopped. */
static int note_stopped(const struct validate_env *c, size_t at, struct sutra_err *err)
{
	return write(c->guard, &at, sizeof(at)) == sizeof(at) ? 0 :
	       sutra_fail_errno(err, "%s is not stopped: the process that would continue it is gone",
				c->check.d->services[at].unit->name);
}

static int kill_service(void *user, const char *service, int sig, struct sutra_err *err)
{
	struct validate_env *c = user;
	const struct sutra_deployed *s = sutra_deployment_find(c->check.d, service);
	int rc = sig == SIGSTOP && s ? note_stopped(c, (size_t)(s - c->check.d->services), err) : 0;

	rc = rc ? rc : sutra_deployment_kill(c->check.d, service, sig, err);
	if (s && (sig == SIGKILL || sig == SIGTERM))
		c->killed[s - c->check.d->services] = s->now.pid;
	return rc;
}

static int substitute(void *user, const char *service, bool on, struct sutra_err *err)
{
	struct validate_env *c = user;
	const struct sutra_deployed *s = sutra_deployment_find(c->check.d, service);

	c->killed[s - c->check.d->services] = s->now.pid;
	return on ? c->check.d->rt->start_fault(c->check.d->state_dir, service, s->unit->address, c->handle, err) :
		    c->check.d->rt->stop_fault(c->check.d->state_dir, service, c->handle, err);
}

/* Waits first until the supervisor has started another process. */
static int wait_healthy(void *user, const char *service, uint64_t limit_ns, struct sutra_err *err)
{
	struct validate_env *c = user;
	uint64_t until = sutra_clock_ns() + limit_ns;
	const struct sutra_deployed *s = sutra_deployment_find(c->check.d, service);
	struct sutra_awaited a = { .unit = s->unit };

	for (;;) {
		sutra_deployment_refresh(c->check.d);
		a.restarts = s->now.restarts;	/* the kill itself is no sign of a start that failed */
		if (s->now.pid && s->now.pid != c->killed[s - c->check.d->services])
			return sutra_await(c->check.d->rt, c->check.d->state_dir, &a, 1, limit_ns, NULL, NULL, err);
		if (sutra_clock_ns() >= until)
			return sutra_fail(err, SUTRA_E_TIMEOUT, "%s was not started again", service);
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
}

static void progress(void *user, const char *what, const char *detail)
{
	struct validate_env *c = user;

	sutra_progress_state(&c->progress, what, detail);
}

static const char *first_of_program(const struct sutra_deployment *d, const char *program)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(d->services[i].unit->program, program))
			return d->services[i].unit->name;
	return NULL;
}

/* The base URL of one gateway: the first one at its own address when a balancer is published, else front. */
static char *one_gateway(const struct sutra_deployment *d, const char *name, const char *front)
{
	const struct sutra_deployed *s = name ? sutra_deployment_find(d, name) : NULL;

	return s && !s->unit->published ? xasprintf("http://%s", s->address) : xstrdup(front);
}

static void stop_scratch(void *user) { sutra_scratch_stop(&((struct validate_env *)user)->scratch); }

static int start_spare(void *user, const char *models, char *ret_base, size_t size, struct sutra_err *err)
{
	struct validate_env *c = user;
	const struct sutra_deployed *balancer = sutra_deployment_find(c->check.d, "ml-base-lb");
	const struct sutra_deployed *shard = sutra_deployment_find(c->check.d, "storage-cache-shard");
	char *all = balancer ? xasprintf("http://%s", balancer->address) : xstrdup(c->check.replicas[0].base);
	int rc = shard ? sutra_scratch_start(&c->scratch, models ? models : all, shard->address,
					     c->check.d->record->dimension, models ? SHARD_MS : LONG_SHARD_MS, ret_base,
					     size, err) :
			 sutra_fail(err, SUTRA_E_UNAVAILABLE, "no cache shard is deployed");

	sutra_free(all);
	return rc;
}

/* Fills in what the checks may know of the deployed stack, and do to it. */
static void describe_stack(struct validate_env *c)
{
	struct sutra_deployment *d = c->check.d;
	const struct sutra_deployed *front = sutra_gateway_service(d);
	struct sutra_check_env *e = &c->check;

	c->killed = xcalloc(d->n + 1, sizeof(*c->killed));
	e->probes = xcalloc(d->n + 1, sizeof(*e->probes));
	e->replicas = xcalloc(d->n + 1, sizeof(*e->replicas));
	for (size_t i = 0; i < d->n; i++) {
		struct sutra_check_replica *r = &e->replicas[e->n_replicas];

		if (strcmp(d->services[i].unit->program, "sutra-ml-base") != 0)
			continue;
		r->name = d->services[i].unit->name;
		snprintf(r->base, sizeof(r->base), "http://%s", d->services[i].address);
		e->n_replicas++;
	}
	e->haproxy_csv = sutra_deployment_csv(d, "ml-base");
	e->names[SUTRA_LOGS_GATEWAY] = first_of_program(d, "sutra-embedding");
	e->names[SUTRA_LOGS_REPLICA] = first_of_program(d, "sutra-ml-base");
	e->names[SUTRA_LOGS_SHARD] = sutra_deployment_find(d, "storage-cache-shard") ? "storage-cache-shard" : NULL;
	e->names[SUTRA_LOGS_BALANCER] = sutra_deployment_find(d, "ml-base-lb") ? "ml-base-lb" : NULL;
	if (front) {
		e->front = xasprintf("http://%s", front->unit->published ? front->unit->published : front->address);
		e->gateway = one_gateway(d, e->names[SUTRA_LOGS_GATEWAY], e->front);
	}
	e->dimension = d->record->dimension;
	e->kill = kill_service;
	e->wait = wait_healthy;
	e->substitute = substitute;
	e->spare = start_spare;
	e->spare_end = stop_scratch;
}

int validate_env_open(struct validate_env *c, const char *url, struct sutra_err *err)
{
	int rc;

	*c = (struct validate_env){ .guard = -1, .check = { .user = c, .progress = progress } };
	sutra_progress_init(&c->progress, common.color, common.quiet);
	if (url) {
		int failed = sutra_gateway_url(url, &c->check.gateway, err);

		c->check.front = failed ? NULL : xstrdup(c->check.gateway);
		return failed;
	}
	c->state_dir = sutra_state_dir();
	rc = sutra_deployment_load(c->state_dir, &c->check.d, err);
	if (rc) {
		if (rc == SUTRA_E_NOTFOUND)
			err->code = SUTRA_E_UNAVAILABLE;
		return rc;
	}
	describe_stack(c);
	return c->check.front ? start_guard(c, err) : sutra_fail(err, SUTRA_E_UNAVAILABLE, "no embedding gateway is deployed");
}

void validate_env_close(struct validate_env *c)
{
	if (c->guard >= 0)
		close(c->guard);
	sutra_free(c->check.replicas);
	sutra_free(c->killed);
	sutra_free(c->check.probes);
	sutra_free(c->check.gateway);
	sutra_free(c->check.front);
	sutra_deployment_free(c->check.d);
	sutra_free(c->state_dir);
}
