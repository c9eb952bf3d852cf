#include "probe/facts.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/alloc.h"
#include "base/file.h"
#include "net/port.h"
#include "runtime/cgroup.h"
#include "runtime/docker.h"
#include "runtime/engine_api.h"
#include "runtime/runit.h"

enum { MAX_PATH = 1200, MAX_PIDS = 64 };

static void add_memory(json_t *facts, pid_t pid)
{
	struct sutra_cgroup_memory m;

	if (pid && sutra_cgroup_memory(pid, &m))
		json_object_set_new(facts, "memory", json_pack("{s:I, s:I, s:I}", "limit", (json_int_t)m.limit, "used",
							       (json_int_t)m.used, "oom_kills", (json_int_t)m.oom_kills));
}

/* Adds a persistent folder. path: in the service; here: for this process. */
static void add_volume(json_t *facts, const char *path, const char *here)
{
	json_t *list = json_object_get(facts, "volumes");
	struct statvfs v;

	if (!sutra_is_dir(here) || statvfs(here, &v))
		return;
	if (!list)
		json_object_set_new(facts, "volumes", list = json_array());
	json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "path", path, "free",
					      (json_int_t)(v.f_bavail * v.f_frsize), "size",
					      (json_int_t)(v.f_blocks * v.f_frsize)));
}

/* --- native --- */

static json_t *native_listens(const struct sutra_deployment *d, const char *service)
{
	pid_t pids[MAX_PIDS];
	size_t n = sutra_stack_pids(d->state_dir, service, pids, MAX_PIDS);
	struct sutra_strv all = { 0 };
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		sutra_port_listens(pids[i], &all);
	for (size_t i = 0; i < all.n; i++)
		json_array_append_new(list, json_string(all.items[i]));
	sutra_strv_release(&all);
	return list;
}

/* The bytes in svlogd's folder, and the most that its config allows: "s4194304", "n5". */
static json_t *native_log(const char *dir)
{
	char path[MAX_PATH], *config = NULL;
	long long bytes = 0, size = 0, files = 0;
	struct dirent *e;
	struct stat st;
	DIR *folder = opendir(dir);

	while (folder && (e = readdir(folder))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (!stat(path, &st) && S_ISREG(st.st_mode))
			bytes += st.st_size;
	}
	if (folder)
		closedir(folder);
	snprintf(path, sizeof(path), "%s/config", dir);
	if (!sutra_file_read(path, 4096, &config, NULL, NULL) && sscanf(config, "s%lld n%lld", &size, &files) != 2)
		size = files = 0;
	sutra_free(config);
	return json_pack("{s:I, s:I}", "bytes", (json_int_t)bytes, "max", (json_int_t)(size * (files + 1)));
}

static void add_native(json_t *facts, const struct sutra_deployment *d, const struct sutra_deployed *s)
{
	char *down = xasprintf("%s/native/services/%s/down", d->state_dir, s->unit->name);
	const char *path = sutra_env_get(&s->unit->env, "STORAGE_PATH");
	bool watched = d->supervised && s->state != SUTRA_RUN_UNKNOWN && s->state != SUTRA_RUN_ABSENT && s->state != SUTRA_RUN_STOPPED;

	json_object_set_new(facts, "restart", json_string(watched && !sutra_is_file(down) ? "runit" : "no"));
	json_object_set_new(facts, "listens", native_listens(d, s->unit->name));
	json_object_set_new(facts, "log", native_log(s->log_dir));
	if (path && *path)
		add_volume(facts, path, path);
	sutra_free(down);
}

/* --- docker --- */

static json_t *docker_listens(const json_t *ports)
{
	json_t *list = json_array(), *bindings, *b;
	const char *key;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)ports, key, bindings) {
		json_array_foreach(bindings, i, b) {
			const char *ip = json_string_value(json_object_get(b, "HostIp"));
			const char *port = json_string_value(json_object_get(b, "HostPort"));

			json_array_append_new(list, json_sprintf(ip && strchr(ip, ':') ? "[%s]:%s" : "%s:%s",
								 ip && *ip ? ip : "0.0.0.0", port ? port : "?"));
		}
	}
	return list;
}

