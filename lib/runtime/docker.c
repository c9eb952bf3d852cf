/*
 * The container runtime. Compose creates the containers, one call a wave, from the same file
 * that is modelled here; everything that is asked is asked of the engine itself. Containers of
 * a stack carry compose's labels project and service.
 */
#include "runtime/docker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/proc.h"
#include "base/str.h"
#include "compose/compose.h"
#include "net/port.h"
#include "runtime/engine_api.h"
#include "runtime/runtime.h"

#define UP_LIMIT_NS 300000000000u

enum { UP_WORDS = 16, STOP_GRACE_S = 15 };	/* words of compose_up's command, without profiles and services */

static int ping(struct sutra_err *err) { return sutra_engine_call("GET", NULL, NULL, err, "/version"); }

/* "docker compose" (v2) or docker-compose (1.29); how many words. */
static size_t compose_command(const char **argv)
{
	static const char *const v2[] = { "docker", "compose", "version", NULL };
	struct sutra_buf out;
	int status = 1;
	bool found;

	sutra_buf_init(&out, 65536);
	found = !sutra_proc_run(v2, &out, 10000000000u, &status, NULL) && !status;
	sutra_buf_release(&out);
	argv[0] = found ? "docker" : "docker-compose";
	argv[1] = "compose";
	if (found)
		return 2;
	return sutra_proc_find("docker-compose", NULL) ? 1 : 0;
}

static int check(struct sutra_err *err)
{
	const char *words[2];
	int rc = ping(err);

	if (rc || compose_command(words))
		return rc;
	sutra_fail(err, SUTRA_E_NOTFOUND, "Docker Compose is missing");
	return sutra_hint(err, "apt-get install docker-compose; or sutra deploy --runtime native");
}

static bool alive(const char *state_dir) { return true; }

static int call_container(const char *method, const char *id, const char *what, struct sutra_err *err)
{
	return sutra_engine_call(method, NULL, NULL, err, "/containers/%s%s", id, what);
}

static void read_inspection(const json_t *o, struct sutra_supervised *ret)
{
	const json_t *state = json_object_get(o, "State"),
		     *networks = json_object_get(json_object_get(o, "NetworkSettings"), "Networks"), *network;
	const char *ip = NULL, *key, *id = json_string_value(json_object_get(o, "Id"));
	uint64_t limit = (uint64_t)json_integer_value(json_object_get(json_object_get(o, "HostConfig"), "Memory"));
	bool restarting = json_is_true(json_object_get(state, "Restarting"));

	json_object_foreach((json_t *)(uintptr_t)networks, key, network)
		ip = ip && *ip ? ip : json_string_value(json_object_get(network, "IPAddress"));
	ret->supervised = true;
	ret->running = json_is_true(json_object_get(state, "Running")) && !restarting;
	ret->wants_up = ret->running || restarting;
	ret->pid = ret->running ? (pid_t)json_integer_value(json_object_get(state, "Pid")) : 0;
	ret->since_us = sutra_clock_read(json_string_value(
		json_object_get(state, ret->running ? "StartedAt" : "FinishedAt")), NULL);
	ret->restarts = (unsigned)json_integer_value(json_object_get(o, "RestartCount"));
	if (!ret->running)
		ret->last_exit = (int)json_integer_value(json_object_get(state, "ExitCode"));
	if (json_is_true(json_object_get(state, "OOMKilled")))
		ret->limit_reached = limit ? limit : 1;
	snprintf(ret->ip, sizeof(ret->ip), "%s", ip ? ip : "");
	snprintf(ret->id, sizeof(ret->id), "%s", id ? id : "");
	ret->memory_limit = limit;
	if (ret->running && ret->restarts)
		sutra_docker_last_end(sutra_clock_read(json_string_value(json_object_get(state, "FinishedAt")), NULL), ret);
}

/* The id of a service's container in the list, or NULL. */
static const char *id_in(const json_t *list, const char *service)
{
	const json_t *container;
	size_t i;

	json_array_foreach (list, i, container) {
		const json_t *labels = json_object_get(container, "Labels");
		const char *name = json_string_value(json_object_get(labels, SUTRA_SERVICE_LABEL));

		if (name && !strcmp(name, service))
			return json_string_value(json_object_get(container, "Id"));
	}
	return NULL;
}

