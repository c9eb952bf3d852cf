#include "fake_runtime.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "deploy/generation.h"
#include "deploy/record.h"
#include "net/fetch.h"

#define KILLED_NS 50000000u	/* from a kill to the next life */

enum { MAX_SERVICES = 16, FIRST_PID = 5000000 };	/* no process of this machine has such a pid */

struct fake fake;
static struct fake_service services[MAX_SERVICES];
static size_t n_services;
static pid_t next_pid;
static json_t *settings;
static char shown[2048];	/* of a plan, of a record */

/* --- log and clock --- */

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	size_t n = strlen(fake.log), at;
	va_list args;

	if (n)
		n += (size_t)snprintf(fake.log + n, sizeof(fake.log) - n, "; ");
	at = n;
	va_start(args, format);
	vsnprintf(fake.log + at, sizeof(fake.log) - at, format, args);
	va_end(args);
	if (fake.stop_at && !strcmp(fake.log + at, fake.stop_at))
		fake.stop = 1;
}

uint64_t fake_ms(void) { return fake.now_ns / 1000000 - 1000; }

uint64_t __wrap_sutra_clock_ns(void);
uint64_t __wrap_sutra_clock_ns(void) { return fake.now_ns; }

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	if (n)
		return __real_poll(fds, n, timeout_ms);
	fake.now_ns += (uint64_t)timeout_ms * 1000000;
	if (fake.on_wait)
		fake.on_wait();
	return 0;
}

/* --- services --- */

static struct fake_service *find(const char *name)
{
	for (size_t i = 0; i < n_services; i++)
		if (!strcmp(services[i].name, name))
			return &services[i];
	return NULL;
}

struct fake_service *fake_service(const char *name)
{
	struct fake_service *s = find(name);

	if (!s)
		fail_msg("%s was never started", name);
	return s;
}

/* Whether it behaves so; the number behind the word into *ret_ms. */
static bool behaves(const struct fake_service *s, const char *word, uint64_t *ret_ms)
{
	const char *at = strstr(s->behaves, word);

	if (at && ret_ms)
		*ret_ms = strtoull(at + strlen(word), NULL, 10);
	return at;
}

static void live(struct fake_service *s)
{
	s->running = true;
	s->pid = next_pid++;
	s->began_ns = fake.now_ns;
	s->next_ns = 0;
	s->hangs = s->drained = false;
}

/* What has happened to it by now. */
static void advance(struct fake_service *s)
{
	uint64_t code;

	if (s->next_ns && fake.now_ns >= s->next_ns)
		live(s);
	if (s->running && behaves(s, "exits", &code)) {
		s->running = false;
		s->last_exit = (int)code;
		s->restarts += !s->one_shot;	/* the supervisor tries again */
	}
}

static bool is_healthy(const struct fake_service *s)
{
	uint64_t slow = 0;

	behaves(s, "slow", &slow);
	return s->running && !s->hangs && !behaves(s, "unhealthy", NULL) &&
	       fake.now_ns - s->began_ns >= slow * 1000000;
}

/* --- what they answer --- */

static void answer(struct sutra_fetch *f, int status, const char *body)
{
	f->reason = SUTRA_FETCH_OK;
	f->status = status;
	sutra_buf_clear(&f->answer);
	sutra_buf_adds(&f->answer, body);
}

static void fail_with(struct sutra_fetch *f, enum sutra_fetch_reason reason)
{
	f->reason = reason;
	f->status = 0;
	snprintf(f->detail, sizeof(f->detail), "%s", sutra_fetch_reason_name(reason));
}

static void answer_statistics(struct sutra_fetch *f)
{
	char csv[1024];
	int n = snprintf(csv, sizeof(csv), "# pxname,svname,status,scur,type,\nfront,FRONTEND,OPEN,0,0,\n");

	for (size_t i = 0; i < n_services; i++) {
		const struct fake_service *s = &services[i];
		const char *status = !is_healthy(s) || behaves(s, "unbalanced", NULL) ? "DOWN" : s->drained ? "NOLB" : "UP";

		n += snprintf(csv + n, sizeof(csv) - (size_t)n, "%s,%s,%s,%d,2,\n", s->group, s->name, status,
			      behaves(s, "busy", NULL));
	}
	answer(f, 200, csv);
}

