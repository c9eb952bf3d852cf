#include "base/histogram.h"

#include <math.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/alloc.h"

enum {
	SUB_BITS = 11,			/* first group: 2048 values one apart */
	SUB = 1 << SUB_BITS,
	HALF = SUB / 2,
	TOP_BIT = 43,
	BUCKETS = SUB + (TOP_BIT - SUB_BITS) * HALF,
};

struct sutra_histogram {
	atomic_uint_fast64_t count, sum, max;
	atomic_uint_fast64_t bucket[BUCKETS];
};

struct sutra_histogram *sutra_histogram_new(void)
{
	return sutra_calloc(1, sizeof(struct sutra_histogram));
}

void sutra_histogram_free(struct sutra_histogram *h) { sutra_free(h); }

static unsigned bucket_of(uint64_t ns)
{
	unsigned shift;

	if (ns < SUB)
		return (unsigned)ns;
	shift = 63u - (unsigned)__builtin_clzll(ns) - (SUB_BITS - 1);
	return SUB + (shift - 1) * HALF + (unsigned)((ns >> shift) - HALF);
}

/* The largest value that falls into bucket b. */
static uint64_t upper_edge(unsigned b)
{
	unsigned shift;

	if (b < SUB)
		return b;
	shift = (b - SUB) / HALF + 1;
	return (((uint64_t)((b - SUB) % HALF) + HALF + 1) << shift) - 1;
}

void sutra_histogram_record(struct sutra_histogram *h, uint64_t ns)
{
	uint64_t max = atomic_load_explicit(&h->max, memory_order_relaxed);

	if (!ns)
		ns = 1;
	if (ns >> TOP_BIT)
		ns = (1ull << TOP_BIT) - 1;
	atomic_fetch_add_explicit(&h->bucket[bucket_of(ns)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum, ns, memory_order_relaxed);
	while (ns > max && !atomic_compare_exchange_weak(&h->max, &max, ns))
		;
}

void sutra_histogram_clear(struct sutra_histogram *h)
{
	for (size_t i = 0; i < BUCKETS; i++)
		atomic_store_explicit(&h->bucket[i], 0, memory_order_relaxed);
	atomic_store(&h->count, 0);
	atomic_store(&h->sum, 0);
	atomic_store(&h->max, 0);
}

uint64_t sutra_histogram_count(const struct sutra_histogram *h)
{
	return atomic_load_explicit(&h->count, memory_order_relaxed);
}

uint64_t sutra_histogram_max(const struct sutra_histogram *h)
{
	return atomic_load_explicit(&h->max, memory_order_relaxed);
}

double sutra_histogram_mean(const struct sutra_histogram *h)
{
	uint64_t n = sutra_histogram_count(h);

	return n ? (double)atomic_load(&h->sum) / (double)n : 0;
}

uint64_t sutra_histogram_quantile(const struct sutra_histogram *h, double q)
{
	uint64_t n = sutra_histogram_count(h), max = sutra_histogram_max(h), seen = 0, rank;

	if (!n)
		return 0;
	rank = (uint64_t)ceil(q * (double)n);
	rank = rank < 1 ? 1 : rank;
	for (unsigned b = 0; b < BUCKETS; b++) {
		seen += atomic_load_explicit(&h->bucket[b], memory_order_relaxed);
		if (seen >= rank)
			return upper_edge(b) < max ? upper_edge(b) : max;
	}
	return max;
}
