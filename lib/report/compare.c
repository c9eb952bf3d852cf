#include "report/compare.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/jsonio.h"
#include "load/ask.h"
#include "probe/cachestats.h"
#include "report/report.h"

static const uint64_t CALL_NS = 10000000000u, RESTART_NS = 30000000000u, SETTLE_NS = 3000000000u;
enum { MAX_URL = 512 };

static void take(struct sutra_compare_stage *s, const struct sutra_load_result *t)
{
	double n = (double)t->sent;

	s->per_second = n / ((double)t->wall_ns / 1e9);
	s->mean_ms = sutra_histogram_mean(t->response) / 1e6;
	s->p50_ms = (double)sutra_histogram_quantile(t->response, 0.5) / 1e6;
	s->p95_ms = (double)sutra_histogram_quantile(t->response, 0.95) / 1e6;
	s->l1_percent = 100 * (double)t->texts[SUTRA_LEVEL_L1] / n;
	s->l2_percent = 100 * (double)t->texts[SUTRA_LEVEL_L2] / n;
}

/* Times today's part of the workload; without a cache yesterday's part would change nothing. */
static int measure(struct sutra_replay *p, struct sutra_compare_stage *s, struct sutra_err *err)
{
	struct sutra_load_result t;
	int rc;

	p->today = true;
	p->what = s->name;
	p->dimension = s->dimension;
	rc = sutra_replay_run(p, &t, err);
	if (rc)
		return rc;
	take(s, &t);
	sutra_load_result_release(&t);
	return 0;
}

/* Empties the cache and fills it with yesterday's part. */
static int fill(const struct sutra_check_env *env, struct sutra_replay *p, const char *name,
		struct sutra_err *err)
{
	struct sutra_load_result t;
	struct sutra_expected e;
	int rc = sutra_cache_empty(p->base, sutra_check_time(env, CALL_NS), err);

	p->today = false;
	p->what = name;
	p->dimension = 0;
	rc = rc ? rc : sutra_workload_expect(p->workload, SIZE_MAX, SIZE_MAX, &e, err);
	rc = rc ? rc : sutra_replay_run(p, &t, err);
	if (rc)
		return rc;
	sutra_load_result_release(&t);
	sutra_cache_settle(p->base, (int64_t)e.fill_computed, sutra_check_time(env, SETTLE_NS));
	return 0;
}

/* Each part has a new gateway: today's begins with an empty L1, as after a restart. */
static int one_replica_with_cache(const struct sutra_check_env *env, struct sutra_replay *p,
				  struct sutra_compare_stage *s, struct sutra_err *err)
{
	char base[MAX_URL];
	int rc = env->spare(env->user, env->replicas[0].base, base, sizeof(base), err);

	p->base = base;
	if (!rc) {
		rc = fill(env, p, s->name, err);
		env->spare_end(env->user);
	}
	rc = rc ? rc : env->spare(env->user, env->replicas[0].base, base, sizeof(base), err);
	if (!rc) {
		rc = measure(p, s, err);
		env->spare_end(env->user);
	}
	return rc;
}

static int whole_stack(const struct sutra_check_env *env, struct sutra_replay *p,
		       struct sutra_compare_stage *s, struct sutra_err *err)
{
	int rc;

	p->base = env->gateway;
	rc = fill(env, p, s->name, err);
	rc = rc ? rc : sutra_deployment_restart(env->d, env->names[SUTRA_LOGS_GATEWAY], sutra_check_time(env, RESTART_NS),
						err);
	return rc ? rc : measure(p, s, err);
}

