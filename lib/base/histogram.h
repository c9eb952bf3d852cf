/*
 * histogram - latencies with three significant digits over nine decades.
 *
 * Buckets as in HdrHistogram (logarithmic groups of 1024 linear steps each; G.
 * Tene, hdrhistogram.org): a value is kept within 0.1 %. Values are nanoseconds,
 * clamped to [1, 2^43) (2.4 h). Recording uses relaxed atomics, so threads
 * may share one; reading while others record is fine and may miss the newest.
 */
#ifndef SUTRA_BASE_HISTOGRAM_H
#define SUTRA_BASE_HISTOGRAM_H

#include <stdint.h>

struct sutra_histogram;

struct sutra_histogram *sutra_histogram_new(void);	/* NULL: out of memory */
void sutra_histogram_free(struct sutra_histogram *h);
void sutra_histogram_record(struct sutra_histogram *h, uint64_t ns);
void sutra_histogram_clear(struct sutra_histogram *h);
uint64_t sutra_histogram_count(const struct sutra_histogram *h);
/* The value at quantile q in [0, 1] in ns (upper edge of its bucket); 0 when empty. */
uint64_t sutra_histogram_quantile(const struct sutra_histogram *h, double q);
uint64_t sutra_histogram_max(const struct sutra_histogram *h);
double sutra_histogram_mean(const struct sutra_histogram *h);

#endif
