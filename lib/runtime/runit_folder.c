/* The folder of a service under runsvdir: its scripts and the file of its environment (runit.h). */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "runtime/cgroup.h"
#include "runtime/runas.h"
#include "runtime/runit.h"

enum { MAX_PATH = SUTRA_RUNIT_PATH, MAX_ENVIRON = 4 << 20, LOG_FILES = 5, LOG_BYTES = 4 << 20 };

/* Appends `before`, then s as one shell word. */
static void add_quoted(struct sutra_buf *b, const char *before, const char *s)
{
	sutra_buf_adds(b, before);
	sutra_buf_addc(b, '\'');
	for (; *s; s++) {
		if (*s == '\'')
			sutra_buf_adds(b, "'\\''");
		else
			sutra_buf_addc(b, *s);
	}
	sutra_buf_addc(b, '\'');
}

static int write_script(const char *dir, const char *name, struct sutra_buf *b, struct sutra_err *err)
{
	char path[MAX_PATH];
	int rc;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	rc = sutra_buf_error(b) ? sutra_fail(err, sutra_buf_error(b), "cannot build %s", path) :
				      sutra_file_write(path, b->data, b->len, 0755, err);

	sutra_buf_release(b);
	return rc;
}

/* sutra-run makes the environment from the file alone, so that no variable of the operator's shell reaches a
 * service. */
static int write_run(const char *dir, const char *state_dir, const struct sutra_unit *u, const char *group,
		     struct sutra_err *err)
{
	char path[MAX_PATH], service[MAX_PATH], procs[MAX_PATH], *program_dir = sutra_program_dir();
	struct sutra_buf b;

	sutra_runit_path(state_dir, u->name, "", service);
	snprintf(path, sizeof(path), "%s/sutra-run", program_dir);
	sutra_free(program_dir);
	sutra_buf_init(&b, MAX_ENVIRON);
	sutra_buf_adds(&b, "#!/bin/sh\nexec 2>&1\n");
	if (*group) {
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", group);
		add_quoted(&b, "{ echo $$ >", procs);
		sutra_buf_adds(&b, "; } 2>/dev/null\n");
	}
	add_quoted(&b, "cd ", service);
	add_quoted(&b, " || exit 1\nexec ", path);
	if (u->user)
		add_quoted(&b, " --user ", u->user);
	sutra_buf_adds(&b, " environ");
	for (size_t i = 0; i < u->argv.n; i++)
		add_quoted(&b, " ", u->argv.items[i]);
	sutra_buf_addc(&b, '\n');
	return write_script(dir, "run", &b, err);
}

/* This end was for want of memory if the group's count of such kills has grown. */
static int write_finish(const char *dir, const struct sutra_unit *u, const char *group, struct sutra_err *err)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 8192);
	add_quoted(&b, "#!/bin/sh\ngroup=", group);
	sutra_buf_adds(&b, "\nk=$(sed -n 's/^oom_kill //p' \"$group/memory.events\" \"$group/memory.oom_control\" 2>/dev/null)\n"
			   "if [ \"${k:-0}\" -gt \"$(cat oom-kills 2>/dev/null || echo 0)\" ]; then limit=");
	sutra_buf_addf(&b, "%llu; fi\n", (unsigned long long)(u->memory_limit ? u->memory_limit : 1));
	sutra_buf_adds(&b, "echo \"$1 $2 ${limit:-0}\" >last-exit\n"
			   "echo \"${k:-0}\" >oom-kills\n"
			   "if [ -e planned ]; then rm -f planned; exit 0; fi\n"
			   "n=$(cat restarts 2>/dev/null || echo 0)\necho $((n + 1)) >restarts\n");
	if (u->restart == SUTRA_RESTART_NO)
		sutra_buf_adds(&b, "printf d >supervise/control\n");
	else if (u->restart == SUTRA_RESTART_ON_FAILURE)
		sutra_buf_addf(&b, "if [ \"$1\" = 0 ] || { [ %lld -gt 0 ] && [ \"$n\" -ge %lld ]; }; then printf d >supervise/control; fi\n",
			       (long long)u->restart_max, (long long)u->restart_max);
	return write_script(dir, "finish", &b, err);
}

static int write_log(const char *dir, const char *state_dir, const struct sutra_unit *u,
		     struct sutra_err *err)
{
	struct sutra_buf b;
	char path[MAX_PATH], logs[MAX_PATH], config[128];
	int rc;

