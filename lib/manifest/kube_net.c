#include <string.h>

#include "base/alloc.h"
#include "manifest/kube.h"

#define METRICS "sutra.io/metrics"	/* label of the one Service of a workload that is scraped */
#define SCRAPE "sutra.io/scrape"	/* label of a namespace, or of a pod beside the stack, that may scrape */

static json_t *service_port(int port)
{
	return json_pack("{s:o, s:s, s:i, s:o}", "name", sutra_kube_port_name(port), "protocol", "TCP", "port", port,
			 "targetPort", sutra_kube_port_name(port));
}

static json_t *port_rule(int port) { return json_pack("{s:s, s:i}", "protocol", "TCP", "port", port); }

/* An element for each port of the workload except one (0: for all). */
static json_t *list_ports(const struct workload *w, int64_t except, json_t *(*make)(int port))
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n_ports; i++)
		if (w->ports[i] != except)
			json_array_append_new(list, make(w->ports[i]));
	return list;
}

static json_t *service(json_t *meta, json_t *selector, json_t *ports)
{
	return json_pack("{s:s, s:s, s:o, s:{s:o, s:o}}", "apiVersion", "v1", "kind", "Service", "metadata", meta,
			 "spec", "selector", selector, "ports", ports);
}

/* The Service under the workload's own name; NULL: the entrance has the name, or all ports. */
static json_t *own_service(const struct workloads *all, const struct workload *w)
{
	json_t *list = list_ports(w, w->s->kube.entrance_port, service_port), *o;

	for (size_t i = 0; i < all->n; i++)
		if (all->items[i].s->kube.entrance && !strcmp(all->items[i].s->kube.entrance, w->name))
			json_array_clear(list);
	list = sutra_manifest_some(list);
	if (!list)
		return NULL;
	o = service(sutra_kube_meta(all, w, w->name), sutra_kube_selector(all, w), list);
	if (sutra_kube_is_stateful(w))
		json_object_set_new(json_object_get(o, "spec"), "clusterIP", json_string("None"));
	return o;
}

/* A balancer checks readiness itself, and a draining pod still finishes its requests: it sees all pods. */
static json_t *pods_service(const struct workloads *all, const struct workload *w)
{
	char *name = xasprintf("%s-pods", w->name);
	json_t *o = service(sutra_kube_meta(all, w, name), sutra_kube_selector(all, w), list_ports(w, 0, service_port)),
	       *spec = json_object_get(o, "spec");

	json_object_set_new(spec, "clusterIP", json_string("None"));
	json_object_set_new(spec, "publishNotReadyAddresses", json_true());
	sutra_free(name);
	return o;
}

/* Selects by a label that the entrance's pods have in every edition: during a change of edition both serve. */
static json_t *entrance_service(const struct workloads *all, const struct workload *w)
{
	const struct sutra_kubernetes *k = &w->s->kube;
	json_t *selector = json_pack("{s:s, s:s, s:s}", KUBE_ENTRANCE, k->entrance, "app.kubernetes.io/instance",
				     all->m->instance, "app.kubernetes.io/part-of", "sutra");

	return service(sutra_kube_meta(all, NULL, k->entrance), selector,
		       json_pack("[o]", service_port((int)k->entrance_port)));
}

void sutra_kube_add_services(json_t *documents, const struct workloads *every, const struct workload *w, bool deployed)
{
	json_t *scraped = NULL, *found[] = {
		w->s->kube.entrance && deployed ? entrance_service(every, w) : NULL,
		w->n_ports ? own_service(every, w) : NULL,
		w->balanced ? pods_service(every, w) : NULL,
	};

	for (size_t i = 0; i < sizeof(found) / sizeof(*found); i++) {
		if (found[i]) {
			scraped = found[i];
			json_array_append_new(documents, found[i]);
		}
	}
	if (scraped && w->s->metrics_url)
		json_object_set_new(json_object_get(json_object_get(scraped, "metadata"), "labels"), METRICS,
				    json_string(w->name));
}

json_t *sutra_kube_service_monitor(const struct workloads *all, const struct workload *w)
{
	const char *path;
	int port = w->s->metrics_url ? sutra_kube_url_port(w->s->metrics_url, &path) : 0;

	return port ? json_pack("{s:s, s:s, s:o, s:{s:{s:{s:s, s:s}}, s:[{s:o, s:s}]}}", "apiVersion",
				"monitoring.coreos.com/v1", "kind", "ServiceMonitor", "metadata",
				sutra_kube_meta(all, w, w->name), "spec", "selector", "matchLabels", METRICS, w->name,
				"app.kubernetes.io/instance", all->m->instance, "endpoints", "port",
				sutra_kube_port_name(port), "path", path) :
		      NULL;
}

static json_t *policy(json_t *meta, json_t *labels, json_t *ingress)
{
	return json_pack("{s:s, s:s, s:o, s:{s:{s:o}, s:[s], s:o*}}", "apiVersion", "networking.k8s.io/v1", "kind",
			 "NetworkPolicy", "metadata", meta, "spec", "podSelector", "matchLabels", labels, "policyTypes",
			 "Ingress", "ingress", ingress);
}

static json_t *stack_labels(const struct workloads *all)
{
	return json_pack("{s:s, s:s}", "app.kubernetes.io/instance", all->m->instance, "app.kubernetes.io/part-of",
			 "sutra");
}

json_t *sutra_kube_default_deny(const struct workloads *all)
{
	return policy(sutra_kube_meta(all, NULL, "sutra-default-deny"), stack_labels(all), NULL);
}

/* Adds published ports of an entrance. open: the entrance port and those published beyond loopback, which every
 * client may call; else the others. */
