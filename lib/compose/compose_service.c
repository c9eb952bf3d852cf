#include "compose/compose_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/compose_env.h"
#include "compose/compose_extra.h"
#include "compose/compose_ports.h"
#include "compose/compose_volumes.h"

static int read_image(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_string(r, n, what, &((struct sutra_service *)object)->image);
}

static int read_command(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_strings(r, n, what, true, &((struct sutra_service *)object)->command);
}

static int read_entrypoint(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_strings(r, n, what, true, &((struct sutra_service *)object)->entrypoint);
}

static int read_profiles(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	struct sutra_strv *profiles = &((struct sutra_service *)object)->profiles;
	int rc = sutra_reader_strings(r, n, what, false, profiles);

	for (size_t i = 0; i < profiles->n && !rc; i++)
		rc = sutra_reader_name(r, profiles->items[i], what);
	return rc;
}

static int network_pair(struct reader *r, const char *key, struct fy_node *n, void *object)
{
	return sutra_reader_name(r, key, "networks");
}

/* Only their names matter here. */
static int read_networks(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return n && fy_node_is_sequence(n) ? sutra_reader_items(r, n, what, sutra_reader_name_skip, object) :
					     sutra_reader_pairs(r, n, what, network_pair, object);
}

static int add_dependency(struct reader *r, struct sutra_service *s, const char *name,
			  enum sutra_condition condition)
{
	struct sutra_dependency *grown =
		sutra_realloc_array(s->depends_on, s->n_depends_on + 1, sizeof(*grown));

	if (!grown)
		return sutra_reader_fail(r, "out of memory");
	s->depends_on = grown;
	grown[s->n_depends_on] = (struct sutra_dependency){ sutra_strdup(name), condition, r->line };
	return grown[s->n_depends_on++].service ? 0 : sutra_reader_fail(r, "out of memory");
}

static int read_condition(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	static const char *const names[] = { "service_started", "service_healthy",
					     "service_completed_successfully" };
	char *text;
	int rc = sutra_reader_string(r, n, what, &text), at = 0;

	if (rc)
		return rc;
	while (at < 3 && strcmp(names[at], text))
		at++;
	if (at == 3)
		rc = sutra_reader_fail(r, "%s is \"%s\"; allowed are %s, %s, %s", what, text, names[0], names[1],
				       names[2]);
	else
		*(enum sutra_condition *)object = (enum sutra_condition)at;
	sutra_free(text);
	return rc;
}

static const struct reader_key dependency_keys[] = {
	{ "condition", read_condition },
	{ 0 },
};

static int depends_pair(struct reader *r, const char *key, struct fy_node *n, void *object)
{
	enum sutra_condition condition = SUTRA_STARTED;
	char what[300];
	int rc, line = r->line;

	snprintf(what, sizeof(what), "depends_on.%s", key);
	if (sutra_reader_is_null(n))
		return sutra_reader_fail(r, "%s has no condition", what);
	rc = sutra_reader_mapping(r, n, what, dependency_keys, &condition);
	r->line = line;
	return rc ? rc : add_dependency(r, object, key, condition);
}

static int read_depends_on(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	struct sutra_strv list = { 0 };
	int rc;

	if (!n || !fy_node_is_sequence(n))
		return sutra_reader_pairs(r, n, what, depends_pair, object);
	rc = sutra_reader_strings(r, n, what, false, &list);
	for (size_t i = 0; i < list.n && !rc; i++)
		rc = add_dependency(r, object, list.items[i], SUTRA_STARTED);
	sutra_strv_release(&list);
	return rc;
}

static int read_test(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	struct sutra_healthcheck *h = object;
	struct sutra_strv list = { 0 };
	bool is_list = n && fy_node_is_sequence(n);
	int rc = sutra_reader_strings(r, n, what, false, &list);

	if (!rc && is_list && list.n == 1 && !strcmp(list.items[0], "NONE"))
		h->disabled = true;
	else if (!rc && list.n && is_list && strcmp(list.items[0], "CMD") && strcmp(list.items[0], "CMD-SHELL"))
		rc = sutra_reader_fail(r, "%s must begin with CMD, CMD-SHELL or NONE", what);
	else if (!rc && list.n == 1 && is_list)
		rc = sutra_reader_fail(r, "%s has no command behind %s", what, list.items[0]);
	h->shell = !is_list || (list.n && !strcmp(list.items[0], "CMD-SHELL"));
	for (size_t i = is_list; i < list.n && !rc && !h->disabled; i++)
		if (sutra_strv_add(&h->test, list.items[i]))
			rc = sutra_reader_fail(r, "out of memory");
	sutra_strv_release(&list);
	return rc;
}

static int read_interval(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_duration(r, n, what, &((struct sutra_healthcheck *)object)->interval_ns);
}

static int read_timeout(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_duration(r, n, what, &((struct sutra_healthcheck *)object)->timeout_ns);
}

static int read_start_period(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_duration(r, n, what, &((struct sutra_healthcheck *)object)->start_period_ns);
}

static int read_retries(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_int(r, n, what, 1, 1000, &((struct sutra_healthcheck *)object)->retries);
}

static int read_disable(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_bool(r, n, what, &((struct sutra_healthcheck *)object)->disabled);
}

static const struct reader_key health_keys[] = {
	{ "test", read_test },	 { "interval", read_interval },		{ "timeout", read_timeout },
	{ "retries", read_retries }, { "start_period", read_start_period }, { "disable", read_disable },
	{ 0 },
};

static int read_healthcheck(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_mapping(r, n, what, health_keys, &((struct sutra_service *)object)->health);
}

