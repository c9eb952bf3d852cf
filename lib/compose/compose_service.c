#include "compose/compose_service.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/compose_parts.h"

enum { MAX_PODS = 1000 };

static int read_profiles(struct reader *r, struct fy_node *n, void *ret, const char *what)
{
	struct sutra_strv *profiles = ret;
	int rc = sutra_reader_strings(r, n, profiles, what);

	for (size_t i = 0; i < profiles->n && !rc; i++)
		rc = sutra_reader_name(r, profiles->items[i], what);
	return rc;
}

static int network_pair(struct reader *r, const char *key, struct fy_node *n, void *object)
{
	return sutra_reader_name(r, key, "networks");
}

/* Only the names are checked. */
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
	int rc = sutra_reader_string(r, n, &text, what), at = 0;

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
	READER_OBJECT("condition", read_condition),
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
	rc = sutra_reader_strings(r, n, &list, what);
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
	int rc = sutra_reader_strings(r, n, &list, what);

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

static int read_retries(struct reader *r, struct fy_node *n, void *retries, const char *what)
{
	return sutra_reader_int(r, n, what, 1, 1000, retries);
}

static const struct reader_key health_keys[] = {
	READER_OBJECT("test", read_test),
	READER_FIELD("interval", sutra_reader_duration, sutra_healthcheck, interval_ns),
	READER_FIELD("timeout", sutra_reader_duration, sutra_healthcheck, timeout_ns),
	READER_FIELD("retries", read_retries, sutra_healthcheck, retries),
	READER_FIELD("start_period", sutra_reader_duration, sutra_healthcheck, start_period_ns),
	READER_FIELD("disable", sutra_reader_bool, sutra_healthcheck, disabled),
	{ 0 },
};

