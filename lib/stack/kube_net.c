#include "base/alloc.h"
#include "stack/kube.h"

/* A balancer asks for itself who is ready, and who drains still finishes: it sees all pods. */
json_t *kube_service(const struct workload *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n_ports; i++)
		json_array_append_new(list, json_pack("{s:o, s:s, s:i, s:o}", "name", kube_port_name(w->ports[i]),
						      "protocol", "TCP", "port", w->ports[i], "targetPort",
						      kube_port_name(w->ports[i])));
	return json_pack("{s:s, s:s, s:o, s:{s:s*, s:o*, s:o, s:o}}", "apiVersion", "v1", "kind", "Service", "metadata",
			 kube_meta(w, w->name), "spec", "clusterIP", kube_is_headless(w) ? "None" : NULL,
			 "publishNotReadyAddresses", w->balanced ? json_true() : NULL, "selector", kube_selector(w),
			 "ports", list);
}

static json_t *policy(json_t *meta, json_t *labels, json_t *ingress)
{
	return json_pack("{s:s, s:s, s:o, s:{s:{s:o}, s:[s], s:o*}}", "apiVersion", "networking.k8s.io/v1", "kind",
			 "NetworkPolicy", "metadata", meta, "spec", "podSelector", "matchLabels", labels, "policyTypes",
			 "Ingress", "ingress", ingress);
}

json_t *kube_default_deny(void)
{
	return policy(kube_meta(NULL, "sutra-default-deny"), json_pack("{s:s}", "app.kubernetes.io/part-of", "sutra"),
		      NULL);
}

static json_t *port_rule(int port) { return json_pack("{s:s, s:i}", "protocol", "TCP", "port", port); }

static json_t *all_ports(const struct workload *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n_ports; i++)
		json_array_append_new(list, port_rule(w->ports[i]));
	return list;
}

static json_t *published_ports(const struct workload *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->s->n_ports; i++)
		json_array_append_new(list, port_rule(w->s->ports[i].target));
	return list;
}

/* One rule a caller, with the ports it calls; edges of one caller stand together. */
static json_t *callers(const struct workloads *all, const struct workload *w)
{
	json_t *ingress = json_array();

	for (size_t i = 0; i < w->n_edges;) {
		size_t from = w->edges[i].from;
		json_t *ports = w->edges[i].port ? json_array() : all_ports(w);

		for (; i < w->n_edges && w->edges[i].from == from; i++)
			if (w->edges[i].port)
				json_array_append_new(ports, port_rule(w->edges[i].port));
		json_array_append_new(ingress, json_pack("{s:[{s:{s:o}}], s:o}", "from", "podSelector", "matchLabels",
							 kube_selector(&all->items[from]), "ports", ports));
	}
	return ingress;
}

json_t *kube_network_policy(const struct workloads *all, const struct workload *w)
{
	json_t *ingress = NULL;

	if (w->n_edges && w->n_ports)
		ingress = callers(all, w);
	else if (w->s->n_ports)
		ingress = json_pack("[{s:o}]", "ports", published_ports(w));
	return ingress ? policy(kube_meta(w, w->name), kube_selector(w), ingress) : NULL;
}

json_t *kube_disruption_budget(const struct workload *w)
{
	return json_pack("{s:s, s:s, s:o, s:{s:i, s:{s:o}}}", "apiVersion", "policy/v1", "kind", "PodDisruptionBudget",
			 "metadata", kube_meta(w, w->name), "spec", "maxUnavailable", 1, "selector", "matchLabels",
			 kube_selector(w));
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
						      kube_seconds(rule->policies[i].period_ns)));
	return json_pack("{s:o*, s:o*}", "stabilizationWindowSeconds",
			 rule->window_ns ? json_integer(kube_seconds(rule->window_ns)) : NULL, "policies", list);
}

json_t *kube_autoscaler(const struct workload *w)
{
	const struct sutra_scale *s = &w->s->scale;
	json_t *metrics = json_array(), *behavior = json_object();

	if (s->cpu)
		json_array_append_new(metrics, metric("cpu", s->cpu));
	if (s->memory)
		json_array_append_new(metrics, metric("memory", s->memory));
	if (s->up.set)
		json_object_set_new(behavior, "scaleUp", scaling_rules(&s->up));
	if (s->down.set)
		json_object_set_new(behavior, "scaleDown", scaling_rules(&s->down));
	if (!json_object_size(behavior)) {
		json_decref(behavior);
		behavior = NULL;
	}
	return json_pack("{s:s, s:s, s:o, s:{s:{s:s, s:s, s:s}, s:I, s:I, s:o, s:o*}}", "apiVersion", "autoscaling/v2",
			 "kind", "HorizontalPodAutoscaler", "metadata", kube_meta(w, w->name), "spec", "scaleTargetRef",
			 "apiVersion", "apps/v1", "kind", "Deployment", "name", w->name, "minReplicas",
			 (json_int_t)s->min, "maxReplicas", (json_int_t)s->max, "metrics", metrics, "behavior", behavior);
}
