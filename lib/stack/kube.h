/* kube - what the files that make Kubernetes objects share. Internal to lib/stack. */
#ifndef SUTRA_STACK_KUBE_H
#define SUTRA_STACK_KUBE_H

#include <jansson.h>

#include "stack/manifest_model.h"

#define KUBE_SECRET "sutra-secrets"	/* holds every secret setting, by its name */

static inline bool kube_scales(const struct workload *w) { return w->s->scale.max > w->s->scale.min; }
/* Has volumes of its own: a StatefulSet, and one pod. */
bool kube_is_stateful(const struct workload *w);
/* Whether its name resolves to the addresses of its pods. */
static inline bool kube_is_headless(const struct workload *w) { return w->balanced || kube_is_stateful(w); }

/* Metadata with all labels of the workload (NULL: of the stack); the labels that select its
 * pods; the string, freed; nanoseconds as whole seconds, at least 1. */
json_t *kube_meta(const struct workload *w, const char *name);
json_t *kube_selector(const struct workload *w);
json_t *kube_own(char *s);
json_int_t kube_seconds(uint64_t ns);
/* "tcp-8887": at most 15 characters, and for a mesh a protocol that is never wrong. */
json_t *kube_port_name(int port);
/* "sutra-haproxy" of ./haproxy; "sutra-models" of what is mounted at /models; x-allocated. */
char *kube_config_name(const struct workload_mount *mount);
char *kube_claim_name(const struct sutra_volume *v);
/* Whether the volume is a folder of the machine, which in a cluster is a claim. */
bool kube_is_claim(const struct sutra_volume *v);

/* The template of a workload's pods, its volumes of its own left out. */
json_t *kube_pod(const struct workloads *all, const struct workload *w);
json_t *kube_service(const struct workload *w);
json_t *kube_autoscaler(const struct workload *w);
json_t *kube_disruption_budget(const struct workload *w);
/* Nothing may call a pod of the stack ... */
json_t *kube_default_deny(void);
/* ... but who has an edge to it, and anybody where it is an entrance: published, and called by
 * no other service. NULL: nobody calls it. */
json_t *kube_network_policy(const struct workloads *all, const struct workload *w);

#endif
