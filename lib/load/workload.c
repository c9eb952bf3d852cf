/*
 * How a number is drawn. splitmix64 (Steele, Lea, Flood, 2014) gives 64 bits; a rank k in
 * 0..N-1 has the weight floor(2^32 * (k + 1)^-alpha), and the draw is the first rank whose
 * running sum is above (bits modulo total). Everything after the weights is whole numbers, so two
 * machines differ only if their pow() differs by one part in 2^32 at a boundary; the digest shows it.
 *
 * The LRU lists of sutra_workload_expect are arrays indexed by text number (previous, next),
 * with N as the list's head: no hashing, no memory per access.
 */
#include "load/workload.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/clock.h"

static const uint64_t TICK_NS = 100000000;

static const char *const words[256] = {
	"able", "acid", "age", "air", "amber", "angle", "apple", "arch", "area", "army", "arrow", "art",
	"ash", "atlas", "autumn", "axis", "badge", "bag", "baker", "ball", "bank", "barn", "base", "bay",
	"beach", "beam", "bell", "bench", "bird", "block", "blue", "board", "boat", "body", "bone", "book",
	"border", "bottle", "bow", "box", "branch", "bread", "brick", "bridge", "brush", "cable", "camp",
	"canal", "candle", "canyon", "cape", "card", "cargo", "castle", "cave", "cell", "chain", "chair",
	"chalk", "chart", "city", "clay", "clock", "cloud", "coal", "coast", "code", "coin", "cold", "copper",
	"corn", "cotton", "court", "crane", "creek", "crown", "curve", "dam", "dawn", "deck", "deer", "delta",
	"desert", "desk", "door", "dove", "dream", "drum", "dust", "eagle", "earth", "east", "echo", "edge",
	"engine", "fabric", "falcon", "farm", "fern", "ferry", "field", "fire", "fish", "flag", "flame",
	"floor", "flour", "flower", "forest", "forge", "fort", "fox", "frame", "frost", "fruit", "garden",
	"gate", "glass", "globe", "glove", "gold", "grain", "grape", "grass", "gravel", "green", "grid",
	"grove", "guard", "guitar", "gulf", "hall", "hammer", "harbor", "hawk", "heart", "hill", "honey",
	"horn", "horse", "house", "ice", "ink", "iron", "island", "ivory", "jacket", "jade", "judge", "jungle",
	"key", "king", "kite", "knife", "ladder", "lake", "lamp", "lane", "leaf", "leather", "lemon",
	"letter", "light", "lily", "linen", "lion", "lock", "map", "maple", "marble", "market", "meadow",
	"metal", "milk", "mill", "mint", "mirror", "mist", "moon", "moss", "motor", "mountain", "museum",
	"needle", "nest", "night", "north", "oak", "ocean", "office", "olive", "orange", "orbit", "oven",
	"paint", "palace", "paper", "park", "path", "pearl", "pen", "pepper", "piano", "pine", "pipe",
	"planet", "plate", "pocket", "pond", "port", "powder", "quarry", "queen", "rail", "rain", "ranch",
	"ribbon", "rice", "ridge", "ring", "river", "road", "rock", "roof", "room", "root", "rope", "rose",
	"sail", "salt", "sand", "school", "seed", "shell", "ship", "shore", "silk", "silver", "sky", "snow",
	"soil", "song", "south", "spring", "square", "star", "steam", "steel", "stone", "storm", "stream",
	"street", "sugar", "summer", "table", "tower",
};

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15u;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

static void add_words(uint64_t state, unsigned n, struct sutra_buf *b)
{
	for (unsigned i = 0; i < n; i++) {
		if (i)
			sutra_buf_addc(b, ' ');
		sutra_buf_adds(b, words[splitmix64(&state) >> 56]);
	}
}

