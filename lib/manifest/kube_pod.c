#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "manifest/kube.h"

enum {
	USER = 10001,		/* of the images */
	STARTUP_S = 120,	/* a cold node gets that long at least */
	STARTUP_PERIOD_S = 2,
};

/* Until addresses of a service that ends are withdrawn everywhere. */
#define DEFAULT_DELAY_NS 3000000000u

/* $(NAME) is expanded, $$ is a dollar: a dollar that would begin either is written twice. */
static void kube_dollar(struct sutra_buf *b, char next)
{
	sutra_buf_adds(b, next == '$' || next == '(' ? "$$" : "$");
}

static void kube_secret(struct sutra_buf *b, const char *name, size_t n)
{
	sutra_buf_addf(b, "$(%.*s)", (int)n, name);
}

/* "HOST_ML_BASE_LB": holds the name of a Service and nothing else, which kustomize can change. */
static char *host_variable(const char *name, size_t n)
{
	char *variable = xasprintf("HOST_%.*s", (int)n, name);

	for (char *c = variable; *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
	return variable;
}

static void kube_host(struct sutra_buf *b, const char *name, size_t n)
{
	char *variable = host_variable(name, n);

	sutra_buf_addf(b, "$(%s)", variable);
	sutra_free(variable);
}

static const struct workload_quoting quoting = { kube_dollar, kube_secret, kube_host };

static json_t *text_of(const char *s) { return sutra_manifest_text(s, &quoting); }

/* The name of a Service alone, or a text with such names; NULL if it is empty, as the API server stores it. */
static json_t *value_of(const char *s)
{
	size_t n = strlen(s);

	if (n > 2 && s[0] == MARK_HOST && strchr(s + 1, MARK_HOST) == s + n - 1)
		return json_stringn(s + 1, n - 2);
	return n ? text_of(s) : NULL;
}

static json_t *list_of(const struct sutra_strv *v) { return sutra_manifest_list(v, &quoting); }

static json_t *field_env(const char *key, const char *field)
{
	return json_pack("{s:s, s:{s:{s:s}}}", "name", key, "valueFrom", "fieldRef", "fieldPath", field);
}

static bool is_known(const json_t *list, const char *name)
{
	size_t i;
	json_t *e;

	json_array_foreach(list, i, e) {
		if (!strcmp(json_string_value(json_object_get(e, "name")), name))
			return true;
	}
	return false;
}

/* A variable for every secret that the text refers to, once. */
static void add_secrets(json_t *list, const char *text)
{
	for (const char *at = strchr(text, MARK_BEGIN); at; at = strchr(at + 1, MARK_BEGIN)) {
		char *name = xasprintf("%.*s", (int)strcspn(at + 1, (char[]){ MARK_END, 0 }), at + 1);

		if (!is_known(list, name))
			json_array_append_new(list, json_pack("{s:s, s:{s:{s:s, s:s}}}", "name", name, "valueFrom",
							      "secretKeyRef", "name", KUBE_SECRET, "key", name));
		sutra_free(name);
	}
}

static void add_host(json_t *list, const char *service, size_t n)
{
	char *name = host_variable(service, n);

	if (!is_known(list, name))
		json_array_append_new(list, json_pack("{s:s, s:o}", "name", name, "value", json_stringn(service, n)));
	sutra_free(name);
}

/* The same for every Service that the text names among other things. */
static void add_hosts(json_t *list, const char *text)
{
	size_t n;

	if (text[0] == MARK_HOST && text[strcspn(text + 1, (char[]){ MARK_HOST, 0 }) + 2] == '\0')
		return;
	for (const char *at = strchr(text, MARK_HOST); at; at = strchr(at + n + 2, MARK_HOST)) {
		n = strcspn(at + 1, (char[]){ MARK_HOST, 0 });
		add_host(list, at + 1, n);
	}
}

/* ML_BASE_1="${ML_BASE_1}" needs no entry: the secret's variable has that name. */
static bool is_own_secret(const struct workload_env *e)
{
	size_t n = strlen(e->key);

	return e->value[0] == MARK_BEGIN && !strncmp(e->value + 1, e->key, n) && e->value[n + 1] == MARK_END &&
	       !e->value[n + 2];
}

/* "ml-base:8887" as a name of all its pods that needs no search list, which HAProxy does not use. */
static void add_addresses(const struct workloads *all, json_t *list, const struct workload_env *e)
{
	size_t n = strcspn(e->value, ":");
	char *service = xasprintf("%.*s-pods", (int)n, e->value), *variable = host_variable(service, strlen(service));

	add_host(list, service, strlen(service));
	if (!is_known(list, "POD_NAMESPACE"))
		json_array_append_new(list, field_env("POD_NAMESPACE", "metadata.namespace"));
	json_array_append_new(list, json_pack("{s:s, s:o}", "name", e->key, "value",
					      json_sprintf("$(%s).$(POD_NAMESPACE).svc.%s%s", variable,
							   all->m->cluster_domain ? all->m->cluster_domain :
										    "cluster.local",
							   e->value + n)));
	sutra_free(variable);
	sutra_free(service);
}

/* Variables that others refer to come first: $(NAME) must stand before its use. */
static json_t *environment(const struct workloads *all, const struct workload *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n_env; i++) {
		add_secrets(list, w->env[i].value);
		add_hosts(list, w->env[i].value);
	}
	for (size_t i = 0; i < w->s->command.n; i++)
		add_secrets(list, w->s->command.items[i]);
	for (size_t i = 0; i < w->n_env; i++) {
		const struct workload_env *e = &w->env[i];

		if (e->kind == ENV_NUMBER)
			json_array_append_new(list, field_env(e->key, "metadata.name"));
		else if (e->kind == ENV_ADDRESSES)
			add_addresses(all, list, e);
		else if (!is_own_secret(e))
			json_array_append_new(list, json_pack("{s:s, s:o*}", "name", e->key, "value",
							      value_of(e->value)));
	}
	return sutra_manifest_some(list);
}