/* Asks for one list of the stack's containers, then inspects each. */
static void observe(const char *state_dir, const char *const *names, size_t n, struct sutra_supervised *ret)
{
	json_t *list = NULL;
	bool gone = sutra_docker_containers(state_dir, NULL, &list, NULL) == SUTRA_E_UNAVAILABLE;

	for (size_t i = 0; i < n; i++) {
		const char *id = id_in(list, names[i]);
		json_t *o = NULL;

		ret[i] = (struct sutra_supervised){ .last_exit = -1 };
		if (id && !gone)
			gone = sutra_engine_call("GET", NULL, &o, NULL, "/containers/%s/json", id) == SUTRA_E_UNAVAILABLE;
		if (o)
			read_inspection(o, &ret[i]);
		ret[i].unknown = gone;
		json_decref(o);
	}
	json_decref(list);
}

static void observe_one(const char *state_dir, const char *name, struct sutra_supervised *ret)
{
	observe(state_dir, &name, 1, ret);
}

/* Every address that a service publishes must be free, unless the service itself is up or between two starts. */
static int check_ports(const struct sutra_scene *s, const char *name, struct sutra_err *err)
{
	const struct sutra_service *service = sutra_compose_find(s->desired->selected, name);
	struct sutra_supervised now;
	char address[80];
	int rc = 0;

	observe_one(s->state_dir, name, &now);
	for (size_t i = 0; i < service->n_ports && !now.wants_up && !rc; i++) {
		const struct sutra_port *p = &service->ports[i];

		snprintf(address, sizeof(address), "%s:%d", p->host_ip ? p->host_ip : "0.0.0.0", p->published);
		rc = p->published && !strcmp(p->protocol, "tcp") ? sutra_port_free(name, address, err) : 0;
	}
	return rc;
}

/* Compose's network must be this stack's, or not exist. The engine checks volumes, and its message reaches the
 * operator. */
static int prepare(const struct sutra_scene *s, struct sutra_err *err)
{
	char project[SUTRA_PROJECT_LEN];
	const char *label;
	json_t *o = NULL;
	int rc;

	sutra_docker_project(s->state_dir, project);
	rc = sutra_engine_call("GET", NULL, &o, err, "/networks/%s_default", project);
	label = json_string_value(json_object_get(json_object_get(o, "Labels"), SUTRA_PROJECT_LABEL));
	if (rc == SUTRA_E_NOTFOUND) {
		rc = 0;
	} else if (!rc && (!label || strcmp(label, project) != 0)) {
		rc = sutra_fail(err, SUTRA_E_EXISTS, "the network %s_default is there and is not of this stack", project);
		sutra_hint(err, "docker network rm %s_default removes it, once nothing uses it", project);
	}
	json_decref(o);
	for (size_t i = 0; i < s->n_starts && !rc; i++)
		rc = s->starts[i].takes_over ? 0 : check_ports(s, s->starts[i].unit->name, err);
	return rc;
}

static int begin(const struct sutra_scene *s, struct sutra_err *err) { return 0; }

/* Runs up -d for some services; the end of compose's output becomes the error. */
static int compose_up(const struct sutra_scene *s, const struct sutra_awaited *list, size_t n, struct sutra_err *err)
{
	char project[SUTRA_PROJECT_LEN], override[512];
	const char **argv, *end;
	struct sutra_buf out;
	int status = 0, rc = sutra_docker_override(s, override, sizeof(override), err);
	size_t argc;

	if (rc)
		return rc;
	argv = xcalloc(UP_WORDS + 2 * s->desired->profiles.n + n, sizeof(*argv));
	argc = compose_command(argv);
	sutra_docker_project(s->state_dir, project);
	argv[argc++] = "-p";
	argv[argc++] = project;
	argv[argc++] = "-f";
	argv[argc++] = s->desired->file;
	if (*override) {
		argv[argc++] = "-f";
		argv[argc++] = override;
	}
	for (size_t i = 0; i < s->desired->profiles.n; i++) {
		argv[argc++] = "--profile";
		argv[argc++] = s->desired->profiles.items[i];
	}
	argv[argc++] = "up";
	argv[argc++] = "-d";
	argv[argc++] = "--no-deps";
	argv[argc++] = "--no-build";
	argv[argc++] = "--force-recreate";
	for (size_t i = 0; i < n; i++)
		argv[argc++] = list[i].unit->name;
	sutra_config_export(s->config);
	sutra_buf_init(&out, 1 << 20);
	rc = sutra_proc_run(argv, &out, UP_LIMIT_NS, &status, err);
	if (!rc && status) {
		end = sutra_buf_str(&out);
		end += out.len > 300 ? out.len - 300 : 0;
		rc = sutra_fail(err, SUTRA_E_IO, "docker compose up ended with %d: ...%s", status, end);
	}
	sutra_buf_release(&out);
	sutra_free(argv);
	return rc;
}

