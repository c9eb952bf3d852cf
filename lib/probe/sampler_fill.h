/* sampler_fill - writes the answers of services, balancers and gateways into a snapshot. */
#ifndef SUTRA_PROBE_SAMPLER_FILL_H
#define SUTRA_PROBE_SAMPLER_FILL_H

#include <stdio.h>

#include "net/fetch.h"
#include "probe/probe.h"
#include "probe/snapshot.h"
#include "deploy/deployment.h"

/* Text into an array, cut where it is too long; NULL is "". */
#define SAMPLE_COPY(to, from) snprintf(to, sizeof(to), "%s", (from) ? (from) : "")

/* p: the service's probe, judged; all: the array it is in; sizes_us: when memory was read. */
void sutra_sample_service(struct sutra_snap_service *to, const struct sutra_deployed *s, const struct sutra_probe *all,
			  const struct sutra_probe *p, int64_t now_us, int64_t sizes_us);
/* f: the balancer's statistics, from which probe is judged too, unless NULL. When the figures
 * cannot be read, `to` keeps those it has, and its trouble is the reason; the same for the two
 * below. */
void sutra_sample_balancer(struct sutra_snap_balancer *to, const struct sutra_fetch *f, struct sutra_probe *probe,
			   int64_t now_us);
/* f: the gateway's /metrics. */
void sutra_sample_counters(struct sutra_snap_cache *to, const struct sutra_fetch *f, int64_t now_us);
/* f: the gateway's /cache/stats; trouble stays as it is. */
void sutra_sample_detail(struct sutra_snap_cache *to, const struct sutra_fetch *f, int64_t now_us);
/* The root cause that affects most of n judged probes. */
void sutra_sample_cause(struct sutra_snapshot *to, const struct sutra_probe *p, size_t n);

#endif