static json_t *ports(const struct workload *w)
{
	json_t *list = w->n_ports ? json_array() : NULL;

	for (size_t i = 0; i < w->n_ports; i++)
		json_array_append_new(list, json_pack("{s:o, s:i, s:s}", "name", sutra_kube_port_name(w->ports[i]),
						      "containerPort", w->ports[i], "protocol", "TCP"));
	return list;
}

int sutra_kube_url_port(const char *text, const char **ret_path)
{
	const char *host = strstr(text, "http://"), *colon = host ? strchr(host + 7, ':') : NULL;
	char *path;
	long port = colon ? strtol(colon + 1, &path, 10) : 0;

	if (port < 1 || port > 65535 || *path != '/')
		return 0;
	*ret_path = path;
	return (int)port;
}

/* "http://127.0.0.1:8887/health" becomes a request of the kubelet's own. */
static json_t *http_get(const struct workload *w, const char *url)
{
	const char *path;
	int port = sutra_kube_url_port(url, &path);
	json_t *named = NULL;

	if (!port)
		return NULL;
	for (size_t i = 0; i < w->n_ports; i++)
		if (w->ports[i] == port)
			named = sutra_kube_port_name(port);
	return json_pack("{s:o, s:o}", "path", sutra_manifest_own(xasprintf("%.*s", (int)strcspn(path, " \"'"), path)), "port",
			 named ? named : json_integer(port));
}

/* The handler of a probe: url, else the health check's own; NULL: there is none. */
static json_t *handler(const struct workload *w, const char *url)
{
	const struct sutra_healthcheck *h = &w->s->health;
	json_t *get = url ? http_get(w, url) : NULL, *command;

	for (size_t i = 0; i < h->test.n && !h->disabled && !get; i++)
		get = http_get(w, h->test.items[i]);
	if (get)
		return json_pack("{s:o}", "httpGet", get);
	if (h->disabled || !h->test.n)
		return NULL;
	command = h->shell ? json_pack("[s, s]", "/bin/sh", "-c") : json_array();
	for (size_t i = 0; i < h->test.n; i++)
		json_array_append_new(command, text_of(h->test.items[i]));
	return json_pack("{s:{s:o}}", "exec", "command", command);
}

static json_t *probe(const struct workload *w, const char *url, json_int_t period, json_int_t failures)
{
	json_t *p = handler(w, url);

	if (!p)
		return NULL;
	json_object_set_new(p, "periodSeconds", json_integer(period));
	json_object_set_new(p, "timeoutSeconds", json_integer(sutra_kube_seconds(w->s->health.timeout_ns)));
	json_object_set_new(p, "failureThreshold", json_integer(failures));
	return p;
}

static json_t *startup_probe(const struct workload *w)
{
	const struct sutra_healthcheck *h = &w->s->health;
	json_int_t most = sutra_kube_seconds(h->start_period_ns) + h->retries * sutra_kube_seconds(h->interval_ns);

	if (most < STARTUP_S)
		most = STARTUP_S;
	return probe(w, w->s->live_url, STARTUP_PERIOD_S, (most + STARTUP_PERIOD_S - 1) / STARTUP_PERIOD_S);
}

static struct sutra_drain drain_of(const struct workload *w)
{
	return w->s->drain.set || !w->n_ports ? w->s->drain : (struct sutra_drain){ .delay_ns = DEFAULT_DELAY_NS };
}

