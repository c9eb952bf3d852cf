#include "probe/sampler_fill.h"

#include <string.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "probe/cachestats.h"
#include "probe/promtext.h"
#include "deploy/haproxy_csv.h"
#include "probe/cause.h"
#include "probe/health.h"

enum { KEPT_MINUTES = 60, DAY = 1440 };

/* Writes the reason why a fetch has no figures; "": it has. */
static void trouble_of(const struct sutra_fetch *f, char *out, size_t size)
{
	if (f->reason != SUTRA_FETCH_OK)
		snprintf(out, size, "%s", sutra_fetch_reason_name(f->reason));
	else if (f->status != 200)
		snprintf(out, size, "answered %d", f->status);
	else
		*out = '\0';
}

void sutra_sample_service(struct sutra_snap_service *to, const struct sutra_deployed *s, const struct sutra_probe *all,
		    const struct sutra_probe *p, int64_t now_us, int64_t sizes_us)
{
	SAMPLE_COPY(to->name, s->unit->name);
	SAMPLE_COPY(to->group, s->unit->group);
	SAMPLE_COPY(to->program, s->unit->program);
	SAMPLE_COPY(to->address, s->address);
	SAMPLE_COPY(to->published, s->unit->published);
	SAMPLE_COPY(to->version, p->version);
	SAMPLE_COPY(to->state, sutra_probe_state_name(p->state));
	SAMPLE_COPY(to->reason, p->state == SUTRA_UP ? "" : sutra_probe_reason_name(p->reason));
	SAMPLE_COPY(to->detail, p->detail);
	SAMPLE_COPY(to->affected_by, p->cause >= 0 ? all[p->cause].name : "");
	to->at_us = now_us;
	to->latency_ms = p->total_ns ? (double)p->total_ns / 1e6 : -1;
	to->uptime_s = p->uptime_seconds >= 0 ? p->uptime_seconds :
		       s->now.since_us ? (double)(now_us - s->now.since_us) / 1e6 : -1;
	to->cpu_us = s->now.pid ? (int64_t)s->cpu_us : -1;
	to->memory_at_us = sizes_us;
	to->memory_bytes = s->pss_bytes ? (int64_t)s->pss_bytes : -1;
	to->rss_bytes = s->rss_bytes ? (int64_t)s->rss_bytes : -1;
	to->memory_limit = (int64_t)s->unit->memory_limit;
	to->pid = s->now.pid ? (int64_t)s->now.pid : -1;
	to->restarts = s->now.restarts;
	to->last_exit = s->now.last_exit;
}

static void fill_replica(struct sutra_snap_replica *to, const struct sutra_haproxy_row *row)
{
	SAMPLE_COPY(to->name, row->name);
	SAMPLE_COPY(to->status, row->status);
	/* "* L7OK": HAProxy marks a check in progress with the star */
	SAMPLE_COPY(to->check_code, row->check_code + (row->check_code[0] == '*' ? strspn(row->check_code, "* ") : 0));
	SAMPLE_COPY(to->check_text, row->check_text[0] ? row->check_text : row->check_says);
	to->sessions = row->sessions;
	to->sessions_max = row->sessions_max;
	to->queue = row->queue;
	to->queue_max = row->queue_max;
	to->total = row->total;
	to->errors = (row->errors_connect > 0 ? row->errors_connect : 0) +
		     (row->errors_response > 0 ? row->errors_response : 0);
	to->last_change_s = row->last_change_s;
	to->check_ms = row->check_ms;
	to->mean_ms = row->mean_ms;
	to->up = sutra_haproxy_is_up(row);
}

void sutra_sample_balancer(struct sutra_snap_balancer *to, const struct sutra_fetch *f, struct sutra_probe *probe,
			   int64_t now_us)
{
	struct sutra_haproxy_stats stats;
	const struct sutra_haproxy_row *row;
	struct sutra_err err;
	size_t n = 0;

	trouble_of(f, to->trouble, sizeof(to->trouble));
	if (!to->trouble[0] && sutra_haproxy_parse(sutra_buf_str(&f->answer), f->answer.len, &stats, &err))
		SAMPLE_COPY(to->trouble, err.message);
	if (to->trouble[0])
		return;
	to->at_us = now_us;
	while (sutra_haproxy_server(&stats, NULL, n))
		n++;
	n = sutra_snapshot_replicas(to, n) ? 0 : n;
	for (size_t i = 0; i < n; i++)
		fill_replica(&to->replicas[i], sutra_haproxy_server(&stats, NULL, i));
	row = sutra_haproxy_find(&stats, to->group, "BACKEND");
	SAMPLE_COPY(to->algorithm, row ? row->algorithm : "");
	if (probe)
		sutra_health_behind_balancer(&stats, probe);
	sutra_haproxy_release(&stats);
}

static int64_t counter(const char *text, const char *name)
{
	double v = sutra_promtext_value(text, name);

	return v > 0 ? sutra_whole(v) : 0;
}

