/* kube - the Kubernetes objects: kube_name.c, kube_pod.c, kube_net.c; for lib/manifest alone. */
#ifndef SUTRA_MANIFEST_KUBE_H
#define SUTRA_MANIFEST_KUBE_H

#include <jansson.h>

#include "manifest/manifest_model.h"

#define KUBE_SECRET "sutra-secrets"	/* holds every secret setting, by its name */
#define KUBE_ENTRANCE "sutra.io/entrance"	/* label of pods: the Service that leads to them */

static inline bool kube_scales(const struct workload *w) { return w->scale->max > w->scale->min; }
/* Has volumes of its own: a StatefulSet, and one pod. */
bool sutra_kube_is_stateful(const struct workload *w);

/* Metadata with all labels of the workload (NULL: of the stack); the labels that select its
 * pods; nanoseconds as whole seconds, at least 1. */
json_t *sutra_kube_meta(const struct workloads *all, const struct workload *w, const char *name);
json_t *sutra_kube_selector(const struct workloads *all, const struct workload *w);
json_int_t sutra_kube_seconds(uint64_t ns);
/* "tcp-8887": at most 15 characters, and for a mesh a protocol that is never wrong. */
json_t *sutra_kube_port_name(int port);
/* The port of an address on this host within text ("http://127.0.0.1:8887/ready"), and where its path
 * begins; 0: there is none. */
int sutra_kube_url_port(const char *text, const char **ret_path);
/* "sutra-haproxy" for ./haproxy; "models" for a volume mounted at /models, and its claim, by default
 * "sutra-models"; x-allocated except the second. */
char *sutra_kube_config_name(const struct workload_mount *mount);
const char *sutra_kube_volume_name(const struct sutra_volume *v);
char *sutra_kube_claim_name(const struct workloads *all, const struct sutra_volume *v);
/* Whether the volume is a folder of the machine, which in a cluster is a claim or in the image. */
bool sutra_kube_is_folder(const struct sutra_volume *v);
bool sutra_kube_is_claim(const struct workloads *all, const struct sutra_volume *v);

/* The template of a workload's pods, its volumes of its own left out. */
json_t *sutra_kube_pod(const struct workloads *all, const struct workload *w);
/* Seconds that such a pod may take to end. */
json_int_t sutra_kube_grace(const struct workload *w);
/* Appends the Services of a workload. They are the same in every edition, since a workload that the new edition
 * lacks is called until it has ended. Only a deployed entrance gets its Service: several have one name. */
void sutra_kube_add_services(json_t *documents, const struct workloads *every, const struct workload *w, bool deployed);
/* For the Prometheus operator; NULL: it has no metrics. */
json_t *sutra_kube_service_monitor(const struct workloads *all, const struct workload *w);
json_t *sutra_kube_autoscaler(const struct workloads *all, const struct workload *w);
json_t *sutra_kube_disruption_budget(const struct workloads *all, const struct workload *w);
/* No client may call a pod of the stack ... */
json_t *sutra_kube_default_deny(const struct workloads *all);
/* ... except workloads with an edge to it; every client if it is an entrance (published, and called by no other
 * service), at its entrance port and those published beyond loopback; and, at its metrics and an entrance's
 * other ports, clients with the scrape label. Pods of another edition may still call a workload that is not
 * deployed now. NULL: no client calls it. */
json_t *sutra_kube_network_policy(const struct workloads *every, const struct workload *w, bool deployed);

#endif
