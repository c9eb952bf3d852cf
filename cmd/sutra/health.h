/* health - how every deployed service is, asked at once; and what is the root cause of trouble. */
#ifndef SUTRA_CMD_HEALTH_H
#define SUTRA_CMD_HEALTH_H

#include <jansson.h>
#include <stdio.h>

#include "deploy/haproxy_csv.h"
#include "probe/cause.h"
#include "deploy/deployment.h"
#include "term/term.h"

/* Probes d->n services into p, the balancer also by its own figures, and sets causes. The names
 * and URLs in p are d's. */
int health_probe(const struct sutra_deployment *d, uint64_t timeout_ns, struct sutra_probe *p,
		 struct sutra_err *err);
/* Its first and last step, for who asks by himself: d->n targets; what a balancer's figures say of it. */
void health_targets(const struct sutra_deployment *d, uint64_t timeout_ns, struct sutra_probe *p);
void health_behind_balancer(const struct sutra_haproxy_stats *s, struct sutra_probe *p);
/* "root cause: ...", a line for each failure that others follow from, and an empty line. */
void health_print_causes(FILE *out, const struct sutra_term *term, const struct sutra_probe *p, size_t n);
/* After a failed deploy: looks at what is recorded, and prints the causes to stderr. */
void health_explain(const char *state_dir);
/* For JSON: [{"services":[{"name","state","reason","detail"}],"affected":[{"name","state"}]}]. */
json_t *health_causes_document(const struct sutra_probe *p, size_t n);

#endif