static int read_restart(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	struct sutra_service *s = object;
	char *text;
	int rc = sutra_reader_string(r, n, &text, what);

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

static const struct reader_key limit_keys[] = {
	READER_FIELD("memory", sutra_reader_size, sutra_service, memory_limit),
	READER_FIELD("cpus", sutra_reader_double, sutra_service, cpu_limit),
	READER_SKIP("pids"),
	{ 0 },
};
static const struct reader_key reservation_keys[] = {
	READER_FIELD("memory", sutra_reader_size, sutra_service, memory_reservation),
	READER_FIELD("cpus", sutra_reader_double, sutra_service, cpu_reservation),
	{ 0 },
};
static const struct reader_key resource_keys[] = {
	READER_ROWS("limits", limit_keys, 0),
	READER_ROWS("reservations", reservation_keys, 0),
	{ 0 },
};
static const struct reader_key deploy_keys[] = {
	READER_ROWS("resources", resource_keys, 0),
	{ 0 },
};

static int read_security_opt(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	struct sutra_strv list = { 0 };
	int rc = sutra_reader_strings(r, n, &list, what);

	((struct sutra_service *)service)->no_new_privileges =
		sutra_strv_has(&list, "no-new-privileges:true") || sutra_strv_has(&list, "no-new-privileges");
	sutra_strv_release(&list);
	return rc;
}

/* The signal becomes part of a shell command: letters and digits only. */
static int read_drain_signal(struct reader *r, struct fy_node *n, void *drain, const char *what)
{
	struct sutra_drain *d = drain;
	int rc = sutra_reader_string(r, n, &d->signal, what);

	if (!rc && (!*d->signal || d->signal[strspn(d->signal, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")]))
		rc = sutra_reader_fail(r, "%s is \"%s\"; a signal such as USR1 is wanted", what, d->signal);
	return rc;
}

static const struct reader_key drain_keys[] = {
	READER_FIELD("delay", sutra_reader_duration, sutra_drain, delay_ns),
	READER_OBJECT("signal", read_drain_signal),
	READER_FIELD("wait", sutra_reader_duration, sutra_drain, wait_ns),
	{ 0 },
};

static int read_drain(struct reader *r, struct fy_node *n, void *drain, const char *what)
{
	((struct sutra_drain *)drain)->set = true;
	return sutra_reader_mapping(r, n, what, drain_keys, drain);
}

static int read_probe_url(struct reader *r, struct fy_node *n, void *url, const char *what)
{
	char **ret = url;
	int rc = sutra_reader_string(r, n, ret, what);

	if (!rc && (!sutra_str_starts(*ret, "http://127.0.0.1:") || !strchr(*ret + 17, '/')))
		rc = sutra_reader_fail(r, "%s is \"%s\"; http://127.0.0.1:PORT/PATH is wanted", what, *ret);
	return rc;
}

static const struct reader_key probe_keys[] = {
	READER_FIELD("live", read_probe_url, sutra_service, live_url),
	READER_FIELD("metrics", read_probe_url, sutra_service, metrics_url),
	READER_FIELD("ready", read_probe_url, sutra_service, ready_url),
	{ 0 },
};

static int policy_value(struct reader *r, struct fy_node *n, struct sutra_scale_policy *p, bool percent,
			const char *what)
{
	if (p->value)
		return sutra_reader_fail(r, "%s: a policy has percent or pods, not both", what);
	p->percent = percent;
	return sutra_reader_int(r, n, what, 1, percent ? 1000 : MAX_PODS, &p->value);
}

static int read_percent(struct reader *r, struct fy_node *n, void *policy, const char *what)
{
	return policy_value(r, n, policy, true, what);
}

static int read_pods(struct reader *r, struct fy_node *n, void *policy, const char *what)
{
	return policy_value(r, n, policy, false, what);
}

static const struct reader_key policy_keys[] = {
	READER_OBJECT("percent", read_percent),
	READER_OBJECT("pods", read_pods),
	READER_FIELD("period", sutra_reader_duration, sutra_scale_policy, period_ns),
	{ 0 },
};

/* Autoscalers count whole seconds. */
static bool is_seconds(uint64_t ns, uint64_t max) { return ns % 1000000000u == 0 && ns / 1000000000u <= max; }

static int add_policy(struct reader *r, struct fy_node *n, void *rule, const char *what)
{
	struct sutra_scale_rule *u = rule;
	struct sutra_scale_policy *p = &u->policies[u->n];
	int rc;

	if (u->n == SUTRA_SCALE_POLICIES)
		return sutra_reader_fail(r, "%s: more than %d policies", what, SUTRA_SCALE_POLICIES);
	u->n++;
	rc = sutra_reader_mapping(r, n, what, policy_keys, p);
	if (!rc && (!p->value || !p->period_ns || !is_seconds(p->period_ns, 1800)))
		rc = sutra_reader_fail(r, "%s: a policy is percent or pods, and a period of 1s to 30m", what);
	return rc;
}

static int read_policies(struct reader *r, struct fy_node *n, void *rule, const char *what)
{
	return sutra_reader_list(r, n, what, add_policy, rule);
}

static int read_window(struct reader *r, struct fy_node *n, void *rule, const char *what)
{
	struct sutra_scale_rule *u = rule;
	int rc = sutra_reader_duration(r, n, &u->window_ns, what);

	if (!rc && !is_seconds(u->window_ns, 3600))
		rc = sutra_reader_fail(r, "%s must be whole seconds, at most 1h", what);
	return rc;
}

static const struct reader_key rule_keys[] = {
	READER_OBJECT("window", read_window),
	READER_OBJECT("policies", read_policies),
	{ 0 },
};

static int read_rule(struct reader *r, struct fy_node *n, void *rule, const char *what)
{
	((struct sutra_scale_rule *)rule)->set = true;
	return sutra_reader_mapping(r, n, what, rule_keys, rule);
}

static int read_pod_count(struct reader *r, struct fy_node *n, void *count, const char *what)
{
	return sutra_reader_int(r, n, what, 1, MAX_PODS, count);
}

static int read_replicas(struct reader *r, struct fy_node *n, void *scale, const char *what)
{
	struct sutra_scale *s = scale;
	int rc = read_pod_count(r, n, &s->min, what);

	s->max = s->min;
	return rc;
}

static int read_cpu_percent(struct reader *r, struct fy_node *n, void *percent, const char *what)
{
	return sutra_reader_int(r, n, what, 1, 10000, percent);
}

static int read_memory_percent(struct reader *r, struct fy_node *n, void *percent, const char *what)
{
	return sutra_reader_int(r, n, what, 1, 100, percent);
}

static const struct reader_key scale_keys[] = {
	READER_FIELD("min", read_pod_count, sutra_scale, min),
	READER_FIELD("max", read_pod_count, sutra_scale, max),
	READER_OBJECT("replicas", read_replicas),
	READER_FIELD("cpu", read_cpu_percent, sutra_scale, cpu),
	READER_FIELD("memory", read_memory_percent, sutra_scale, memory),
	READER_FIELD("up", read_rule, sutra_scale, up),
	READER_FIELD("down", read_rule, sutra_scale, down),
	{ 0 },
};

static int read_scale(struct reader *r, struct fy_node *n, void *scale, const char *what)
{
	struct sutra_scale *s = scale;
	int line = r->line, rc = sutra_reader_mapping(r, n, what, scale_keys, s);
	bool measured = s->cpu || s->memory;

	if (rc)
		return rc;
	r->line = line;
	if (!s->min || !s->max)
		return sutra_reader_fail(r, "%s wants min and max, or replicas", what);
	if (s->min > s->max)
		return sutra_reader_fail(r, "%s: min is %lld, above max, which is %lld", what, (long long)s->min,
					 (long long)s->max);
	if (s->min < s->max && !measured)
		return sutra_reader_fail(r, "%s wants cpu or memory: by what it scales from %lld to %lld", what,
					 (long long)s->min, (long long)s->max);
	if (s->min == s->max && (measured || s->up.set || s->down.set))
		return sutra_reader_fail(r, "%s: a fixed number of replicas has no cpu, memory, up or down", what);
	return 0;
}

static int read_entrance(struct reader *r, struct fy_node *n, void *kube, const char *what)
{
	struct sutra_kubernetes *k = kube;
	int rc = sutra_reader_string(r, n, &k->entrance, what);
	char *colon = rc ? NULL : strrchr(k->entrance, ':');

	if (!rc && (!colon || colon == k->entrance || sutra_str_int(colon + 1, 1, 65535, &k->entrance_port)))
		rc = sutra_reader_fail(r, "%s is \"%s\"; NAME:PORT is wanted", what, k->entrance);
	if (!rc)
		*colon = '\0';
	return rc;
}

static const struct reader_key kubernetes_keys[] = {
	READER_OBJECT("entrance", read_entrance),
	READER_FIELD("profile", sutra_reader_string, sutra_kubernetes, scale_profile),
	READER_FIELD("scale", read_scale, sutra_kubernetes, scale),
	{ 0 },
};

static const struct reader_key service_keys[] = {
	READER_FIELD("image", sutra_reader_string, sutra_service, image),
	READER_FIELD("command", sutra_reader_words, sutra_service, command),
	READER_FIELD("entrypoint", sutra_reader_words, sutra_service, entrypoint),
	READER_FIELD("profiles", read_profiles, sutra_service, profiles),
	READER_OBJECT("environment", sutra_service_environment),
	READER_OBJECT("env_file", sutra_service_env_file),
	READER_OBJECT("expose", sutra_service_expose),
	READER_OBJECT("depends_on", read_depends_on),
	READER_ROWS("healthcheck", health_keys, offsetof(struct sutra_service, health)),
	READER_OBJECT("restart", read_restart),
	READER_OBJECT("ports", sutra_service_ports),
	READER_OBJECT("volumes", sutra_service_volumes),
	READER_ROWS("deploy", deploy_keys, 0),
	READER_FIELD("stop_grace_period", sutra_reader_duration, sutra_service, stop_grace_ns),
	READER_FIELD("cap_drop", sutra_reader_strings, sutra_service, cap_drop),
	READER_FIELD("init", sutra_reader_bool, sutra_service, init),
	READER_FIELD("read_only", sutra_reader_bool, sutra_service, read_only),
	READER_OBJECT("security_opt", read_security_opt),
	READER_FIELD("tmpfs", sutra_reader_strings, sutra_service, tmpfs),
	READER_FIELD("user", sutra_reader_string, sutra_service, user),
	READER_FIELD("x-sutra-drain", read_drain, sutra_service, drain),
	READER_ROWS("x-sutra-kubernetes", kubernetes_keys, offsetof(struct sutra_service, kube)),
	READER_ROWS("x-sutra-probes", probe_keys, 0),
	READER_FIELD("x-sutra-scale", read_scale, sutra_service, scale),
	READER_SKIP("build"),
	READER_OBJECT("container_name", sutra_reader_name_skip),
	READER_OBJECT("hostname", sutra_reader_name_skip),
	READER_SKIP("labels"),
	READER_SKIP("logging"),
	READER_OBJECT("networks", read_networks),
	READER_SKIP("stop_signal"),
	READER_SKIP("ulimits"),
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
	sutra_service_ports_release(s);
	sutra_service_volumes_release(s);
	sutra_strv_release(&s->command);
	sutra_strv_release(&s->entrypoint);
	sutra_strv_release(&s->profiles);
	sutra_strv_release(&s->expose);
	sutra_strv_release(&s->health.test);
	sutra_service_env_release(s);
	sutra_free(s->name);
	sutra_free(s->image);
	sutra_strv_release(&s->cap_drop);
	sutra_strv_release(&s->tmpfs);
	sutra_free(s->user);
	sutra_free(s->drain.signal);
	sutra_free(s->live_url);
	sutra_free(s->ready_url);
	sutra_free(s->metrics_url);
	sutra_free(s->kube.entrance);
	sutra_free(s->kube.scale_profile);
}
