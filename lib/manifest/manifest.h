/*
 * manifest - the compose model as objects of an orchestrator: a swarm stack, or Kubernetes.
 *
 * Replicas that the file spells out (ml-base-1, ml-base-2 ...) become one workload with a
 * number; settings of single replicas (hosts, INSTANCE_ID) become references to what the orchestrator knows
 * of them. Equal input gives equal bytes. No value of a secret setting can reach the text: the file is read
 * with sutra_manifest_lookup, which gives a mark in its place, and the mark becomes a reference.
 */
#ifndef SUTRA_MANIFEST_MANIFEST_H
#define SUTRA_MANIFEST_MANIFEST_H

#include "base/buf.h"
#include "base/err.h"
#include "compose/compose.h"
#include "compose/config.h"

struct sutra_manifest {
	const struct sutra_compose *all, *selected;
	const char *folder;	/* of the compose file: relative mounts are there */
	const char *registry;	/* put before the images' names; NULL: nothing */
	/* Of Kubernetes: */
	const char *instance;		/* the label that distinguishes stacks; NULL in a swarm */
	const char *cluster_domain;	/* NULL: cluster.local */
	const char *model_claim;	/* holds the models; NULL: sutra-models */
	const char *model_image;	/* ml-base's, with the model; NULL: a claim has it */
	const char *metrics;		/* "annotations", "service-monitor", or NULL: neither */
};

/* Whether Kubernetes accepts it as the value of a label. */
bool sutra_is_label(const char *s);
/* sutra_config_get, but for secrets the mark; ctx is the config. */
const char *sutra_manifest_lookup(void *config, const char *key);
/* A file for `docker stack deploy -c`. SUTRA_E_SETTING names file and line of what a swarm
 * cannot have. */
int sutra_manifest_swarm(const struct sutra_manifest *m, struct sutra_buf *out, struct sutra_err *err);
/* Documents for `kubectl apply -f`; errors likewise. */
int sutra_manifest_kubernetes(const struct sutra_manifest *m, struct sutra_buf *out, struct sutra_err *err);

#endif
