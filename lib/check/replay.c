#include "check/replay.h"

#include <stdio.h>

#include "base/clock.h"

static const uint64_t TICK_NS = 100000000;

struct source {
	const struct sutra_workload *w;
	const uint32_t *ids;
	size_t n, at;
};

static bool next_text(void *user, struct sutra_buf *text, uint32_t *ret_id)
{
	struct source *s = user;

	if (s->at == s->n)
		return false;
	*ret_id = s->ids[s->at++];
	sutra_workload_text(s->w, *ret_id, text);
	return true;
}

int sutra_replay_run(const struct sutra_replay *p, const struct sutra_check_env *env,
		     struct sutra_load_result *ret, struct sutra_err *err)
{
	const struct sutra_workload *w = p->workload;
	struct source s = { w, p->today ? w->trace : w->fill, p->today ? w->spec.trace : w->spec.fill, 0 };
	struct sutra_load_options o = { .base = p->base,
					.parallel = p->parallel,
					.deadline_ns = env->deadline_ns,
					.dimension = p->dimension,
					.next = next_text,
					.user = &s };
	const char *part = p->today ? "today" : "yesterday";
	struct sutra_load_result result;
	struct sutra_load *l;
	int rc = sutra_load_start(&o, &l, err);

	if (rc)
		return rc;
	while (!sutra_load_done(l, TICK_NS)) {
		char detail[64];

		snprintf(detail, sizeof(detail), "%s: %llu of %zu", part,
			 (unsigned long long)sutra_load_answered(l), s.n);
		if (env->progress)
			env->progress(env->user, p->what, detail);
	}
	sutra_load_finish(l, &result);
	if (result.failed || result.sent < s.n) {
		rc = sutra_fail(err, sutra_clock_ns() >= env->deadline_ns ? SUTRA_E_TIMEOUT : SUTRA_E_UNAVAILABLE,
				"%s's part of the workload: %llu of %zu requests failed, the first with %s", part,
				(unsigned long long)(result.failed + s.n - result.sent), s.n,
				result.failed ? result.first_failure : "the time limit");
		sutra_load_result_release(&result);
		return rc;
	}
	*ret = result;
	return 0;
}
