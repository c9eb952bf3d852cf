/*
 * Documents for `kubectl apply`, valid for Kubernetes 1.25 and later.
 *
 * A service with a named volume is a StatefulSet of one pod, any other a Deployment; where an
 * autoscaler owns the number of pods, the Deployment has none, so that applying it
 * again resets nothing. Selectors hold what never changes: name, instance, part-of. Pods meet
 * the "restricted" standard as far as the compose file does.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "manifest/kube.h"
#include "compose/yaml.h"

enum { MAX_NAME = 52 };	/* a StatefulSet's: the labels of its pods add a suffix */

#define DEFAULT_VOLUME (10ull << 30)

/* The kinds that `kubectl apply --prune` may remove; never a claim, which holds data. */
static const char *const pruned[] = {
	"core/v1/Service", "core/v1/ConfigMap", "apps/v1/Deployment", "apps/v1/StatefulSet",
	"networking.k8s.io/v1/NetworkPolicy", "policy/v1/PodDisruptionBudget", "autoscaling/v2/HorizontalPodAutoscaler",
};

static uint64_t volume_size(const struct workloads *all, const char *name)
{
	const struct sutra_compose *c = all->m->all;

	for (size_t i = 0; i < c->volumes.n; i++)
		if (!strcmp(c->volumes.items[i], name) && c->volume_sizes[i])
			return c->volume_sizes[i];
	return DEFAULT_VOLUME;
}

/* With all that the API server adds: the list is compared as a whole when it is applied again. */
static json_t *claim_templates(const struct workloads *all, const struct workload *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->s->n_volumes; i++)
		if (w->s->volumes[i].named)
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:{s:s, s:n, s:o}, s:{s:[s], s:s, s:{s:{s:o}}}, s:{s:s}}",
						"apiVersion", "v1", "kind", "PersistentVolumeClaim", "metadata", "name",
						w->s->volumes[i].source, "creationTimestamp", "labels",
						sutra_kube_selector(all, w), "spec", "accessModes", "ReadWriteOnce",
						"volumeMode", "Filesystem", "resources", "requests", "storage",
						sutra_manifest_own(sutra_workload_size(volume_size(all, w->s->volumes[i].source), "i")),
						"status", "phase", "Pending"));
	return list;
}

static json_t *stateful_set(const struct workloads *all, const struct workload *w)
{
	return json_pack("{s:s, s:s, s:o, s:{s:i, s:s, s:{s:o}, s:o, s:o}}", "apiVersion", "apps/v1", "kind",
			 "StatefulSet", "metadata", sutra_kube_meta(all, w, w->name), "spec", "replicas", 1, "serviceName",
			 w->name, "selector", "matchLabels", sutra_kube_selector(all, w), "template", sutra_kube_pod(all, w),
			 "volumeClaimTemplates", claim_templates(all, w));
}

static json_t *deployment(const struct workloads *all, const struct workload *w)
{
	return json_pack("{s:s, s:s, s:o, s:{s:o*, s:{s:o}, s:{s:s, s:{s:i, s:i}}, s:o}}", "apiVersion", "apps/v1",
			 "kind", "Deployment", "metadata", sutra_kube_meta(all, w, w->name), "spec", "replicas",
			 kube_scales(w) ? NULL : json_integer((json_int_t)w->replicas), "selector", "matchLabels",
			 sutra_kube_selector(all, w), "strategy", "type", "RollingUpdate", "rollingUpdate", "maxSurge", 1,
			 "maxUnavailable", 0, "template", sutra_kube_pod(all, w));
}

static json_t *config_map(const struct workloads *all, const struct workload_mount *mount)
{
	json_t *data = json_object();
	char *name = sutra_kube_config_name(mount);
	json_t *map;

	for (size_t i = 0; i < mount->n; i++)
		json_object_set_new(data, mount->files[i].name, json_string(mount->files[i].text));
	map = json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "ConfigMap", "metadata",
			sutra_kube_meta(all, NULL, name), "data", data);
	sutra_free(name);
	return map;
}

static void add_document(struct sutra_buf *out, json_t *document)
{
	if (!document)
		return;
	sutra_buf_adds(out, "---\n");
	sutra_yaml_add(out, document);
	json_decref(document);
}