/* A balancer's statistics, a replica's /ready or a health page. */
static void ask(struct sutra_fetch *f)
{
	char uptime[64];

	for (size_t i = 0; i < n_services; i++) {
		struct fake_service *s = &services[i];
		const char *page = strrchr(f->url, '/'), *slash = strrchr(s->health, '/');
		bool statistics = !strcmp(page, "/stats;csv");
		bool mine = statistics ? *s->published && strstr(f->url, s->published) :
					 slash && !strncmp(f->url, s->health, (size_t)(slash - s->health));

		if (!mine)
			continue;
		advance(s);
		if (!s->running)
			fail_with(f, SUTRA_FETCH_REFUSED);
		else if (s->hangs)
			fail_with(f, SUTRA_FETCH_FIRST_BYTE_TIMEOUT);
		else if (statistics)
			answer_statistics(f);
		else if (!strcmp(page, "/ready"))
			answer(f, s->drained ? 404 : 200, "");
		else if (!is_healthy(s))
			answer(f, 503, "not yet");
		else {
			snprintf(uptime, sizeof(uptime), "{\"uptime_seconds\": %.3f}",
				 (double)(fake.now_ns - s->began_ns) / 1e9);
			answer(f, 200, uptime);
		}
		return;
	}
	fail_with(f, SUTRA_FETCH_REFUSED);
}

void __wrap_sutra_fetch_many(struct sutra_fetch *const *list, size_t n, unsigned parallel);
void __wrap_sutra_fetch_many(struct sutra_fetch *const *list, size_t n, unsigned parallel)
{
	uint64_t took = 0;

	for (size_t i = 0; i < n; i++) {
		ask(list[i]);
		if (list[i]->reason == SUTRA_FETCH_FIRST_BYTE_TIMEOUT)
			took = list[i]->timeout_ns;
	}
	fake.now_ns += took;
}

int __wrap_sutra_fetch_one(struct sutra_fetch *f, struct sutra_err *err);
int __wrap_sutra_fetch_one(struct sutra_fetch *f, struct sutra_err *err)
{
	__wrap_sutra_fetch_many(&f, 1, 0);
	return f->reason || f->status >= 400 ? sutra_fail(err, SUTRA_E_IO, "%s does not answer", f->url) : 0;
}

/* --- the runtime --- */

static int check(struct sutra_err *err) { return 0; }

static int ping(struct sutra_err *err)
{
	return fake.unreachable ? sutra_fail(err, SUTRA_E_UNAVAILABLE, "the engine is gone") : 0;
}

static bool alive(const char *state_dir) { return !fake.supervisor_gone; }

static bool outgrown(const char *state_dir) { return fake.outgrown; }

static int prepare(const struct sutra_scene *s, struct sutra_err *err)
{
	return fake.prepare_fails ? sutra_fail(err, SUTRA_E_EXISTS, "a port is in use") : 0;
}

static int begin(const struct sutra_scene *s, struct sutra_err *err) { return 0; }

static int take_address(const struct fake_service *s, struct sutra_err *err)
{
	for (size_t i = 0; *s->published && i < n_services; i++)
		if (&services[i] != s && services[i].running && !strcmp(services[i].published, s->published))
			return sutra_fail(err, SUTRA_E_EXISTS, "%s is held by %s", s->published, services[i].name);
	return 0;
}

static void put(char *to, size_t size, const char *text) { snprintf(to, size, "%s", text ? text : ""); }

static struct fake_service *describe(const struct sutra_unit *u)
{
	struct fake_service *s = find(u->name);

	if (!s) {
		assert_true(n_services < MAX_SERVICES);
		s = &services[n_services++];
		*s = (struct fake_service){ .last_exit = -1 };
	}
	put(s->name, sizeof(s->name), u->name);
	put(s->group, sizeof(s->group), u->group);
	put(s->program, sizeof(s->program), u->program);
	put(s->health, sizeof(s->health), u->health_url);
	put(s->published, sizeof(s->published), u->published);
	put(s->behaves, sizeof(s->behaves), sutra_env_get(&u->env, "BEHAVES"));
	s->one_shot = u->restart == SUTRA_RESTART_NO;
	return s;
}