/* The program is process 1 of its container. */
static json_t *pre_stop(const struct workload *w)
{
	struct sutra_drain d = drain_of(w);
	struct sutra_buf b;
	json_t *hook;

	sutra_buf_init(&b, 4096);
	if (d.delay_ns)
		sutra_buf_addf(&b, "sleep %lld", (long long)sutra_kube_seconds(d.delay_ns));
	if (d.signal)
		sutra_buf_addf(&b, "%skill -%s 1", b.len ? "; " : "", d.signal);
	if (d.wait_ns)
		sutra_buf_addf(&b, "%ssleep %lld", b.len ? "; " : "", (long long)sutra_kube_seconds(d.wait_ns));
	hook = b.len ? json_pack("{s:{s:{s:[s, s, s]}}}", "preStop", "exec", "command", "/bin/sh", "-c",
				 sutra_buf_str(&b)) :
		       NULL;
	sutra_buf_release(&b);
	return hook;
}

/* As the API server writes them: "250m", but "2". */
static json_t *amounts(uint64_t memory, double cpus)
{
	long long milli = (long long)(cpus * 1000 + 0.5);
	json_t *cpu = !milli ? NULL : milli % 1000 ? json_sprintf("%lldm", milli) : json_sprintf("%lld", milli / 1000);

	return memory || cpu ? json_pack("{s:o*, s:o*}", "cpu", cpu, "memory",
					 memory ? sutra_manifest_own(sutra_workload_size(memory, "i")) : NULL) :
			       NULL;
}

static json_t *resources(const struct sutra_service *s)
{
	json_t *requests = amounts(s->memory_reservation, s->cpu_reservation);
	json_t *limits = amounts(s->memory_limit, s->cpu_limit);

	return requests || limits ? json_pack("{s:o*, s:o*}", "requests", requests, "limits", limits) : NULL;
}

static json_t *mounts(const struct workloads *all, const struct workload *w)
{
	json_t *list = json_array();
	size_t config = 0;

	for (size_t i = 0; i < w->s->n_volumes; i++) {
		const struct sutra_volume *v = &w->s->volumes[i];
		const struct workload_mount *c =
			config < w->n_mounts && w->mounts[config].v == v ? &w->mounts[config++] : NULL;
		json_t *name = c		     ? sutra_manifest_own(sutra_kube_config_name(c)) :
			       sutra_kube_is_claim(all, v) ? json_string(sutra_kube_volume_name(v)) :
			       v->source	     ? json_string(v->source) :
						       json_sprintf("scratch-%zu", i);

		if (!c && sutra_kube_is_folder(v) && !sutra_kube_is_claim(all, v)) {	/* in the image */
				    json_decref(name);
			continue;
		}
		json_array_append_new(list, json_pack("{s:o, s:s, s:o*, s:o*}", "name", name, "mountPath", v->target,
						      "subPath", c && c->single ? json_string(c->name) : NULL,
						      "readOnly", c || v->read_only ? json_true() : NULL));
	}
	for (size_t i = 0; i < w->s->tmpfs.n; i++) {
		uint64_t size;

		json_array_append_new(list, json_pack("{s:o, s:o}", "name", json_sprintf("memory-%zu", i), "mountPath",
						      sutra_manifest_own(sutra_workload_tmpfs(w->s->tmpfs.items[i], &size))));
	}
	return sutra_manifest_some(list);
}

static json_t *volumes(const struct workloads *all, const struct workload *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n_mounts; i++)
		json_array_append_new(list, json_pack("{s:o, s:{s:o}}", "name", sutra_manifest_own(sutra_kube_config_name(&w->mounts[i])),
						      "configMap", "name", sutra_manifest_own(sutra_kube_config_name(&w->mounts[i]))));
	for (size_t i = 0; i < w->s->n_volumes; i++) {
		const struct sutra_volume *v = &w->s->volumes[i];

		if (sutra_kube_is_claim(all, v))
			json_array_append_new(list, json_pack("{s:o, s:{s:o, s:b}}", "name",
							      json_string(sutra_kube_volume_name(v)), "persistentVolumeClaim",
							      "claimName", sutra_manifest_own(sutra_kube_claim_name(all, v)), "readOnly",
							      1));
		else if (!v->source)
			json_array_append_new(list, json_pack("{s:o, s:{}}", "name", json_sprintf("scratch-%zu", i),
							      "emptyDir"));
	}
	for (size_t i = 0; i < w->s->tmpfs.n; i++) {
		uint64_t size;

		sutra_free(sutra_workload_tmpfs(w->s->tmpfs.items[i], &size));
		json_array_append_new(list, json_pack("{s:o, s:{s:s, s:o*}}", "name", json_sprintf("memory-%zu", i),
						      "emptyDir", "medium", "Memory", "sizeLimit",
						      size ? sutra_manifest_own(sutra_workload_size(size, "i")) : NULL));
	}
	return sutra_manifest_some(list);
}