static int start(const struct sutra_scene *s, struct sutra_awaited *list, size_t n, struct sutra_err *err)
{
	int rc = compose_up(s, list, n, err);

	for (size_t i = 0; i < n; i++)
		list[i].asked_ns = sutra_clock_ns();	/* a new container: it counts from zero */
	return rc;
}

static int restart(const char *state_dir, struct sutra_awaited *a, struct sutra_err *err)
{
	struct sutra_supervised now;
	char id[80];

	observe_one(state_dir, a->unit->name, &now);
	if (!sutra_docker_container(state_dir, a->unit->name, id))
		return sutra_fail(err, SUTRA_E_NOTFOUND, "%s has no container", a->unit->name);
	a->asked_ns = sutra_clock_ns();
	a->old_pid = now.pid;
	return sutra_engine_call("POST", NULL, NULL, err, "/containers/%s/restart?t=%d", id, STOP_GRACE_S);
}

/* Signals from inside the container, as in a crash: the engine's own kill would also switch the restart policy
 * off. Process 1 is the engine's init; -1 means all processes except it. */
static int kill_service(const char *state_dir, const char *name, int sig, struct sutra_err *err)
{
	char id[80], body[160];
	json_t *o = NULL;
	int rc;

	if (!sutra_docker_container(state_dir, name, id))
		return sutra_fail(err, SUTRA_E_NOTFOUND, "%s has no container", name);
	snprintf(body, sizeof(body), "{\"Cmd\":[\"sh\",\"-c\",\"kill -%d -1\"]}", sig);
	rc = sutra_engine_call("POST", body, &o, err, "/containers/%s/exec", id);
	rc = rc ? rc : sutra_engine_call("POST", "{\"Detach\":true}", NULL, err, "/exec/%.70s/start",
					 json_string_value(json_object_get(o, "Id")));
	json_decref(o);
	return rc;
}

/* A container that does not run, or is between two starts of the engine's (409), has nothing to drain; one
 * that is paused (409, too) has. */
static int drain(const char *state_dir, const char *name, struct sutra_err *err)
{
	enum { TRIES = 3 };
	struct sutra_supervised now;
	char id[80];
	int rc = 0;

	for (int i = 0; i < TRIES && sutra_docker_container(state_dir, name, id); i++) {
		rc = kill_service(state_dir, name, SIGUSR1, err);
		if (rc != SUTRA_E_EXISTS && rc != SUTRA_E_NOTFOUND)
			return rc;
		observe_one(state_dir, name, &now);
		if (now.pid <= 0)
			return 0;
	}
	return rc;
}

static int remove_container(const char *id, struct sutra_err *err)
{
	int rc = sutra_engine_call("POST", NULL, NULL, err, "/containers/%s/stop?t=%d", id, STOP_GRACE_S);

	return rc && rc != SUTRA_E_NOTFOUND ? rc : call_container("DELETE", id, "?force=1", err);
}

/* The fault server is created with the service's image, network and name. */
static json_t *fault_spec(const json_t *service, const char *name, const char *project, const char *port)
{
	json_t *networks = json_object_get(json_object_get(service, "NetworkSettings"), "Networks");
	const char *network = json_object_iter_key(json_object_iter(networks));
	json_t *listen = json_sprintf("0.0.0.0:%s", port), *spec;

	spec = json_pack("{s:O, s:[s, s, o], s:{s:s}, s:{s:s, s:b}, s:{s:{s:{s:[s]}}}}", "Image",
			 json_object_get(service, "Image"), "Cmd", "sutra-probe", "--fault", listen, "Labels",
			 SUTRA_PROJECT_LABEL, project, "HostConfig", "NetworkMode", network, "AutoRemove", 1, "NetworkingConfig",
			 "EndpointsConfig", network, "Aliases", name);
	return spec;
}

/* POST of a document; its answer's "Id" into out. */
static int create_container(const json_t *spec, char out[80], struct sutra_err *err)
{
	json_t *answer = NULL;
	struct sutra_buf body;
	int rc;

	sutra_buf_init(&body, 65536);
	sutra_json_add(&body, spec, 0);
	rc = sutra_engine_call("POST", sutra_buf_str(&body), &answer, err, "/containers/create");
	snprintf(out, 80, "%s", rc ? "" : json_string_value(json_object_get(answer, "Id")));
	json_decref(answer);
	sutra_buf_release(&body);
	return rc;
}