	snprintf(logs, sizeof(logs), "%s/native/log/%s", state_dir, u->name);
	rc = sutra_mkdirs(logs, 0700, err);
	snprintf(path, sizeof(path), "%s/log", dir);
	rc = rc ? rc : sutra_mkdirs(path, 0700, err);

	if (!rc) {
		snprintf(path, sizeof(path), "%s/config", logs);
		snprintf(config, sizeof(config), "s%d\nn%d\n", LOG_BYTES, LOG_FILES);
		rc = sutra_file_write(path, config, strlen(config), 0600, err);
	}
	if (!rc) {
		sutra_buf_init(&b, 8192);
		add_quoted(&b, "#!/bin/sh\nexec svlogd -ttt ", logs);
		sutra_buf_addc(&b, '\n');
		rc = write_script(dir, "log/run", &b, err);
	}
	return rc;
}

static void add_variable(struct sutra_buf *b, const char *key, const char *value)
{
	sutra_buf_addf(b, "%s=", key);
	sutra_buf_add(b, value, strlen(value) + 1);
}

/* NUL-ended NAME=value entries, for sutra-run: any value as it is. A reader finds the old file or the new one. */
static int write_environ(const char *dir, const char *state_dir, const struct sutra_unit *u, struct sutra_err *err)
{
	char path[MAX_PATH], run[MAX_PATH];
	struct sutra_buf b;
	int rc;

	snprintf(path, sizeof(path), "%s/environ", dir);
	sutra_runit_path(state_dir, u->name, "/run", run);
	sutra_buf_init(&b, MAX_ENVIRON);
	for (size_t i = 0; i < u->env.n; i++)
		add_variable(&b, u->env.items[i].key, u->env.items[i].value);
	add_variable(&b, "SUTRA_STACK", state_dir);
	add_variable(&b, "SUTRA_SERVICE", u->name);
	add_variable(&b, "SUTRA_REEXEC", run);
	rc = sutra_buf_error(&b) ? sutra_fail(err, SUTRA_E_SETTING, "the settings of %s are too long together", u->name) :
				   sutra_file_write(path, b.data, b.len, 0600, err);
	sutra_buf_release(&b);
	if (!rc && !u->user && chown(path, geteuid(), getegid()))	/* a file that is replaced keeps its owner */
		rc = sutra_fail_errno(err, "cannot own %s", path);
	return rc || !u->user ? rc : sutra_runas_give(path, u->user, err);
}

/* A new folder is written whole under a name that runsvdir ignores, and renamed. A service without a runsv gets
 * a file `down`, so that it waits for 'u'. */
int sutra_runit_write(const char *state_dir, const struct sutra_unit *u, struct sutra_err *err)
{
	char service[MAX_PATH], fresh[MAX_PATH], path[MAX_PATH + 8], group[MAX_PATH];
	struct sutra_supervised now;
	const char *dir = service;
	int rc = 0;

	sutra_runit_path(state_dir, u->name, "", service);
	if (!sutra_is_dir(service)) {
		snprintf(fresh, sizeof(fresh), "%s/native/services/.%s", state_dir, u->name);
		dir = fresh;
		rc = sutra_remove_tree(fresh, err);
		rc = rc ? rc : sutra_mkdirs(fresh, 0700, err);
	}
	if (!rc && u->user && chmod(dir, 0711))
		rc = sutra_fail_errno(err, "cannot open %s to %s", dir, u->user);
	if (!sutra_cgroup_limit(state_dir, u->name, u->memory_limit, group, sizeof(group)))
		*group = '\0';
	sutra_runit_read(state_dir, u->name, &now);
	if (!now.supervised) {
		snprintf(path, sizeof(path), "%s/down", dir);
		rc = rc ? rc : sutra_file_write(path, "", 0, 0600, err);
	}
	rc = rc ? rc : write_environ(dir, state_dir, u, err);
	rc = rc ? rc : write_log(dir, state_dir, u, err);
	rc = rc ? rc : write_finish(dir, u, group, err);
	rc = rc ? rc : write_run(dir, state_dir, u, group, err);
	if (!rc && dir == fresh && rename(fresh, service))
		rc = sutra_fail_errno(err, "cannot create %s", service);
	return rc;
}

void sutra_runit_services(const char *state_dir, struct sutra_strv *ret)
{
	char path[MAX_PATH];
	struct dirent *e;
	DIR *d;

	sutra_runit_path(state_dir, "", "", path);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			sutra_strv_add(ret, e->d_name);
	if (d)
		closedir(d);
}