static void again(struct fake_service *s, struct sutra_awaited *a)
{
	uint64_t ms = 0;

	advance(s);
	a->asked_ns = fake.now_ns;
	a->restarts = s->restarts;
	a->in_place = s->running && behaves(s, "in place", NULL);
	a->old_pid = s->running && !a->in_place ? s->pid : 0;
	if (s->running && behaves(s, "deaf", NULL))
		return;
	if (a->in_place) {
		s->began_ns = fake.now_ns;
	} else if (s->running && behaves(s, "lingers", &ms)) {
		s->next_ns = fake.now_ns + ms * 1000000;
		a->grace_ns = 5000000000u;
	} else {
		live(s);
	}
}

static int start(const struct sutra_scene *scene, struct sutra_awaited *list, size_t n, struct sutra_err *err)
{
	char names[400] = "";
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		struct fake_service *s = describe(list[i].unit);

		snprintf(names + strlen(names), sizeof(names) - strlen(names), " %s", s->name);
		rc = take_address(s, err);
		if (!rc && behaves(s, "refused", NULL))
			rc = sutra_fail(err, SUTRA_E_IO, "%s cannot be started", s->name);
		if (rc)
			break;
		again(s, &list[i]);
		if (behaves(s, "cut off", NULL))
			rc = sutra_fail(err, SUTRA_E_IO, "cut off");
	}
	note("start%s", names);
	return rc;
}

static int restart(const char *state_dir, struct sutra_awaited *a, struct sutra_err *err)
{
	note("restart %s", a->unit->name);
	again(fake_service(a->unit->name), a);
	return 0;
}

static void observe_one(const char *name, struct sutra_supervised *ret)
{
	struct fake_service *s = find(name);

	*ret = (struct sutra_supervised){ .last_exit = -1 };
	if (!s)
		return;
	advance(s);
	*ret = (struct sutra_supervised){ .supervised = true, .running = s->running, .wants_up = !s->one_shot,
					  .pid = s->running ? s->pid : 0, .restarts = s->restarts,
					  .last_exit = s->last_exit, .limit_reached = s->limit_reached };
	put(ret->id, sizeof(ret->id), s->container);
}

static void observe(const char *state_dir, const char *const *names, size_t n, struct sutra_supervised *ret)
{
	for (size_t i = 0; i < n; i++)
		observe_one(names[i], &ret[i]);
}

static int kill_service(const char *state_dir, const char *name, int sig, struct sutra_err *err)
{
	struct fake_service *s = fake_service(name);

	note("kill %s", name);
	s->restarts++;
	s->running = false;
	s->last_exit = 128 + sig;
	s->next_ns = fake.now_ns + KILLED_NS;
	return 0;
}

static int remove_service(const char *state_dir, const char *name, struct sutra_err *err)
{
	struct fake_service *s = find(name);

	note("stop %s", name);
	if (s)
		*s = services[--n_services];
	return 0;
}

static int drain(const char *state_dir, const char *name, struct sutra_err *err)
{
	note("drain %s", name);
	fake_service(name)->drained = true;
	return 0;
}

static int down(const char *state_dir, uint64_t grace_ns, bool volumes, size_t *ret_n, int *ret_killed,
		struct sutra_err *err)
{
	note("down");
	*ret_n = n_services;
	*ret_killed = 0;
	n_services = 0;
	return 0;
}

static struct sutra_runtime runtime = {
	.name = "fake", .poll_ms = 25, .check = check, .ping = ping, .alive = alive, .outgrown = outgrown, .prepare = prepare,
	.begin = begin, .start = start, .restart = restart, .observe = observe, .kill = kill_service,
	.remove = remove_service, .down = down,
};

const struct sutra_runtime *fake_runtime(void) { return &runtime; }

const struct sutra_runtime *__real_sutra_runtime_named(const char *name);
const struct sutra_runtime *__wrap_sutra_runtime_named(const char *name);
const struct sutra_runtime *__wrap_sutra_runtime_named(const char *name)
{
	return name && !strcmp(name, runtime.name) ? &runtime : __real_sutra_runtime_named(name);
}

/* --- what a command does --- */

