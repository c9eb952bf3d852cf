#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "base/shown.h"
#include "probe/cachestats.h"
#include "sutra/command.h"
#include "probe/gateway.h"
#include "sutra/stackio.h"
#include "term/table.h"
#include "term/watch.h"

static const char *url_flag;
static uint64_t watch_ns;

static const struct sutra_option rows[] = {
	{ 0, "url", SUTRA_OPT_STRING, &url_flag, "URL", "another gateway than the deployed one", 0, 0, NULL },
	{ 0, "watch", SUTRA_OPT_PERIOD, &watch_ns, "[TIME]", "again and again, in place (2s)", 2000000000, 0, NULL },
	{ 0 },
};

static void cell_rate(struct sutra_table *t, double rate, bool known)
{
	if (known && rate >= 0)
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.1f %%", 100 * rate);
	else
		sutra_table_cell(t, SUTRA_ROLE_DIM, "-");
}

static void cell_us(struct sutra_table *t, double us)
{
	char text[32] = "-";

	if (us >= 0)
		sutra_clock_human(us / 1e6, text, sizeof(text));
	sutra_table_cell(t, us >= 0 ? SUTRA_ROLE_PLAIN : SUTRA_ROLE_DIM, text);
}

static void cell_count(struct sutra_table *t, int64_t n, bool known)
{
	if (known)
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%lld", (long long)n);
	else
		sutra_table_cell(t, SUTRA_ROLE_DIM, "-");
}

/* answers: whether the server that holds the entries answers. */
static void row(struct sutra_table *t, const char *name, const struct sutra_cache_level *l, bool answers)
{
	sutra_table_cell(t, SUTRA_ROLE_HEAD, name);
	cell_count(t, l->size, answers);
	cell_count(t, l->max_size, answers);
	sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%lld", (long long)l->hits);
	sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%lld", (long long)l->misses);
	cell_rate(t, l->hit_rate, l->hits + l->misses > 0);
	cell_count(t, l->evictions, answers);
	cell_us(t, l->hits || l->misses ? l->p50_us : -1);
	cell_us(t, l->hits || l->misses ? l->p99_us : -1);
}

static void print_text(const struct sutra_cache_stats *s, const struct sutra_term *term, unsigned width)
{
	static const struct sutra_column columns[] = {
		{ "LEVEL", false, 0 },	   { "ENTRIES", true, 0 }, { "OF", true, 0 },  { "HITS", true, 0 },
		{ "MISSES", true, 0 },	   { "RATE", true, 0 },	   { "EVICTED", true, 0 },
		{ "P50", true, 0 },	   { "P99", true, 0 },	   { NULL, false, 0 },
	};
	struct sutra_table *t = sutra_table_new(columns);
	char ttl[32];

	row(t, "L1", &s->l1, true);
	if (s->l2_enabled)
		row(t, "L2", &s->l2, s->l2_up);
	sutra_table_print(t, term, width);
	sutra_table_free(t);
	sutra_clock_human((double)s->ttl_seconds, ttl, sizeof(ttl));
	fprintf(term->out, "\n%lld texts asked for, %lld from the cache", (long long)s->requests, (long long)s->hits);
	if (s->requests)
		fprintf(term->out, " (%.1f %%)", 100 * s->hit_rate);
	fprintf(term->out, ", %lld computed, %lld shared under way\n", (long long)s->misses,
	       (long long)s->coalesced);
	if (s->l2_enabled && !s->l2_up)
		sutra_shown_printf(term->out, "L2: %s at %s does not answer: its entries are not known; sutra status says why\n",
			s->backend, s->shard);
	else if (s->l2_enabled)
		sutra_shown_printf(term->out, "L2: %s at %s; %lld errors, %lld expired; TTL %s\n", s->backend, s->shard,
		       (long long)s->l2.errors, (long long)s->l2.expired, ttl);
	else
		sutra_shown_printf(term->out, "no L2: SUTRA_CACHE_ENABLED=true sutra deploy starts the cache shard\n");
}

static int print_json(struct sutra_err *err)
{
	json_t *doc = NULL;
	int rc = sutra_gateway_cache_document(url_flag, &doc, err);

	if (!rc)
		print_document(doc);
	return rc;
}

static int print_tables(const struct sutra_strv *bases, const struct sutra_term *term, unsigned width,
			struct sutra_err *err)
{
	struct sutra_cache_stats s;
	int rc = 0;

	for (size_t i = 0; i < bases->n && !rc; i++) {
		rc = sutra_cache_stats_fetch(bases->items[i], 0, &s, err);
		if (!rc && bases->n > 1)
			fprintf(term->out, "%s%s\n", i ? "\n" : "", bases->items[i]);
		if (!rc && !s.enabled)
			fputs("the cache is off: SUTRA_CACHE_ENABLED=true sutra deploy turns it on\n", term->out);
		else if (!rc)
			print_text(&s, term, width);
	}
	return rc;
}

/* A frame of --watch; gateways can change between frames. */
static void frame(const struct sutra_term *term, unsigned width, void *unused)
{
	struct sutra_strv bases = { 0 };
	struct sutra_err err;
	int rc = sutra_gateway_urls(url_flag, &bases, &err);

	(void)unused;
	if (rc || (rc = print_tables(&bases, term, width, &err)))
		sutra_shown_printf(term->out, "%s\n", err.message);
	sutra_strv_release(&bases);
}

static int run(int n, char **argv)
{
	struct sutra_strv bases = { 0 };
	struct sutra_term term;
	struct sutra_err err;
	int rc, sig;

	if (watch_ns && (rc = command_formats("table")))
		return rc;
	sutra_term_init(&term, stdout, common.color);
	if (watch_ns) {
		sig = sutra_watch(&term, watch_ns, frame, NULL);
		return sig ? 128 + sig : EXIT_YES;
	}
	if (common.json)
		rc = print_json(&err);
	else if (!(rc = sutra_gateway_urls(url_flag, &bases, &err)))
		rc = print_tables(&bases, &term, 0, &err);
	sutra_strv_release(&bases);
	return rc ? command_fail(&err) : EXIT_YES;
}

const struct command cmd_cache_stats = {
	.name = "cache-stats",
	.summary = "show hits, misses and look-up times of both cache levels",
	.synopsis = "[-o FORMAT] [--url URL] [--watch [TIME]]",
	.examples = "sutra cache-stats\tof the deployed gateway\n"
		    "sutra cache-stats --watch\tagain every 2 s, in place\n"
		    "sutra cache-stats --json\tthe gateway's document, with its history\n",
	.options = rows,
	.formats = "table|json",
	.run = run,
};