int sutra_compare_run(const struct sutra_check_env *env, const struct sutra_workload_spec *spec,
		      unsigned parallel, struct sutra_compare *ret, struct sutra_err *err)
{
	static const char *const names[] = { "baseline", "phase 0", "phase 0+1", "phase 0+1+2" };
	struct sutra_replay p = { .parallel = parallel, .deadline_ns = sutra_check_deadline(env), .progress = env->progress,
				  .user = env->user };
	struct sutra_compare c = { .spec = *spec, .parallel = parallel };
	struct sutra_workload *w;
	int rc;

	if (!env->n_replicas || !env->haproxy_csv || !env->names[SUTRA_LOGS_SHARD])
		return sutra_fail(err, SUTRA_E_UNAVAILABLE,
				  "comparing needs a deployed stack with balancer and cache shard");
	rc = sutra_workload_new(spec, &w, err);
	if (rc)
		return rc;
	c.replicas = (unsigned)env->n_replicas;
	c.processors = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	c.digest = w->digest;
	p.workload = w;
	p.base = env->replicas[0].base;
	for (size_t i = 0; i < SUTRA_COMPARE_STAGES; i++)
		c.stages[i] = (struct sutra_compare_stage){ .name = names[i], .dimension = env->dimension,
							    .cached = i > 1 };
	rc = sutra_info_read(p.base, "native_dimension", sutra_check_time(env, CALL_NS), &c.stages[0].dimension, err);
	rc = rc ? rc : measure(&p, &c.stages[0], err);
	rc = rc ? rc : measure(&p, &c.stages[1], err);
	rc = rc ? rc : one_replica_with_cache(env, &p, &c.stages[2], err);
	rc = rc ? rc : whole_stack(env, &p, &c.stages[3], err);
	sutra_workload_free(w);
	if (!rc)
		*ret = c;
	return rc;
}

const char *sutra_compare_reference(size_t stage)
{
	static const char *const said[] = { "0.14/s, 1 x", "0.42/s, 3 x", "0.98/s, 7 x", "8.8/s, 21 x" };

	return said[stage];
}

void sutra_compare_notes(const struct sutra_compare *c, struct sutra_buf *b)
{
	sutra_buf_addf(b, "Truncating the vector does not speed up the encoder, which computes its native width in "
		       "any case; it cuts storage and search by %.0f %%.\n",
		       100 * (1 - (double)c->stages[1].dimension / (double)c->stages[0].dimension));
	sutra_buf_adds(b, "The cache answers repeated texts; its gain is that of this workload's repetitions.\n");
	if (c->processors < c->replicas)
		sutra_buf_addf(b, "%u replicas share %u processors here: the balancer adds failover, and throughput "
			       "only where one replica leaves processors idle.\n", c->replicas, c->processors);
	sutra_buf_addf(b, "Workload: seed %llu, %u texts, alpha %g, %zu + %zu requests, %u at a time, digest "
		       "%016llx.\n", (unsigned long long)c->spec.seed, c->spec.distinct, c->spec.alpha,
		       c->spec.fill, c->spec.trace, c->parallel, (unsigned long long)c->digest);
}

void sutra_compare_json(const struct sutra_compare *c, struct sutra_buf *b)
{
	json_t *list = json_array(), *doc;
	struct sutra_buf notes;
	char digest[20];

	sutra_buf_init(&notes, 8192);
	sutra_compare_notes(c, &notes);
	snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)c->digest);
	for (size_t i = 0; i < SUTRA_COMPARE_STAGES; i++) {
		const struct sutra_compare_stage *s = &c->stages[i];

		json_array_append_new(list, json_pack(
			"{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:s}", "name", s->name, "dimension",
			(json_int_t)s->dimension, "throughput_per_s", s->per_second, "improvement",
			s->per_second / c->stages[0].per_second, "mean_ms", s->mean_ms, "p50_ms", s->p50_ms,
			"p95_ms", s->p95_ms, "l1_percent", s->l1_percent, "l2_percent", s->l2_percent,
			"bytes_per_vector", (json_int_t)(4 * s->dimension), "reference",
			sutra_compare_reference(i)));
	}
	doc = json_pack("{s:s, s:o, s:{s:I, s:I, s:f, s:I, s:I, s:s}, s:i, s:i, s:i, s:s}", "schema",
			"sutra.compare/1", "stages", list, "workload", "seed", (json_int_t)c->spec.seed, "distinct",
			(json_int_t)c->spec.distinct, "alpha", c->spec.alpha, "fill", (json_int_t)c->spec.fill,
			"requests", (json_int_t)c->spec.trace, "digest", digest, "parallel", (int)c->parallel,
			"processors", (int)c->processors, "replicas", (int)c->replicas, "notes",
			sutra_buf_str(&notes));
	sutra_report_document(b, doc);
	sutra_buf_release(&notes);
}