static char *below(const char *rest) { return xasprintf("%s%s", fake.state_dir, rest); }

static void write_below(const char *rest, const char *text, mode_t mode)
{
	char *path = below(rest), *slash = strrchr(path, '/');

	*slash = '\0';
	assert_int_equal(sutra_mkdirs(path, 0700, NULL), 0);
	*slash = '/';
	assert_int_equal(sutra_file_write(path, text, strlen(text), mode, NULL), 0);
	sutra_free(path);
}

int fake_setup(void **state)
{
	fake = (struct fake){ .now_ns = 1000000000u, .timeout_ns = 60000000000u };
	snprintf(fake.state_dir, sizeof(fake.state_dir), "/tmp/sutra-fake-XXXXXX");
	n_services = 0;
	next_pid = FIRST_PID;
	settings = json_object();
	if (!mkdtemp(fake.state_dir))
		return -1;
	fake_program("haproxy", "#!/bin/sh\n");
	return 0;
}

int fake_teardown(void **state)
{
	json_decref(settings);
	return sutra_remove_tree(fake.state_dir, NULL);
}

void fake_compose(const char *text) { write_below("/data/compose/docker-compose.yml", text, 0600); }

void fake_program(const char *name, const char *text)
{
	char *rest = xasprintf("/bin/%s", name);

	write_below(rest, text, 0755);
	sutra_free(rest);
}

void fake_setting(const char *key, const char *value) { json_object_set_new(settings, key, json_string(value)); }

/* From settings and compose file to a plan; the caller ends all three. */
static int make(struct sutra_config **config, struct sutra_desired *desired, struct sutra_plan *plan)
{
	char *data = below("/data"), *programs = below("/bin");
	const struct sutra_parts parts = { data, programs, NULL };
	struct sutra_record *record = NULL;
	int rc = sutra_config_restore(settings, config, &fake.err);

	runtime.drain = fake.drains ? drain : NULL;
	rc = rc ? rc : sutra_record_recover(fake.state_dir, &record, &fake.err);
	rc = rc ? rc : sutra_desired_make(&runtime, *config, &parts, fake.state_dir, desired, &fake.err);
	rc = rc ? rc : sutra_plan_make(&runtime, desired->units, desired->n, record, fake.state_dir, fake.prune, plan,
				       &fake.err);
	sutra_record_free(record);
	sutra_free(data);
	sutra_free(programs);
	return rc;
}

static void end(struct sutra_config *config, struct sutra_desired *desired, struct sutra_plan *plan)
{
	sutra_plan_release(plan);
	sutra_desired_release(desired);
	sutra_config_free(config);
}

const char *fake_plan(void)
{
	struct sutra_config *config = NULL;
	struct sutra_desired desired = { 0 };
	struct sutra_plan plan = { 0 };
	size_t n = 0;

	if (make(&config, &desired, &plan))
		snprintf(shown, sizeof(shown), "%s", fake.err.message);
	for (size_t i = 0; i < plan.n; i++) {
		const struct sutra_step *s = &plan.steps[i];

		n += (size_t)snprintf(shown + n, sizeof(shown) - n, "%s%s %s (%s", i ? "; " : "",
				      sutra_action_name(s->action), s->name, s->cause);
		if (s->field)
			n += (size_t)snprintf(shown + n, sizeof(shown) - n, ": %s -> %s",
					      s->old_value ? s->old_value : "unset", s->new_value ? s->new_value : "unset");
		n += (size_t)snprintf(shown + n, sizeof(shown) - n, ")");
	}
	end(config, &desired, &plan);
	return shown;
}

static void say_step(const struct sutra_step *s) { snprintf(fake.cause, sizeof(fake.cause), "%s", s->cause); }

static void say_ready(const struct sutra_awaited *a) { note("ready %s", a->unit->name); }

/* What is left of a deploy when its stack goes. */
static void keep_outcome(const struct sutra_deploy *d)
{
	static struct sutra_unit failed;

	fake.failed = d->failed;
	if (fake.failed.unit) {
		snprintf(shown, sizeof(shown), "%s", fake.failed.unit->name);
		failed.name = shown;
		fake.failed.unit = &failed;
	}
	fake.healed = d->healed;
	fake.touched = d->touched;
	fake.stop_at = NULL;
	fake.stop = 0;
}

