/* health - how every deployed service is, asked at once; and what is the root cause of trouble. */
#ifndef SUTRA_PROBE_HEALTH_H
#define SUTRA_PROBE_HEALTH_H

#include <jansson.h>

#include "deploy/haproxy_csv.h"
#include "probe/cause.h"
#include "deploy/deployment.h"

/* Probes d->n services into p, the balancer also by its own figures, and sets causes. The names
 * and URLs in p are d's. */
int sutra_health_probe(const struct sutra_deployment *d, uint64_t timeout_ns, struct sutra_probe *p,
		 struct sutra_err *err);
/* Its first and last step, for who asks by himself: d->n targets; what a balancer's figures say of it. */
void sutra_health_targets(const struct sutra_deployment *d, uint64_t timeout_ns, struct sutra_probe *p);
void sutra_health_behind_balancer(const struct sutra_haproxy_stats *s, struct sutra_probe *p);
/* For JSON: [{"services":[{"name","state","reason","detail"}],"affected":[{"name","state"}]}]. */
json_t *sutra_health_causes(const struct sutra_probe *p, size_t n);

#endif