static json_t *container_security(const struct sutra_service *s)
{
	return json_pack("{s:b, s:b, s:o*}", "allowPrivilegeEscalation", !s->no_new_privileges,
			 "readOnlyRootFilesystem", s->read_only, "capabilities",
			 s->cap_drop.n ? json_pack("{s:o}", "drop", list_of(&s->cap_drop)) : NULL);
}

/* The compose file's user if it is a number, else that of the images. */
static json_t *pod_security(const struct sutra_service *s)
{
	json_int_t user = s->user ? strtol(s->user, NULL, 10) : 0;

	if (user < 1)
		user = USER;
	return json_pack("{s:b, s:I, s:I, s:I, s:s, s:{s:s}}", "runAsNonRoot", 1, "runAsUser", user, "runAsGroup",
			 user, "fsGroup", user, "fsGroupChangePolicy", "OnRootMismatch", "seccompProfile", "type",
			 "RuntimeDefault");
}

static char *image(const struct workloads *all, const struct workload *w)
{
	for (size_t i = 0; i < w->s->n_volumes; i++)
		if (sutra_kube_is_folder(&w->s->volumes[i]) && !sutra_kube_is_claim(all, &w->s->volumes[i]))
			return sutra_workload_image(all, all->m->model_image);
	return sutra_workload_image(all, w->s->image);
}

static json_t *container(const struct workloads *all, const struct workload *w)
{
	const struct sutra_service *s = w->s;
	json_int_t interval = sutra_kube_seconds(s->health.interval_ns);
	json_t *hook = pre_stop(w);

	return json_pack("{s:s, s:o, s:s, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o, s:o*}", "name",
			 w->name, "image", sutra_manifest_own(image(all, w)), "imagePullPolicy", "IfNotPresent",
			 "command", list_of(&s->entrypoint), "args", list_of(&s->command), "env", environment(all, w),
			 "ports", ports(w), "resources", resources(s), "startupProbe", startup_probe(w),
			 "readinessProbe", probe(w, s->ready_url, interval, s->health.retries), "livenessProbe",
			 probe(w, s->live_url, interval, s->health.retries), "lifecycle", hook, "securityContext",
			 container_security(s), "volumeMounts", mounts(all, w));
}

/* A changed file of a ConfigMap must replace the pods: their template holds its digest. */
static json_t *annotations(const struct workloads *all, const struct workload *w)
{
	const char *path;
	bool scraped = all->m->metrics && !strcmp(all->m->metrics, "annotations") && w->s->metrics_url;
	int port = scraped ? sutra_kube_url_port(w->s->metrics_url, &path) : 0;
	struct sutra_buf b;
	json_t *o = json_object();

	sutra_buf_init(&b, 4096);
	for (size_t i = 0; i < w->n_mounts; i++)
		for (size_t f = 0; f < w->mounts[i].n; f++)
			sutra_buf_addf(&b, "%s%s", b.len ? "-" : "", w->mounts[i].files[f].digest);
	if (b.len)
		json_object_set_new(o, "checksum/config", json_string(sutra_buf_str(&b)));
	sutra_buf_release(&b);
	if (port) {
		json_object_set_new(o, "prometheus.io/scrape", json_string("true"));
		json_object_set_new(o, "prometheus.io/port", json_sprintf("%d", port));
		json_object_set_new(o, "prometheus.io/path", json_string(path));
	}
	return sutra_manifest_some(o);
}

/* Several pods are spread over nodes if possible. */
static json_t *spread(const struct workloads *all, const struct workload *w)
{
	return w->replicas > 1 ? json_pack("[{s:i, s:s, s:s, s:{s:o}}]", "maxSkew", 1, "topologyKey",
					   "kubernetes.io/hostname", "whenUnsatisfiable", "ScheduleAnyway",
					   "labelSelector", "matchLabels", sutra_kube_selector(all, w)) :
				 NULL;
}

json_int_t sutra_kube_grace(const struct workload *w)
{
	struct sutra_drain d = drain_of(w);

	return sutra_kube_seconds(w->s->stop_grace_ns + d.delay_ns + d.wait_ns);
}

json_t *sutra_kube_pod(const struct workloads *all, const struct workload *w)
{
	json_t *meta = sutra_kube_meta(all, w, NULL), *notes = annotations(all, w);

	if (w->s->kube.entrance)
		json_object_set_new(json_object_get(meta, "labels"), KUBE_ENTRANCE, json_string(w->s->kube.entrance));
	if (notes)
		json_object_set_new(meta, "annotations", notes);
	return json_pack("{s:o, s:{s:b, s:b, s:I, s:o, s:o*, s:[o], s:o*}}", "metadata", meta, "spec",
			 "automountServiceAccountToken", 0, "enableServiceLinks", 0, "terminationGracePeriodSeconds",
			 sutra_kube_grace(w), "securityContext", pod_security(w->s), "topologySpreadConstraints", spread(all, w), "containers", container(all, w),
			 "volumes", volumes(all, w));
}
