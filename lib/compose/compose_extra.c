#include "compose/compose_extra.h"

#include <string.h>

#include "base/alloc.h"

enum { MAX_PODS = 1000 };

int sutra_extra_cap_drop(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return sutra_reader_strings(r, n, what, false, &((struct sutra_service *)service)->cap_drop);
}

int sutra_extra_init(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return sutra_reader_bool(r, n, what, &((struct sutra_service *)service)->init);
}

int sutra_extra_read_only(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return sutra_reader_bool(r, n, what, &((struct sutra_service *)service)->read_only);
}

int sutra_extra_security_opt(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	struct sutra_strv list = { 0 };
	int rc = sutra_reader_strings(r, n, what, false, &list);

	((struct sutra_service *)service)->no_new_privileges =
		sutra_strv_has(&list, "no-new-privileges:true") || sutra_strv_has(&list, "no-new-privileges");
	sutra_strv_release(&list);
	return rc;
}

int sutra_extra_tmpfs(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return sutra_reader_strings(r, n, what, false, &((struct sutra_service *)service)->tmpfs);
}

int sutra_extra_user(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return sutra_reader_string(r, n, what, &((struct sutra_service *)service)->user);
}

static int drain_delay(struct reader *r, struct fy_node *n, void *drain, const char *what)
{
	return sutra_reader_duration(r, n, what, &((struct sutra_drain *)drain)->delay_ns);
}

static int drain_wait(struct reader *r, struct fy_node *n, void *drain, const char *what)
{
	return sutra_reader_duration(r, n, what, &((struct sutra_drain *)drain)->wait_ns);
}