/* RFC 1035: small letters, digits, dashes; a letter first. */
static bool is_name(const char *s)
{
	size_t n = strlen(s);

	return n && n <= MAX_NAME && s[0] >= 'a' && s[0] <= 'z' && s[n - 1] != '-' &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

/* A workload with several pods cannot have a volume of its own. */
static int check_volumes(const struct workloads *all, const struct workload *w)
{
	for (size_t i = 0; i < w->s->n_volumes; i++) {
		const struct sutra_volume *v = &w->s->volumes[i];

		if (v->named && !is_name(v->source))
			return workload_fail(all, w, "the volume \"%s\" cannot be a name in Kubernetes", v->source);
		if (v->named && (w->replicas > 1 || kube_scales(w)))
			return workload_fail(all, w, "it stores in \"%s\", so there can be one of it only", v->source);
		if (sutra_kube_is_folder(v) && !v->read_only)
			return workload_fail(all, w, "%s is mounted to be written; a cluster wants a named volume there",
					     v->target);
	}
	for (size_t i = 0; i < w->n_mounts; i++)
		if (!w->mounts[i].single && !is_name(w->mounts[i].name))
			return workload_fail(all, w, "the folder %s cannot be a name in Kubernetes", w->mounts[i].name);
	return 0;
}

static int check(const struct workloads *all, const struct workload *w)
{
	const struct sutra_service *s = w->s;

	if (!is_name(w->name))
		return workload_fail(all, w, "Kubernetes wants at most %d small letters, digits and dashes as a name",
				     MAX_NAME);
	for (size_t i = 0; i < s->n_ports; i++)
		if (strcmp(s->ports[i].protocol, "tcp") != 0)
			return workload_fail(all, w, "port %d is %s; only tcp is carried over", s->ports[i].target,
					     s->ports[i].protocol);
	if (w->scale->cpu && s->cpu_reservation <= 0)
		return workload_fail(all, w, "scale: cpu wants deploy.resources.reservations.cpus to measure by");
	if (w->scale->memory && !s->memory_reservation)
		return workload_fail(all, w,
				     "scale: memory wants deploy.resources.reservations.memory to measure by");
	return check_volumes(all, w);
}

static bool monitored(const struct workloads *all)
{
	return all->m->metrics && !strcmp(all->m->metrics, "service-monitor");
}

static void add_head(struct sutra_buf *out, const struct workloads *all, const struct workloads *every)
{
	json_int_t grace = 0;
	char *labels = xasprintf("-l app.kubernetes.io/part-of=sutra,app.kubernetes.io/instance=%s", all->m->instance);

	for (size_t i = 0; i < every->n; i++)
		grace = sutra_kube_grace(&every->items[i]) > grace ? sutra_kube_grace(&every->items[i]) : grace;
	sutra_buf_addf(out,
		       "# Made by `sutra manifest kubernetes` from the compose file; make it again rather than edit it.\n"
		       "#   kubectl create namespace sutra && kubectl -n sutra apply -f FILE\n"
		       "# Over another edition or version. These commands keep the number of pods, remove a Service that\n"
		       "# an earlier manifest made headless (it cannot be changed), start the new pods beside the old\n"
		       "# and wait until they are ready, give the old ones time to end, and remove what the new edition\n"
		       "# does not have:\n"
		       "#   kubectl -n sutra apply view-last-applied deployment -o json \\\n"
		       "#     %s |\n"
		       "#     sed '/^    \"replicas\": /d' | kubectl -n sutra apply set-last-applied -f -\n",
		       labels);
	for (size_t i = 0; i < every->n; i++)
		if (every->items[i].balanced)
			sutra_buf_addf(out,
				       "#   kubectl -n sutra delete service "
				       "--field-selector metadata.name=%s,spec.clusterIP=None\n",
				       every->items[i].name);
	sutra_buf_addf(out,
		       "#   kubectl -n sutra apply -f FILE\n"
		       "#   kubectl -n sutra rollout status deployment,statefulset --timeout=10m \\\n"
		       "#     %s\n"
		       "#   sleep %lld\n"
		       "#   kubectl -n sutra apply -f FILE --prune \\\n"
		       "#     %s",
		       labels, (long long)grace, labels);
	for (size_t i = 0; i < sizeof(pruned) / sizeof(*pruned); i++)
		sutra_buf_addf(out, " \\\n#     --prune-allowlist=%s", pruned[i]);
	if (monitored(all))
		sutra_buf_adds(out, " \\\n#     --prune-allowlist=monitoring.coreos.com/v1/ServiceMonitor");
	sutra_buf_adds(out, "\n# Nothing here is a secret: values of secret settings are looked up in the Secret\n"
			    "# " KUBE_SECRET ", under the setting's name. sutra-manifest(1) tells the rest.\n");
	sutra_free(labels);
}

/* Adds what several workloads may share, once and before them. Claims are named, not made: a claim that was
 * removed with the stack would leave its volume unbound. */
static void add_shared(struct sutra_buf *out, const struct workloads *all)
{
	struct sutra_strv seen = { 0 };

	for (size_t i = 0; i < all->n; i++) {
		const struct workload *w = &all->items[i];

		for (size_t v = 0; v < w->s->n_volumes; v++) {
			bool is = sutra_kube_is_claim(all, &w->s->volumes[v]);
			char *name = is ? sutra_kube_claim_name(all, &w->s->volumes[v]) : NULL;

			if (name && !sutra_strv_has(&seen, name))
				sutra_buf_addf(out, "# Make the claim %s first, for what is read at %s.\n", name,
					       w->s->volumes[v].target);
			if (name)
				sutra_strv_add(&seen, name);
			sutra_free(name);
		}
	}
	for (size_t i = 0; i < all->n; i++) {
		const struct workload *w = &all->items[i];

		for (size_t c = 0; c < w->n_mounts; c++) {
			char *name = sutra_kube_config_name(&w->mounts[c]);

			if (!sutra_strv_has(&seen, name))
				add_document(out, config_map(all, &w->mounts[c]));
			sutra_strv_add(&seen, name);
			sutra_free(name);
		}
	}
	sutra_strv_release(&seen);
}

/* For all services of the file: those that the new edition lacks are called until they have ended. */
static void add_network(struct sutra_buf *out, const struct workloads *every, const struct workloads *all)
{
	json_t *services = json_array();

	add_document(out, sutra_kube_default_deny(every));
	for (size_t i = 0; i < every->n; i++) {
		bool deployed = sutra_workload_named(all, every->items[i].name);

		add_document(out, sutra_kube_network_policy(every, &every->items[i], deployed));
		sutra_kube_add_services(services, every, &every->items[i], deployed);
	}
	for (size_t i = 0; i < json_array_size(services); i++)
		add_document(out, json_incref(json_array_get(services, i)));
	json_decref(services);
}

static void add_workload(struct sutra_buf *out, const struct workloads *all, const struct workload *w)
{
	add_document(out, sutra_kube_is_stateful(w) ? stateful_set(all, w) : deployment(all, w));
	if (kube_scales(w))
		add_document(out, sutra_kube_autoscaler(all, w));
	add_document(out, sutra_kube_disruption_budget(all, w));
	if (monitored(all))
		add_document(out, sutra_kube_service_monitor(all, w));
}

int sutra_manifest_kubernetes(const struct sutra_manifest *m, struct sutra_buf *out, struct sutra_err *err)
{
	struct sutra_manifest whole = *m;
	struct workloads every = { 0 }, all;
	int rc = sutra_workloads_make(m, &all, err);

	if (rc)
		return rc;
	whole.selected = m->all;
	rc = sutra_workloads_make(&whole, &every, err);
	for (size_t i = 0; i < all.n && !rc; i++)
		rc = check(&all, &all.items[i]);
	if (!rc) {
		add_head(out, &all, &every);
		add_shared(out, &all);
		add_network(out, &every, &all);
		for (size_t i = 0; i < all.n; i++)
			add_workload(out, &all, &all.items[i]);
		rc = sutra_buf_error(out) ? sutra_fail(err, sutra_buf_error(out), "the manifest is too large") : 0;
	}
	sutra_workloads_release(&every);
	sutra_workloads_release(&all);
	return rc;
}
