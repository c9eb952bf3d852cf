/* The native runtime: processes under runit (runit.h) behind the table of runtime.h. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/cgroup.h"
#include "net/port.h"
#include "runtime/runas.h"
#include "runtime/runit.h"
#include "runtime/runtime.h"

#define GRACE_NS 15000000000u
#define FINISH_NS 5000000000u	/* the longest wait for a finish script */

enum { POLL_MS = 5 };

/* Every address the unit will listen on must be free. */
static int check_ports(const struct sutra_unit *u, struct sutra_err *err)
{
	struct sutra_strv addresses = { 0 };
	int rc = 0;

	for (size_t i = 0; i < u->env.n; i++)
		if (sutra_str_starts(u->env.items[i].key, "SUTRA_LISTEN_"))
			sutra_strv_split(&addresses, u->env.items[i].value, ",");
	for (size_t i = 0; i < addresses.n && !rc; i++)
		rc = sutra_port_free(u->name, addresses.items[i], err);
	sutra_strv_release(&addresses);
	return rc;
}

/* Folders that the units' volumes need. */
static int make_folders(const struct sutra_scene *scene, struct sutra_err *err)
{
	char *dir = xasprintf("%s/native/services", scene->state_dir);
	int rc = sutra_mkdirs(dir, 0700, err);

	sutra_free(dir);
	for (size_t i = 0; i < scene->desired->selected->n_services && !rc; i++) {
		const struct sutra_service *s = &scene->desired->selected->services[i];

		for (size_t v = 0; v < s->n_volumes && !rc; v++) {
			if (!s->volumes[v].named)
				continue;
			dir = xasprintf("%s/volumes/%s", scene->state_dir, s->volumes[v].source);
			rc = sutra_mkdirs(dir, 0700, err);
			sutra_free(dir);
		}
	}
	return rc;
}

/* Lets the user enter the folders above the services' own, and makes the data theirs. */
static int open_folders(const struct sutra_scene *scene, const char *user, struct sutra_err *err)
{
	static const char *const above[] = { "", "/native", "/native/services", "/volumes" };
	char *compose_dir = xstrdup(scene->desired->file);
	int rc = 0;

	*strrchr(compose_dir, '/') = '\0';
	for (size_t i = 0; i < sizeof(above) / sizeof(*above) && !rc; i++) {
		char *dir = xasprintf("%s%s", scene->state_dir, above[i]);

		if (sutra_is_dir(dir) && chmod(dir, 0711))
			rc = sutra_fail_errno(err, "cannot open %s to %s", dir, user);
		sutra_free(dir);
	}
	for (size_t i = 0; i < scene->desired->selected->n_services; i++) {
		const struct sutra_service *s = &scene->desired->selected->services[i];

		for (size_t v = 0; v < s->n_volumes && !rc; v++) {
			char *dir = sutra_volume_folder(&s->volumes[v], scene->state_dir, compose_dir);

			rc = s->volumes[v].named ? sutra_runas_give(dir, user, err) : 0;
			rc = rc ? rc : sutra_runas_reads(dir, user, err);
			sutra_free(dir);
		}
	}
	sutra_free(compose_dir);
	return rc;
}

static bool outgrown(const char *state_dir)
{
	uint64_t ours = sutra_runit_files(getpid()), theirs;
	pid_t pid;

	if (!sutra_runit_alive(state_dir, &pid))
		return false;
	theirs = sutra_runit_files(pid);
	return theirs < ours && theirs < SUTRA_FILES_WANTED;
}

static int prepare(const struct sutra_scene *s, struct sutra_err *err)
{
	const struct sutra_desired *d = s->desired;
	const char *user = sutra_config_get(s->config, "SUTRA_USER");
	int killed, rc = user ? sutra_runas_possible(user, err) : 0;

	/* A supervisor that was killed leaves services without supervision, and one with a lower limit of open
	 * files passes it on to them: end them, then start. */
	if (!rc && (!sutra_runit_alive(s->state_dir, NULL) || outgrown(s->state_dir)))
		rc = sutra_runit_stop(s->state_dir, GRACE_NS, &killed, err);
	for (size_t i = 0; i < s->n_starts && !rc; i++) {
		rc = sutra_runit_end_orphans(s->state_dir, s->starts[i].unit->name, GRACE_NS, err);
		rc = rc || s->starts[i].takes_over ? rc : check_ports(s->starts[i].unit, err);
	}
	rc = rc ? rc : make_folders(s, err);
	rc = rc || !user ? rc : open_folders(s, user, err);
	for (size_t i = 0; i < d->n && !rc && user; i++)
		rc = sutra_runas_reads(d->units[i].argv.items[0], user, err);
	return rc;
}

