#include "cache/history.h"

#include <pthread.h>
#include <stddef.h>

#include "base/alloc.h"

enum { POINTS = 1440 };

struct point {
	int64_t t;
	uint64_t l1, l2, miss;
};

struct sutra_history {
	pthread_mutex_t lock;
	struct point points[POINTS], last;	/* last: totals */
	size_t n, at;
};

struct sutra_history *sutra_history_new(void)
{
	struct sutra_history *h = sutra_calloc(1, sizeof(*h));

	if (h)
		pthread_mutex_init(&h->lock, NULL);
	return h;
}

void sutra_history_free(struct sutra_history *h)
{
	if (h)
		pthread_mutex_destroy(&h->lock);
	sutra_free(h);
}

void sutra_history_add(struct sutra_history *h, int64_t unix_s, uint64_t l1, uint64_t l2, uint64_t miss)
{
	pthread_mutex_lock(&h->lock);
	h->points[h->at] =
		(struct point){ unix_s, l1 - h->last.l1, l2 - h->last.l2, miss - h->last.miss };
	h->last = (struct point){ unix_s, l1, l2, miss };
	h->at = (h->at + 1) % POINTS;
	h->n += h->n < POINTS;
	pthread_mutex_unlock(&h->lock);
}

void sutra_history_json(struct sutra_history *h, struct sutra_buf *out)
{
	pthread_mutex_lock(&h->lock);
	sutra_buf_addc(out, '[');
	for (size_t i = 0; i < h->n; i++) {
		const struct point *p = &h->points[(h->at + POINTS - h->n + i) % POINTS];

		sutra_buf_addf(out, "%s{\"t\":%lld,\"l1\":%llu,\"l2\":%llu,\"miss\":%llu}", i ? "," : "",
			       (long long)p->t, (unsigned long long)p->l1, (unsigned long long)p->l2,
			       (unsigned long long)p->miss);
	}
	sutra_buf_addc(out, ']');
	pthread_mutex_unlock(&h->lock);
}
