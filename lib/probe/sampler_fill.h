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
/* f: the balancer's statistics, by which probe (may be NULL) is judged, too. Figures that cannot be read
 * keep their values of `before`, with the reason; the same for the two below. */
void sutra_sample_balancer(struct sutra_snap_balancer *to, const struct sutra_balancer *b, const struct sutra_fetch *f,
		     struct sutra_probe *probe, const struct sutra_snapshot *before, int64_t now_us);
/* f: the gateway's /metrics. */
void sutra_sample_counters(struct sutra_snap_cache *to, const struct sutra_fetch *f, const struct sutra_snapshot *before,
		     int64_t now_us);
/* f: its /cache/stats; NULL: not asked this time. */
void sutra_sample_detail(struct sutra_snap_cache *to, const struct sutra_fetch *f, const struct sutra_snapshot *before,
		   int64_t now_us);
/* The root cause that most services of n judged probes suffer from. */
void sutra_sample_cause(struct sutra_snapshot *to, const struct sutra_probe *p, size_t n);

#endif