static int begin(const struct sutra_scene *s, struct sutra_err *err)
{
	int rc = 0;

	/* runsvdir looks for new folders when it starts, later only every five seconds. */
	for (size_t i = 0; i < s->n_starts && !rc; i++)
		rc = sutra_runit_write(s->state_dir, s->starts[i].unit, err);
	return rc ? rc : sutra_runit_start(s->state_dir, err);
}

static void reset_counters(const char *state_dir, const char *name)
{
	static const char *const files[] = { "restarts", "last-exit" };

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char *path = xasprintf("%s/native/services/%s/%s", state_dir, name, files[i]);

		unlink(path);
		sutra_free(path);
	}
}

/* Whether a thread has HUP blocked or caught. */
static bool thread_takes_hangup(pid_t pid, const char *thread)
{
	char path[320], *text, *at;
	unsigned long long mask = 0;

	snprintf(path, sizeof(path), "/proc/%ld/task/%s/status", (long)pid, thread);
	if (sutra_file_read(path, 16384, &text, NULL, NULL))
		return false;
	if ((at = strstr(text, "\nSigCgt:")))
		mask |= strtoull(at + 8, NULL, 16);
	if ((at = strstr(text, "\nSigBlk:")))
		mask |= strtoull(at + 8, NULL, 16);
	sutra_free(text);
	return mask >> (SIGHUP - 1) & 1;
}

/* Whether the process waits for HUP already: before that, HUP would end it. All its threads block the signal
 * except the one in sigwait(3), whose mask shows it as open. */
static bool takes_hangup(pid_t pid)
{
	char path[64];
	struct dirent *e;
	bool takes = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%ld/task", (long)pid);
	d = opendir(path);
	while (d && !takes && (e = readdir(d)))
		takes = e->d_name[0] != '.' && thread_takes_hangup(pid, e->d_name);
	if (d)
		closedir(d);
	return takes;
}

/* Whether it runs as the user that its settings belong to: a process cannot become root again. */
static bool keeps_user(const char *state_dir, const char *name, pid_t pid)
{
	char proc[64], settings[SUTRA_RUNIT_PATH];
	struct stat now, wanted;

	snprintf(proc, sizeof(proc), "/proc/%ld", (long)pid);
	sutra_runit_path(state_dir, name, "/environ", settings);
	return !stat(proc, &now) && !stat(settings, &wanted) && now.st_uid == wanted.st_uid;
}

/* Whether it is a daemon of Sutra, which restarts in place on HUP. */
static bool restarts_itself(pid_t pid)
{
	char path[64], *name;
	bool ours;

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	if (sutra_file_read(path, 64, &name, NULL, NULL))
		return false;
	ours = sutra_str_starts(name, "sutra-") && takes_hangup(pid);
	sutra_free(name);
	return ours;
}

/* The state of a service whose last end, if it is down, has been counted: its finish script is over. */
static void read_settled(const char *state_dir, const char *name, struct sutra_supervised *ret)
{
	uint64_t end = sutra_clock_ns() + FINISH_NS;

	sutra_runit_read(state_dir, name, ret);
	while (ret->pid && !ret->running && sutra_clock_ns() < end) {
		poll(NULL, 0, POLL_MS);
		sutra_runit_read(state_dir, name, ret);
	}
}

/* Starts or restarts a service with the settings in its folder. A service that is down begins with new
 * counters if new_counters. */
static int bring_up(const char *state_dir, struct sutra_awaited *a, bool new_counters, struct sutra_err *err)
{
	const char *name = a->unit->name;
	struct sutra_supervised now;
	char command;

	/* The end is planned before the state is read: a process that runs then and ends by itself before the
	 * signal is not counted, and no earlier end is still to be counted. */
	sutra_runit_plan_end(state_dir, name, true);
	read_settled(state_dir, name, &now);
	if (!now.running && new_counters) {
		reset_counters(state_dir, name);
		now.restarts = 0;
	}
	a->asked_ns = sutra_clock_ns();
	a->restarts = now.restarts;
	a->in_place = now.running && keeps_user(state_dir, name, now.pid) && restarts_itself(now.pid);
	a->old_pid = now.running && !a->in_place ? now.pid : 0;
	a->grace_ns = GRACE_NS;
	command = a->in_place ? 'h' : now.running ? 't' : 'u';
	if (command != 't')
		sutra_runit_plan_end(state_dir, name, false);
	return sutra_runit_control(state_dir, name, command, err);
}

static int restart(const char *state_dir, struct sutra_awaited *a, struct sutra_err *err)
{
	return bring_up(state_dir, a, false, err);
}

static int start(const struct sutra_scene *s, struct sutra_awaited *list, size_t n, struct sutra_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		rc = sutra_runit_write(s->state_dir, list[i].unit, err);
		rc = rc ? rc : bring_up(s->state_dir, &list[i], true, err);
		list[i].grace_ns = list[i].unit->stop_grace_ns;
	}
	return rc;
}