int fake_deploy(void)
{
	struct sutra_config *config = NULL;
	struct sutra_desired desired = { 0 };
	struct sutra_plan plan = { 0 };
	char *data = below("/data");
	int rc = make(&config, &desired, &plan);
	struct sutra_deploy d = { .state_dir = fake.state_dir, .config = config, .desired = &desired, .plan = &plan,
				  .timeout_ns = fake.timeout_ns, .stop = &fake.stop, .step = say_step, .ready = say_ready };

	if (!rc && (plan.n_changes || plan.unfinished))
		rc = sutra_generation_prepare(fake.state_dir, config, &desired, data, "deploy", &fake.err);
	rc = rc ? rc : sutra_deploy_apply(&d, &fake.err);
	keep_outcome(&d);
	end(config, &desired, &plan);
	sutra_free(data);
	return rc;
}

static void say_failed(const struct sutra_deploy *d, const char *since, const struct sutra_err *err)
{
	note("failed%s%s", d->failed.unit ? " " : "", d->failed.unit ? d->failed.unit->name : "");
}

static void say_return(int generation)
{
	note("return %d", generation);
	fake.prepare_fails = fake.return_fails;
}

static enum sutra_applied carry_out(struct sutra_config *config, const struct sutra_desired *desired,
				    const struct sutra_plan *plan, const char *command, const char *data_dir)
{
	struct sutra_apply a = { .command = command, .cause = command, .data_dir = data_dir, .no_return = fake.no_return,
				 .failed = say_failed, .returns = say_return };
	enum sutra_applied applied;

	a.deploy = (struct sutra_deploy){ .state_dir = fake.state_dir, .config = config, .desired = desired, .plan = plan,
					  .timeout_ns = fake.timeout_ns, .stop = &fake.stop, .step = say_step, .ready = say_ready };
	applied = sutra_apply(&a, &fake.err);
	keep_outcome(&a.deploy);
	return applied;
}

enum sutra_applied fake_apply(void)
{
	struct sutra_config *config = NULL;
	struct sutra_desired desired = { 0 };
	struct sutra_plan plan = { 0 };
	char *data = below("/data");
	enum sutra_applied applied;

	assert_int_equal(make(&config, &desired, &plan), 0);
	applied = carry_out(config, &desired, &plan, "deploy", data);
	end(config, &desired, &plan);
	sutra_free(data);
	return applied;
}

enum sutra_applied fake_rollback(int number)
{
	struct sutra_restored r = { 0 };
	struct sutra_record *record = NULL;
	enum sutra_applied applied = SUTRA_APPLY_FAILED;
	int rc = sutra_record_load(fake.state_dir, &record, &fake.err);

	if (!rc && !number)
		rc = sutra_generation_before(fake.state_dir, (int)record->generation, &number, &fake.err);
	rc = rc ? rc : sutra_restore(fake.state_dir, number, &r, &fake.err);
	if (!rc)
		applied = carry_out(r.config, &r.desired, &r.plan, "rollback", r.g.dir);
	sutra_restored_release(&r);
	sutra_record_free(record);
	return applied;
}

int fake_restart(const char *name)
{
	struct sutra_deployment *d = NULL;
	int rc;

	runtime.drain = fake.drains ? drain : NULL;
	rc = sutra_deployment_load(fake.state_dir, &d, &fake.err);
	rc = rc ? rc : sutra_deployment_restart(d, name, fake.timeout_ns, &fake.err);
	sutra_deployment_free(d);
	return rc;
}

const char *fake_record(void)
{
	struct sutra_deployment *d = NULL;
	size_t n;

	if (sutra_deployment_load(fake.state_dir, &d, &fake.err))
		return "none";
	n = (size_t)snprintf(shown, sizeof(shown), "%lld %s:", (long long)d->record->generation,
			     d->record->complete ? "complete" : "unfinished");
	for (size_t i = 0; i < d->n; i++)
		n += (size_t)snprintf(shown + n, sizeof(shown) - n, " %s", d->services[i].unit->name);
	sutra_deployment_free(d);
	return shown;
}