void sutra_sample_counters(struct sutra_snap_cache *to, const struct sutra_fetch *f, int64_t now_us)
{
	const char *text = sutra_buf_str(&f->answer);

	trouble_of(f, to->trouble, sizeof(to->trouble));
	if (to->trouble[0])
		return;
	to->at_us = now_us;
	to->texts_rate = to->requests_rate = to->error_rate = -1;
	to->l1_hits = counter(text, "sutra_l1_hits_total");
	to->l2_hits = counter(text, "sutra_l2_hits_total");
	to->misses = counter(text, "sutra_cache_misses_total");
	to->texts = counter(text, "sutra_cache_texts_total");
	to->coalesced = counter(text, "sutra_cache_coalesced_total");
	to->l2_errors = counter(text, "sutra_l2_errors_total");
	to->clears = counter(text, "sutra_cache_clears_total");
	to->requests = counter(text, "sutra_gateway_requests_total");
	to->errors = counter(text, "sutra_gateway_errors_total");
}

static struct sutra_snap_minute minute_of(const json_t *o)
{
	return (struct sutra_snap_minute){ json_integer_value(json_object_get(o, "t")),
					   json_integer_value(json_object_get(o, "l1")),
					   json_integer_value(json_object_get(o, "l2")),
					   json_integer_value(json_object_get(o, "miss")) };
}

/* Adds the current minute: the totals minus the sum of the minutes before it. */
static void add_rest(struct sutra_snap_cache *to, const json_t *list, const struct sutra_cache_stats *c,
		     int64_t now_us)
{
	struct sutra_snap_minute rest = { now_us / 1000000, c->l1.hits, c->l2.hits, c->misses };

	for (size_t i = 0; i < json_array_size(list); i++) {
		struct sutra_snap_minute m = minute_of(json_array_get(list, i));

		rest.l1 -= m.l1;
		rest.l2 -= m.l2;
		rest.misses -= m.misses;
	}
	if (rest.l1 >= 0 && rest.l2 >= 0 && rest.misses >= 0)
		to->minutes[to->n_minutes++] = rest;
}

static void fill_minutes(struct sutra_snap_cache *to, const struct sutra_buf *answer, const struct sutra_cache_stats *c,
			 int64_t now_us)
{
	json_t *doc = NULL;
	const json_t *list;
	size_t n, skip;

	if (sutra_json_parse(sutra_buf_str(answer), answer->len, &doc, NULL))
		return;
	list = json_object_get(doc, "history");
	n = json_array_size(list);
	skip = n > KEPT_MINUTES ? n - KEPT_MINUTES : 0;
	sutra_free(to->minutes);
	to->minutes = xcalloc(n - skip + 1, sizeof(*to->minutes));
	to->n_minutes = 0;
	for (; skip + to->n_minutes < n; to->n_minutes++)
		to->minutes[to->n_minutes] = minute_of(json_array_get(list, skip + to->n_minutes));
	if (n < DAY)	/* else the list lacks older minutes */
		add_rest(to, list, c, now_us);
	json_decref(doc);
}

void sutra_sample_detail(struct sutra_snap_cache *to, const struct sutra_fetch *f, int64_t now_us)
{
	struct sutra_cache_stats c;

	if (f->reason != SUTRA_FETCH_OK || f->status != 200 ||
	    sutra_cache_stats_parse(sutra_buf_str(&f->answer), f->answer.len, &c, NULL))
		return;
	to->detail_at_us = now_us;
	SAMPLE_COPY(to->shard, c.shard);
	to->enabled = c.enabled;
	to->l2_enabled = c.l2_enabled;
	to->ttl_seconds = c.ttl_seconds;
	to->l1_size = c.l1.size;
	to->l1_max = c.l1.max_size;
	to->l1_evictions = c.l1.evictions;
	to->l1_p50_us = c.l1.p50_us;
	to->l1_p99_us = c.l1.p99_us;
	if (c.l2_up) {
		to->l2_at_us = now_us;
		to->l2_size = c.l2.size;
		to->l2_max = c.l2.max_size;
		to->l2_evictions = c.l2.evictions;
		to->l2_expired = c.l2.expired;
	}
	to->l2_p50_us = c.l2.p50_us;
	to->l2_p99_us = c.l2.p99_us;
	fill_minutes(to, &f->answer, &c, now_us);
}

void sutra_sample_cause(struct sutra_snapshot *to, const struct sutra_probe *p, size_t n)
{
	struct sutra_root_causes causes;
	struct sutra_buf b;

	if (sutra_root_causes_find(p, n, &causes, NULL))
		return;
	sutra_buf_init(&b, 1 << 16);
	if (causes.n && causes.items[0].n_affected)
		sutra_root_cause_say(p, &causes.items[0], &b);
	SAMPLE_COPY(to->cause, sutra_buf_str(&b));
	sutra_buf_release(&b);
	sutra_root_causes_release(&causes);
}