/* The most that the engine's log driver keeps; other drivers send the lines elsewhere. */
static json_t *docker_log(const json_t *config)
{
	const char *type = json_string_value(json_object_get(config, "Type"));
	const json_t *options = json_object_get(config, "Config");
	const char *size = json_string_value(json_object_get(options, "max-size"));
	const char *files = json_string_value(json_object_get(options, "max-file"));
	int64_t count = 1;
	uint64_t bytes = 0;

	if (type && !strcmp(type, "local"))	/* rotates by itself: 5 x 20 MB */
		return json_pack("{s:I}", "max", (json_int_t)(100 << 20));
	if (type && strcmp(type, "json-file") != 0)
		return json_pack("{s:s}", "elsewhere", type);
	if (size && sutra_str_size(size, &bytes))
		bytes = 0;
	if (files && sutra_str_int(files, 1, 1000, &count))
		count = 1;
	return json_pack("{s:I}", "max", (json_int_t)(bytes * (uint64_t)count));
}

/* Adds volumes and writable binds; their folders are read through the root of the container's
 * process. */
static void add_docker_volumes(json_t *facts, const json_t *mounts, pid_t pid)
{
	const json_t *m;
	size_t i;

	json_array_foreach(mounts, i, m) {
		const char *path = json_string_value(json_object_get(m, "Destination"));
		char here[MAX_PATH];

		if (!path || !json_is_true(json_object_get(m, "RW")))
			continue;
		snprintf(here, sizeof(here), "/proc/%ld/root%s", (long)pid, path);
		add_volume(facts, path, here);
	}
}

static void add_docker(json_t *facts, const struct sutra_deployment *d, const struct sutra_deployed *s)
{
	const json_t *host, *policy;
	const char *name;
	char id[80];
	json_t *o = NULL;

	if (!sutra_docker_container(d->state_dir, s->unit->name, id))
		return;
	if (sutra_engine_call("GET", NULL, &o, NULL, "/containers/%s/json", id))
		return;
	host = json_object_get(o, "HostConfig");
	policy = json_object_get(host, "RestartPolicy");
	name = json_string_value(json_object_get(policy, "Name"));
	json_object_set_new(facts, "restart", json_string(name && *name ? name : "no"));
	json_object_set_new(facts, "listens",
			    docker_listens(json_object_get(json_object_get(o, "NetworkSettings"), "Ports")));
	json_object_set_new(facts, "log", docker_log(json_object_get(host, "LogConfig")));
	add_docker_volumes(facts, json_object_get(o, "Mounts"), s->now.pid);
	json_decref(o);
}

json_t *sutra_facts_of(const struct sutra_deployment *d, const struct sutra_deployed *s)
{
	json_t *facts = json_pack("{s:b}", "running", s->now.pid > 0);

	add_memory(facts, s->now.pid);
	if (d->rt == &sutra_docker)
		add_docker(facts, d, s);
	else
		add_native(facts, d, s);
	return facts;
}

static void add_file(json_t *list, const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && S_ISREG(st.st_mode))
		json_array_append_new(list, json_pack("{s:s, s:i}", "path", path, "mode", (int)(st.st_mode & 07777)));
}

static void add_folder(json_t *list, const char *dir)
{
	char path[MAX_PATH];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		add_file(list, path);
	}
	if (d)
		closedir(d);
}

json_t *sutra_facts_files(const struct sutra_deployment *d)
{
	static const char *const below[] = { "", "/secrets" };
	json_t *list = json_array();
	char path[MAX_PATH];

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s%s", d->state_dir, below[i]);
		add_folder(list, path);
	}
	for (size_t i = 0; i < d->n; i++) {
		snprintf(path, sizeof(path), "%s/native/services/%s/environ", d->state_dir, d->services[i].unit->name);
		add_file(list, path);
	}
	return list;
}