void sutra_workload_text(const struct sutra_workload *w, uint32_t i, struct sutra_buf *b)
{
	/* Smallest and largest count of words of each class of ten. */
	static const unsigned char range[10][2] = { { 5, 9 },	{ 5, 9 },   { 5, 9 },	{ 5, 9 },
						    { 5, 9 },	{ 5, 9 },   { 16, 28 }, { 16, 28 },
						    { 16, 28 }, { 60, 90 } };
	uint64_t state = w->spec.seed ^ (uint64_t)(i + 1) << 32;
	const unsigned char *r = range[splitmix64(&state) % 10];
	unsigned n = r[0] + (unsigned)(splitmix64(&state) % (r[1] - r[0] + 1u));

	add_words(state, n, b);
}

void sutra_fresh_text(uint64_t nonce, uint32_t i, unsigned n, struct sutra_buf *b)
{
	uint64_t state = nonce + 0x9E3779B97F4A7C15u * (uint64_t)(i + 1);

	add_words(splitmix64(&state), n < 8 ? 8 : n, b);
}

static void draw(uint64_t *state, const uint64_t *sums, uint32_t n, uint32_t *to, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t want = splitmix64(state) % sums[n - 1];
		uint32_t low = 0, high = n - 1;

		while (low < high) {
			uint32_t middle = low + (high - low) / 2;

			if (sums[middle] > want)
				high = middle;
			else
				low = middle + 1;
		}
		to[i] = low;
	}
}

int sutra_workload_new(const struct sutra_workload_spec *spec, struct sutra_workload **ret,
		       struct sutra_err *err)
{
	struct sutra_workload *w = sutra_calloc(1, sizeof(*w));
	uint64_t *sums = sutra_calloc(spec->distinct, sizeof(*sums)), state = spec->seed, total = 0;

	if (w) {
		w->spec = *spec;
		w->fill = sutra_calloc(spec->fill + 1, sizeof(*w->fill));
		w->trace = sutra_calloc(spec->trace + 1, sizeof(*w->trace));
	}
	if (!w || !sums || !w->fill || !w->trace) {
		sutra_workload_free(w);
		sutra_free(sums);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for a workload of %zu requests",
				  spec->fill + spec->trace);
	}
	for (uint32_t k = 0; k < spec->distinct; k++)
		sums[k] = total += (uint64_t)(pow(k + 1.0, -spec->alpha) * 4294967296.0);
	draw(&state, sums, spec->distinct, w->fill, spec->fill);
	draw(&state, sums, spec->distinct, w->trace, spec->trace);
	sutra_free(sums);
	w->digest = XXH64(w->fill, spec->fill * sizeof(*w->fill), 0);
	w->digest = XXH64(w->trace, spec->trace * sizeof(*w->trace), w->digest);
	*ret = w;
	return 0;
}

void sutra_workload_free(struct sutra_workload *w)
{
	if (!w)
		return;
	sutra_free(w->fill);
	sutra_free(w->trace);
	sutra_free(w);
}

/* A list of at most `size` of n texts, the newest behind the head. */
struct lru {
	uint32_t *prev, *next, head;
	bool *in;
	size_t used, size;
};

static int lru_init(struct lru *l, uint32_t n, size_t size)
{
	*l = (struct lru){ .head = n, .size = size };
	l->prev = sutra_calloc(n + 1u, sizeof(*l->prev));
	l->next = sutra_calloc(n + 1u, sizeof(*l->next));
	l->in = sutra_calloc(n + 1u, sizeof(*l->in));
	if (!l->prev || !l->next || !l->in)
		return SUTRA_E_NOMEM;
	l->prev[n] = l->next[n] = n;
	return 0;
}

static void lru_release(struct lru *l)
{
	sutra_free(l->prev);
	sutra_free(l->next);
	sutra_free(l->in);
}

static void lru_unlink(struct lru *l, uint32_t i)
{
	l->next[l->prev[i]] = l->next[i];
	l->prev[l->next[i]] = l->prev[i];
	l->in[i] = false;
	l->used--;
}