/* The words go into a shell's command: letters and digits only. */
static int drain_signal(struct reader *r, struct fy_node *n, void *drain, const char *what)
{
	struct sutra_drain *d = drain;
	int rc = sutra_reader_string(r, n, what, &d->signal);

	if (!rc && (!*d->signal || d->signal[strspn(d->signal, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")]))
		rc = sutra_reader_fail(r, "%s is \"%s\"; a signal such as USR1 is wanted", what, d->signal);
	return rc;
}

static const struct reader_key drain_keys[] = {
	{ "delay", drain_delay }, { "signal", drain_signal }, { "wait", drain_wait }, { 0 },
};

int sutra_extra_drain(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	struct sutra_drain *d = &((struct sutra_service *)service)->drain;

	d->set = true;
	return sutra_reader_mapping(r, n, what, drain_keys, d);
}

static int probe_url(struct reader *r, struct fy_node *n, const char *what, char **ret)
{
	int rc = sutra_reader_string(r, n, what, ret);

	if (!rc && (!sutra_str_starts(*ret, "http://127.0.0.1:") || !strchr(*ret + 17, '/')))
		rc = sutra_reader_fail(r, "%s is \"%s\"; http://127.0.0.1:PORT/PATH is wanted", what, *ret);
	return rc;
}

static int probe_live(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return probe_url(r, n, what, &((struct sutra_service *)service)->live_url);
}

static int probe_ready(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return probe_url(r, n, what, &((struct sutra_service *)service)->ready_url);
}

static int probe_metrics(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return probe_url(r, n, what, &((struct sutra_service *)service)->metrics_url);
}

static const struct reader_key probe_keys[] = {
	{ "live", probe_live }, { "metrics", probe_metrics }, { "ready", probe_ready }, { 0 },
};

int sutra_extra_probes(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return sutra_reader_mapping(r, n, what, probe_keys, service);
}

static int policy_value(struct reader *r, struct fy_node *n, struct sutra_scale_policy *p, bool percent,
			const char *what)
{
	if (p->value)
		return sutra_reader_fail(r, "%s: a policy has percent or pods, not both", what);
	p->percent = percent;
	return sutra_reader_int(r, n, what, 1, percent ? 1000 : MAX_PODS, &p->value);
}

static int policy_percent(struct reader *r, struct fy_node *n, void *policy, const char *what)
{
	return policy_value(r, n, policy, true, what);
}

static int policy_pods(struct reader *r, struct fy_node *n, void *policy, const char *what)
{
	return policy_value(r, n, policy, false, what);
}

static int policy_period(struct reader *r, struct fy_node *n, void *policy, const char *what)
{
	return sutra_reader_duration(r, n, what, &((struct sutra_scale_policy *)policy)->period_ns);
}

static const struct reader_key policy_keys[] = {
	{ "percent", policy_percent }, { "pods", policy_pods }, { "period", policy_period }, { 0 },
};

/* Whole seconds, as an autoscaler counts them. */
static bool is_seconds(uint64_t ns, uint64_t max) { return ns % 1000000000u == 0 && ns / 1000000000u <= max; }

static int rule_policies(struct reader *r, struct fy_node *n, void *rule, const char *what)
{
	struct sutra_scale_rule *u = rule;
	struct fy_node *item;
	void *at = NULL;
	int rc = 0;

	if (!n || !fy_node_is_sequence(n))
		return sutra_reader_fail(r, "%s must be a list", what);
	while (!rc && (item = fy_node_sequence_iterate(n, &at))) {
		struct sutra_scale_policy *p = &u->policies[u->n];

		if (u->n++ == SUTRA_SCALE_POLICIES)
			return sutra_reader_fail(r, "%s: more than %d policies", what, SUTRA_SCALE_POLICIES);
		rc = sutra_reader_mapping(r, item, what, policy_keys, p);
		if (!rc && (!p->value || !p->period_ns || !is_seconds(p->period_ns, 1800)))
			rc = sutra_reader_fail(r, "%s: a policy is percent or pods, and a period of 1s to 30m", what);
	}
	return rc;
}

static int rule_window(struct reader *r, struct fy_node *n, void *rule, const char *what)
{
	struct sutra_scale_rule *u = rule;
	int rc = sutra_reader_duration(r, n, what, &u->window_ns);

	return !rc && !is_seconds(u->window_ns, 3600) ? sutra_reader_fail(r, "%s must be whole seconds, at most 1h", what) :
							rc;
}

static const struct reader_key rule_keys[] = {
	{ "window", rule_window }, { "policies", rule_policies }, { 0 },
};

static int read_rule(struct reader *r, struct fy_node *n, struct sutra_scale_rule *u, const char *what)
{
	u->set = true;
	return sutra_reader_mapping(r, n, what, rule_keys, u);
}

static int scale_up(struct reader *r, struct fy_node *n, void *scale, const char *what)
{
	return read_rule(r, n, &((struct sutra_scale *)scale)->up, what);
}

static int scale_down(struct reader *r, struct fy_node *n, void *scale, const char *what)
{
	return read_rule(r, n, &((struct sutra_scale *)scale)->down, what);
}

static int scale_min(struct reader *r, struct fy_node *n, void *scale, const char *what)
{
	return sutra_reader_int(r, n, what, 1, MAX_PODS, &((struct sutra_scale *)scale)->min);
}

static int scale_max(struct reader *r, struct fy_node *n, void *scale, const char *what)
{
	return sutra_reader_int(r, n, what, 1, MAX_PODS, &((struct sutra_scale *)scale)->max);
}

static int scale_replicas(struct reader *r, struct fy_node *n, void *scale, const char *what)
{
	struct sutra_scale *s = scale;
	int rc = sutra_reader_int(r, n, what, 1, MAX_PODS, &s->min);

	s->max = s->min;
	return rc;
}

static int scale_cpu(struct reader *r, struct fy_node *n, void *scale, const char *what)
{
	return sutra_reader_int(r, n, what, 1, 10000, &((struct sutra_scale *)scale)->cpu);
}

static int scale_memory(struct reader *r, struct fy_node *n, void *scale, const char *what)
{
	return sutra_reader_int(r, n, what, 1, 100, &((struct sutra_scale *)scale)->memory);
}

static const struct reader_key scale_keys[] = {
	{ "min", scale_min }, { "max", scale_max },	  { "replicas", scale_replicas }, { "cpu", scale_cpu },
	{ "up", scale_up },   { "memory", scale_memory }, { "down", scale_down },	  { 0 },
};

static int read_scale(struct reader *r, struct fy_node *n, struct sutra_scale *s, const char *what)
{
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

int sutra_extra_scale(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return read_scale(r, n, &((struct sutra_service *)service)->scale, what);
}

static int kube_entrance(struct reader *r, struct fy_node *n, void *kube, const char *what)
{
	struct sutra_kubernetes *k = kube;
	int rc = sutra_reader_string(r, n, what, &k->entrance);
	char *colon = rc ? NULL : strrchr(k->entrance, ':');

	if (!rc && (!colon || colon == k->entrance || sutra_str_int(colon + 1, 1, 65535, &k->entrance_port)))
		rc = sutra_reader_fail(r, "%s is \"%s\"; NAME:PORT is wanted", what, k->entrance);
	if (!rc)
		*colon = '\0';
	return rc;
}

static int kube_profile(struct reader *r, struct fy_node *n, void *kube, const char *what)
{
	return sutra_reader_string(r, n, what, &((struct sutra_kubernetes *)kube)->scale_profile);
}

static int kube_scale(struct reader *r, struct fy_node *n, void *kube, const char *what)
{
	return read_scale(r, n, &((struct sutra_kubernetes *)kube)->scale, what);
}

static const struct reader_key kube_keys[] = {
	{ "entrance", kube_entrance }, { "profile", kube_profile }, { "scale", kube_scale }, { 0 },
};

int sutra_extra_kubernetes(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return sutra_reader_mapping(r, n, what, kube_keys, &((struct sutra_service *)service)->kube);
}

void sutra_extra_release(struct sutra_service *s)
{
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