static int read_restart(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	struct sutra_service *s = object;
	char *text;
	int rc = sutra_reader_string(r, n, what, &text);

	if (rc)
		return rc;
	if (!strcmp(text, "no"))
		s->restart = SUTRA_RESTART_NO;
	else if (!strcmp(text, "always"))
		s->restart = SUTRA_RESTART_ALWAYS;
	else if (!strcmp(text, "unless-stopped"))
		s->restart = SUTRA_RESTART_UNLESS_STOPPED;
	else if (!strcmp(text, "on-failure") ||
		 (!strncmp(text, "on-failure:", 11) && !sutra_str_int(text + 11, 0, 10000, &s->restart_max)))
		s->restart = SUTRA_RESTART_ON_FAILURE;
	else
		rc = sutra_reader_fail(r, "%s is \"%s\"; allowed are no, always, on-failure[:n], unless-stopped", what,
				       text);
	sutra_free(text);
	return rc;
}

static int read_stop_grace(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_duration(r, n, what, &((struct sutra_service *)object)->stop_grace_ns);
}

static int limit_memory(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_size(r, n, what, &((struct sutra_service *)object)->memory_limit);
}

static int limit_cpus(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_double(r, n, what, &((struct sutra_service *)object)->cpu_limit);
}

static int reserve_memory(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_size(r, n, what, &((struct sutra_service *)object)->memory_reservation);
}

static int reserve_cpus(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_double(r, n, what, &((struct sutra_service *)object)->cpu_reservation);
}

static const struct reader_key limit_keys[] = {
	{ "memory", limit_memory }, { "cpus", limit_cpus }, { "pids", sutra_reader_skip }, { 0 },
};
static const struct reader_key reservation_keys[] = {
	{ "memory", reserve_memory }, { "cpus", reserve_cpus }, { 0 },
};

static int read_limits(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_mapping(r, n, what, limit_keys, object);
}

static int read_reservations(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_mapping(r, n, what, reservation_keys, object);
}

static const struct reader_key resource_keys[] = {
	{ "limits", read_limits }, { "reservations", read_reservations }, { 0 },
};

static int read_resources(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_mapping(r, n, what, resource_keys, object);
}

static const struct reader_key deploy_keys[] = {
	{ "resources", read_resources }, { 0 },
};

static int read_deploy(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_mapping(r, n, what, deploy_keys, object);
}

/* Rows with sutra_reader_skip: a container engine's own business. */
static const struct reader_key service_keys[] = {
	{ "image", read_image },
	{ "command", read_command },
	{ "entrypoint", read_entrypoint },
	{ "profiles", read_profiles },
	{ "environment", sutra_service_environment },
	{ "env_file", sutra_service_env_file },
	{ "expose", sutra_ports_expose },
	{ "depends_on", read_depends_on },
	{ "healthcheck", read_healthcheck },
	{ "restart", read_restart },
	{ "ports", sutra_ports_ports },
	{ "volumes", sutra_volumes_volumes },
	{ "deploy", read_deploy },
	{ "stop_grace_period", read_stop_grace },
	{ "cap_drop", sutra_extra_cap_drop },
	{ "init", sutra_extra_init },
	{ "read_only", sutra_extra_read_only },
	{ "security_opt", sutra_extra_security_opt },
	{ "tmpfs", sutra_extra_tmpfs },
	{ "user", sutra_extra_user },
	{ "x-sutra-drain", sutra_extra_drain },
	{ "x-sutra-kubernetes", sutra_extra_kubernetes },
	{ "x-sutra-probes", sutra_extra_probes },
	{ "x-sutra-scale", sutra_extra_scale },
	{ "build", sutra_reader_skip },
	{ "container_name", sutra_reader_name_skip },
	{ "hostname", sutra_reader_name_skip },
	{ "labels", sutra_reader_skip },
	{ "logging", sutra_reader_skip },
	{ "networks", read_networks },
	{ "stop_signal", sutra_reader_skip },
	{ "ulimits", sutra_reader_skip },
	{ 0 },
};

int sutra_service_read(struct reader *r, const char *name, struct fy_node *n, struct sutra_service *s)
{
	char what[300];
	int rc;

	*s = (struct sutra_service){ .name = sutra_strdup(name),
				     .line = r->line,
				     .stop_grace_ns = 10000000000u,
				     .health = { .interval_ns = 30000000000u,
						 .timeout_ns = 30000000000u,
						 .retries = 3 } };
	if (!s->name)
		return sutra_reader_fail(r, "out of memory");
	snprintf(what, sizeof(what), "services.%s", name);
	rc = sutra_reader_name(r, name, "services");
	if (!rc && sutra_reader_is_null(n))
		rc = sutra_reader_fail(r, "%s has no value", what);
	rc = rc ? rc : sutra_reader_mapping(r, n, what, service_keys, s);
	return rc ? rc : sutra_service_env_files_load(r, s, what);
}

void sutra_service_release(struct sutra_service *s)
{
	for (size_t i = 0; i < s->n_depends_on; i++)
		sutra_free(s->depends_on[i].service);
	sutra_free(s->depends_on);
	sutra_ports_release(s);
	sutra_volumes_release(s);
	sutra_strv_release(&s->command);
	sutra_strv_release(&s->entrypoint);
	sutra_strv_release(&s->profiles);
	sutra_strv_release(&s->expose);
	sutra_strv_release(&s->health.test);
	sutra_service_env_release(s);
	sutra_free(s->name);
	sutra_free(s->image);
	sutra_extra_release(s);
}