static void lru_empty(struct lru *l)
{
	while (l->used)
		lru_unlink(l, l->next[l->head]);
}

/* Uses text i: returns whether it was there; puts it first, dropping the oldest if need be. */
static bool lru_use(struct lru *l, uint32_t i)
{
	bool hit = l->in[i];

	if (!l->size)
		return false;
	if (hit)
		lru_unlink(l, i);
	else if (l->used == l->size)
		lru_unlink(l, l->prev[l->head]);
	l->next[i] = l->next[l->head];
	l->prev[i] = l->head;
	l->prev[l->next[i]] = i;
	l->next[l->head] = i;
	l->in[i] = true;
	l->used++;
	return hit;
}

int sutra_workload_expect(const struct sutra_workload *w, size_t l1_size, size_t l2_size,
			  struct sutra_expected *ret, struct sutra_err *err)
{
	struct sutra_expected e = { 0 };
	struct lru l1 = { 0 }, l2 = { 0 };
	int rc = lru_init(&l1, w->spec.distinct, l1_size);

	rc = rc ? rc : lru_init(&l2, w->spec.distinct, l2_size);
	for (size_t i = 0; !rc && i < w->spec.fill; i++) {
		if (lru_use(&l1, w->fill[i]))
			e.fill_l1++;
		else if (!lru_use(&l2, w->fill[i]))
			e.fill_computed++;
	}
	lru_empty(&l1);
	for (size_t i = 0; !rc && i < w->spec.trace; i++) {
		if (lru_use(&l1, w->trace[i]))
			e.l1++;
		else if (lru_use(&l2, w->trace[i]))
			e.l2++;
		else
			e.computed++;
	}
	lru_release(&l1);
	lru_release(&l2);
	if (rc)
		return sutra_fail(err, rc, "out of memory for the cache simulation");
	*ret = e;
	return 0;
}

struct part {
	const struct sutra_workload *w;
	const uint32_t *ids;
	size_t n, at;
};

static bool next_text(void *user, struct sutra_buf *text, uint32_t *ret_id)
{
	struct part *c = user;

	if (c->at == c->n)
		return false;
	*ret_id = c->ids[c->at++];
	sutra_workload_text(c->w, *ret_id, text);
	return true;
}

int sutra_replay_run(const struct sutra_replay *p, struct sutra_load_result *ret, struct sutra_err *err)
{
	const struct sutra_workload *w = p->workload;
	struct part c = { w, p->today ? w->trace : w->fill, p->today ? w->spec.trace : w->spec.fill, 0 };
	struct sutra_load_options o = { .base = p->base,
					.connections = p->parallel,
					.deadline_ns = p->deadline_ns,
					.dimension = p->dimension,
					.levels = true,
					.next = next_text,
					.user = &c };
	const char *part = p->today ? "today" : "yesterday";
	struct sutra_load_result result;
	struct sutra_load *l;
	int rc = sutra_load_start(&o, &l, err);

	if (rc)
		return rc;
	while (!sutra_load_done(l, TICK_NS)) {
		char detail[64];

		snprintf(detail, sizeof(detail), "%s: %llu of %zu", part,
			 (unsigned long long)sutra_load_answered(l), c.n);
		if (p->progress)
			p->progress(p->user, p->what, detail);
	}
	sutra_load_finish(l, &result);
	if (result.failed || result.sent < c.n) {
		rc = sutra_fail(err, sutra_clock_ns() >= p->deadline_ns ? SUTRA_E_TIMEOUT : SUTRA_E_UNAVAILABLE,
				"%s's part of the workload: %llu of %zu requests failed, the first with %s", part,
				(unsigned long long)(result.failed + c.n - result.sent), c.n,
				result.failed ? result.first_failure : "the time limit");
		sutra_load_result_release(&result);
		return rc;
	}
	*ret = result;
	return 0;
}