static int kill_service(const char *state_dir, const char *name, int sig, struct sutra_err *err)
{
	struct sutra_supervised now;

	sutra_runit_read(state_dir, name, &now);
	if (!now.pid)
		return sutra_fail(err, SUTRA_E_NOTFOUND, "%s is not running", name);
	if (kill(now.pid, sig))
		return sutra_fail_errno(err, "cannot signal %s (pid %ld)", name, (long)now.pid);
	return 0;
}

static int remove_service(const char *state_dir, const char *name, struct sutra_err *err)
{
	return sutra_runit_remove(state_dir, name, GRACE_NS, err);
}

/* Until no process of the service is left. */
static int wait_ended(const char *state_dir, const char *name, struct sutra_err *err)
{
	uint64_t end = sutra_clock_ns() + GRACE_NS;
	struct sutra_supervised now;

	for (sutra_runit_read(state_dir, name, &now); now.running; sutra_runit_read(state_dir, name, &now)) {
		if (sutra_clock_ns() >= end)
			return sutra_fail(err, SUTRA_E_TIMEOUT, "%s did not end", name);
		poll(NULL, 0, POLL_MS);
	}
	return 0;
}

static int start_fault(const char *state_dir, const char *name, const char *address, char handle[80],
		    struct sutra_err *err)
{
	char *dir = sutra_program_dir(), *program = xasprintf("%s/sutra-probe", dir);
	int rc = sutra_runit_control(state_dir, name, 'd', err);
	pid_t pid = -1;

	rc = rc ? rc : wait_ended(state_dir, name, err);
	if (!rc && (pid = fork()) < 0)
		rc = sutra_fail_errno(err, "cannot start %s", program);
	if (!pid) {	/* it ends with this command */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(program, "sutra-probe", "--fault", address, (char *)NULL);
		_exit(127);
	}
	snprintf(handle, 80, "%ld", (long)pid);
	sutra_free(program);
	sutra_free(dir);
	return rc;
}

static int stop_fault(const char *state_dir, const char *name, const char *handle, struct sutra_err *err)
{
	int64_t pid;

	if (!sutra_str_int(handle, 2, INT32_MAX, &pid)) {
		kill((pid_t)pid, SIGKILL);
		waitpid((pid_t)pid, NULL, 0);
	}
	return sutra_runit_control(state_dir, name, 'u', err);
}

static void observe(const char *state_dir, const char *const *names, size_t n, struct sutra_supervised *ret)
{
	for (size_t i = 0; i < n; i++)
		sutra_runit_read(state_dir, names[i], &ret[i]);
}

static bool alive(const char *state_dir) { return sutra_runit_alive(state_dir, NULL); }

static int down(const char *state_dir, uint64_t grace_ns, bool volumes, size_t *ret_n, int *ret_killed,
		struct sutra_err *err)
{
	char *services = xasprintf("%s/native/services", state_dir), *data = xasprintf("%s/volumes", state_dir);
	struct sutra_strv names = { 0 };
	pid_t pids[256];
	size_t orphans = sutra_stack_pids(state_dir, NULL, pids, 256);
	int rc;

	sutra_runit_services(state_dir, &names);
	*ret_n = names.n ? names.n : orphans;	/* without folders only processes can be counted */
	sutra_strv_release(&names);
	rc = sutra_runit_stop(state_dir, grace_ns ? grace_ns : GRACE_NS, ret_killed, err);
	sutra_cgroup_clear(state_dir);
	rc = rc ? rc : sutra_remove_tree(services, err);
	rc = rc || !volumes ? rc : sutra_remove_tree(data, err);
	sutra_free(services);
	sutra_free(data);
	return rc;
}

static char *log_tail(const char *state_dir, const char *name, int lines)
{
	char *path = xasprintf("%s/native/log/%s/current", state_dir, name), *text, *from, *tail;
	size_t n;
	int rc = sutra_file_read(path, 64 << 20, &text, &n, NULL);

	sutra_free(path);
	if (rc)
		return xstrdup("");
	sutra_str_no_nul(text, n);
	from = text + n;
	for (int seen = -1; from > text; from--)
		if (from[-1] == '\n' && ++seen == lines)
			break;
	tail = xstrdup(from);
	sutra_free(text);
	return tail;
}

const struct sutra_runtime sutra_native = {
	.name = "native",
	.poll_ms = 25,
	.check = sutra_runit_check,
	.alive = alive,
	.outgrown = outgrown,
	.prepare = prepare,
	.begin = begin,
	.start = start,
	.restart = restart,
	.observe = observe,
	.kill = kill_service,
	.remove = remove_service,
	.start_fault = start_fault,
	.stop_fault = stop_fault,
	.down = down,
	.log_tail = log_tail,
};