static void add_published(json_t *list, const struct workload *w, bool open)
{
	for (size_t i = 0; i < w->s->n_ports; i++) {
		const struct sutra_port *p = &w->s->ports[i];

		if ((p->target == w->s->kube.entrance_port || sutra_workload_port_is_open(p)) == open)
			json_array_append_new(list, port_rule(p->target));
	}
}

static bool has_port(const json_t *list, int port)
{
	bool found = false;

	for (size_t i = 0; i < json_array_size(list); i++)
		found |= json_integer_value(json_object_get(json_array_get(list, i), "port")) == port;
	return found;
}

/* One rule a caller, with the ports it calls; edges of one caller stand together. */
static json_t *callers(const struct workloads *all, const struct workload *w)
{
	json_t *ingress = json_array();

	for (size_t i = 0; i < w->n_edges;) {
		size_t from = w->edges[i].from;
		json_t *ports = w->edges[i].port ? json_array() : list_ports(w, 0, port_rule);

		for (; i < w->n_edges && w->edges[i].from == from; i++)
			if (w->edges[i].port)
				json_array_append_new(ports, port_rule(w->edges[i].port));
		json_array_append_new(ingress, json_pack("{s:[{s:{s:o}}], s:o}", "from", "podSelector", "matchLabels",
							 sutra_kube_selector(all, &all->items[from]), "ports", ports));
	}
	return ingress;
}

static json_t *scraper(const char *kind)
{
	return json_pack("{s:{s:{s:s}}}", kind, "matchLabels", SCRAPE, "true");
}

json_t *sutra_kube_network_policy(const struct workloads *every, const struct workload *w, bool deployed)
{
	const char *path;
	int metrics = w->s->metrics_url ? sutra_kube_url_port(w->s->metrics_url, &path) : 0;
	json_t *ingress = w->n_edges && w->n_ports ? callers(every, w) : json_array();
	json_t *open = json_array(), *scraped = json_array();

	if (!w->n_edges && (deployed || w->s->kube.entrance)) {
		add_published(open, w, true);
		add_published(scraped, w, false);
	}
	if (metrics && !has_port(open, metrics) && !has_port(scraped, metrics))
		json_array_append_new(scraped, port_rule(metrics));
	if (json_array_size(open))
		json_array_append_new(ingress, json_pack("{s:O}", "ports", open));
	else if (!w->n_edges && w->n_ports && !deployed)
		json_array_append_new(ingress, json_pack("{s:[{s:{s:o}}], s:o}", "from", "podSelector", "matchLabels",
							 stack_labels(every), "ports", list_ports(w, 0, port_rule)));
	if (json_array_size(scraped))
		json_array_append_new(ingress, json_pack("{s:[o, o], s:O}", "from", scraper("namespaceSelector"),
							 scraper("podSelector"), "ports", scraped));
	json_decref(open);
	json_decref(scraped);
	ingress = sutra_manifest_some(ingress);
	return !ingress ? NULL : policy(sutra_kube_meta(every, w, w->name), sutra_kube_selector(every, w), ingress);
}

json_t *sutra_kube_disruption_budget(const struct workloads *all, const struct workload *w)
{
	return json_pack("{s:s, s:s, s:o, s:{s:i, s:{s:o}}}", "apiVersion", "policy/v1", "kind", "PodDisruptionBudget",
			 "metadata", sutra_kube_meta(all, w, w->name), "spec", "maxUnavailable", 1, "selector", "matchLabels",
			 sutra_kube_selector(all, w));
}

static json_t *metric(const char *resource, int64_t percent)
{
	return json_pack("{s:s, s:{s:s, s:{s:s, s:I}}}", "type", "Resource", "resource", "name", resource, "target",
			 "type", "Utilization", "averageUtilization", (json_int_t)percent);
}

static json_t *scaling_rules(const struct sutra_scale_rule *rule)
{
	json_t *list = rule->n ? json_array() : NULL;

	for (size_t i = 0; i < rule->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "type",
						      rule->policies[i].percent ? "Percent" : "Pods", "value",
						      (json_int_t)rule->policies[i].value, "periodSeconds",
						      sutra_kube_seconds(rule->policies[i].period_ns)));
	return json_pack("{s:o*, s:o*}", "stabilizationWindowSeconds",
			 rule->window_ns ? json_integer(sutra_kube_seconds(rule->window_ns)) : NULL, "policies", list);
}

json_t *sutra_kube_autoscaler(const struct workloads *all, const struct workload *w)
{
	const struct sutra_scale *s = w->scale;
	json_t *metrics = json_array(), *behavior = json_object();

	if (s->cpu)
		json_array_append_new(metrics, metric("cpu", s->cpu));
	if (s->memory)
		json_array_append_new(metrics, metric("memory", s->memory));
	if (s->up.set)
		json_object_set_new(behavior, "scaleUp", scaling_rules(&s->up));
	if (s->down.set)
		json_object_set_new(behavior, "scaleDown", scaling_rules(&s->down));
	return json_pack("{s:s, s:s, s:o, s:{s:{s:s, s:s, s:s}, s:I, s:I, s:o, s:o*}}", "apiVersion", "autoscaling/v2",
			 "kind", "HorizontalPodAutoscaler", "metadata", sutra_kube_meta(all, w, w->name), "spec", "scaleTargetRef",
			 "apiVersion", "apps/v1", "kind", "Deployment", "name", w->name, "minReplicas",
			 (json_int_t)s->min, "maxReplicas", (json_int_t)s->max, "metrics", metrics, "behavior",
			 sutra_manifest_some(behavior));
}
