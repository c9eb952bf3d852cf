/* health - probes every service of a deployment at the same time, and finds the root causes. */
#ifndef SUTRA_PROBE_HEALTH_H
#define SUTRA_PROBE_HEALTH_H

#include <jansson.h>

#include "deploy/deployment.h"
#include "deploy/haproxy_csv.h"
#include "probe/cause.h"

/* Probes d->n services into p, judges balancers by their statistics too, and finds causes. p
 * borrows names and URLs of d. */
int sutra_health_probe(const struct sutra_deployment *d, uint64_t timeout_ns, struct sutra_probe *p,
		       struct sutra_err *err);
/* The first and the last step of sutra_health_probe, for a caller that sends the requests itself:
 * fills in what is asked of d->n services; judges a balancer by its statistics. */
void sutra_health_targets(const struct sutra_deployment *d, uint64_t timeout_ns, struct sutra_probe *p);
void sutra_health_behind_balancer(const struct sutra_haproxy_stats *s, struct sutra_probe *p);
/* The root causes:
 * [{"services":[{"name","state","reason","detail"}],"affected":[{"name","state"}]}]; the caller's
 * reference. */
json_t *sutra_health_causes(const struct sutra_probe *p, size_t n);

#endif