static int start_fault(const char *state_dir, const char *name, const char *address, char handle[80],
		    struct sutra_err *err)
{
	char id[80], project[SUTRA_PROJECT_LEN];
	json_t *service = NULL, *spec = NULL;
	int rc;

	*handle = '\0';
	if (!sutra_docker_container(state_dir, name, id))
		return sutra_fail(err, SUTRA_E_NOTFOUND, "%s has no container", name);
	rc = sutra_engine_call("GET", NULL, &service, err, "/containers/%s/json", id);
	if (!rc) {
		sutra_docker_project(state_dir, project);
		spec = fault_spec(service, name, project, strrchr(address, ':') + 1);
		rc = spec ? call_container("POST", id, "/stop?t=5", err) :
			    sutra_fail(err, SUTRA_E_IO, "%s has no network", name);
	}
	rc = rc ? rc : create_container(spec, handle, err);
	rc = rc ? rc : call_container("POST", handle, "/start", err);
	json_decref(spec);
	json_decref(service);
	return rc;
}

static int stop_fault(const char *state_dir, const char *name, const char *handle, struct sutra_err *err)
{
	char id[80];
	int rc = *handle ? call_container("DELETE", handle, "?force=1", err) : 0, started = 0;

	/* The service is started in any case. */
	if (sutra_docker_container(state_dir, name, id))
		started = call_container("POST", id, "/start", rc && rc != SUTRA_E_NOTFOUND ? NULL : err);
	return rc && rc != SUTRA_E_NOTFOUND ? rc : started;
}

static int remove_service(const char *state_dir, const char *name, struct sutra_err *err)
{
	char id[80];

	return sutra_docker_container(state_dir, name, id) ? remove_container(id, err) : 0;
}

/* Networks or volumes of the project, by label. */
static int remove_labelled(const char *kind, const char *key, const char *project, struct sutra_err *err)
{
	char text[128];
	struct sutra_buf filter;
	json_t *o = NULL;
	const json_t *list;
	int rc;

	snprintf(text, sizeof(text), "{\"label\":[\"" SUTRA_PROJECT_LABEL "=%s\"]}", project);
	sutra_buf_init(&filter, 4096);
	sutra_buf_add_quoted(&filter, text);
	rc = sutra_engine_call("GET", NULL, &o, err, "/%s?filters=%s", kind, sutra_buf_str(&filter));
	list = json_is_array(o) ? o : json_object_get(o, "Volumes");
	for (size_t i = 0; i < json_array_size(list) && !rc; i++)
		rc = sutra_engine_call("DELETE", NULL, NULL, err, "/%s/%s", kind,
				       json_string_value(json_object_get(json_array_get(list, i), key)));
	json_decref(o);
	sutra_buf_release(&filter);
	return rc;
}

static bool is_gateway(const json_t *container)
{
	const char *command = json_string_value(json_object_get(container, "Command"));

	return command && strstr(command, "sutra-embedding");
}

static int down(const char *state_dir, uint64_t grace_ns, bool volumes, size_t *ret_n, int *ret_killed,
		struct sutra_err *err)
{
	char project[SUTRA_PROJECT_LEN];
	json_t *list = NULL;
	int rc = sutra_docker_containers(state_dir, NULL, &list, err);

	sutra_docker_project(state_dir, project);
	*ret_n = json_array_size(list);
	/* Gateways first: their requests in flight still reach the store behind them. */
	for (int first = 1; first >= 0; first--)
		for (size_t i = 0; i < *ret_n && !rc; i++)
			if (is_gateway(json_array_get(list, i)) == (first == 1))
				rc = remove_container(json_string_value(json_object_get(json_array_get(list, i), "Id")),
						      err);
	json_decref(list);
	rc = rc ? rc : remove_labelled("networks", "Id", project, err);
	return rc || !volumes ? rc : remove_labelled("volumes", "Name", project, err);
}

const struct sutra_runtime sutra_docker = {
	.name = "docker",
	.poll_ms = 100,
	.check = check,
	.ping = ping,
	.resolve = sutra_docker_resolve,
	.alive = alive,
	.prepare = prepare,
	.begin = begin,
	.start = start,
	.restart = restart,
	.observe = observe,
	.kill = kill_service,
	.remove = remove_service,
	.start_fault = start_fault,
	.stop_fault = stop_fault,
	.drain = drain,
	.down = down,
	.log_tail = sutra_docker_log_tail,
	.log_follow = sutra_docker_log_follow,
};
