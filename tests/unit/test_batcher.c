/* lib/model/batcher: the queue before the encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "model/batcher.h"
#include "model_folder.h"
#include "../wait.h"

enum { JOBS = 40, MOST = 9, MANY = 60, WIDTH = 32 };

static struct sutra_model *model;

static int open_model(void **state)
{
	struct sutra_err err;

	return make_folder(state) ? -1 : sutra_model_open(dir, NULL, &model, &err);
}

static int close_model(void **state)
{
	sutra_model_close(model);
	return remove_folder(state);
}

struct test_job {
	struct sutra_batch_job job;	/* first */
	uint32_t ids[MANY * 3], lengths[MANY];
	float out[MANY * WIDTH];
	atomic_bool done;
	int order;	/* which of the jobs was done, from 0 */
};

static atomic_int jobs_done;
static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done_changed = PTHREAD_COND_INITIALIZER;

static void on_done(struct sutra_batch_job *job)
{
	pthread_mutex_lock(&done_lock);
	assert_false(atomic_exchange(&((struct test_job *)job)->done, true));
	((struct test_job *)job)->order = atomic_fetch_add(&jobs_done, 1);
	pthread_cond_signal(&done_changed);
	pthread_mutex_unlock(&done_lock);
}

static void wait_done(int n)
{
	pthread_mutex_lock(&done_lock);
	while (atomic_load(&jobs_done) < n)
		pthread_cond_wait(&done_changed, &done_lock);
	pthread_mutex_unlock(&done_lock);
}

static void fill_job(struct test_job *j, size_t n, uint32_t seed)
{
	memset(j, 0, sizeof(*j));
	for (size_t i = 0; i < n; i++) {
		j->ids[i * 3] = 2;
		j->ids[i * 3 + 1] = (seed + (uint32_t)i * 13) % 200;
		j->ids[i * 3 + 2] = 3;
		j->lengths[i] = 3;
	}
	j->job = (struct sutra_batch_job){ .texts = n, .ids = j->ids, .lengths = j->lengths,
					   .out = j->out, .done = on_done };
}

static struct sutra_batcher_options queue_options(unsigned threads)
{
	return (struct sutra_batcher_options){
		.encoder = model->encoder, .pooling = model->pooling, .threads = threads, .max_tokens = 10,
		.max_text_tokens = model->max_tokens, .max_texts = 4, .max_queue = 1000,
	};
}

static struct sutra_batcher *start(const struct sutra_batcher_options *o)
{
	struct sutra_batcher *b = NULL;
	struct sutra_err err;

	atomic_store(&jobs_done, 0);
	if (sutra_batcher_new(o, &b, &err))
		fail_msg("%s", err.message);
	return b;
}

static void submit(struct sutra_batcher *b, struct test_job *j)
{
	struct sutra_err err;

	if (sutra_batcher_submit(b, &j->job, &err))
		fail_msg("%s", err.message);
}

/* A job's done() that holds its worker until the test lets go. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void wait_at_gate(struct sutra_batch_job *job)
{
	on_done(job);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

/* A batcher whose only worker stands at the gate, which the caller unlocks. */
static struct sutra_batcher *start_held(const struct sutra_batcher_options *o, struct test_job *holder)
{
	struct sutra_batcher *b = start(o);

	fill_job(holder, 1, 1);
	holder->job.done = wait_at_gate;
	pthread_mutex_lock(&gate);
	submit(b, holder);
	wait_done(1);
	return b;
}

/* What is waited for is the moment itself. */
static void wait_until(uint64_t ns)
{
	WAIT_UNTIL(sutra_clock_ns() > ns);
}

static void jobs_get_their_own_vectors(void **state)
{
	static struct test_job jobs[JOBS];
	struct sutra_batcher_options o = queue_options(3);
	struct sutra_batcher *b = start(&o);
	struct sutra_encoder_session *s;
	struct sutra_batcher_stats stats;
	struct sutra_err err;
	size_t texts = 0;
	float want[WIDTH];

	assert_int_equal(sutra_encoder_session_new(model->encoder, 40, NULL, &s, &err), 0);
	for (size_t i = 0; i < JOBS; i++) {
		fill_job(&jobs[i], 1 + i % MOST, (uint32_t)i);
		texts += jobs[i].job.texts;
		submit(b, &jobs[i]);
	}
	wait_done(JOBS);
	for (size_t i = 0; i < JOBS; i++)
		for (size_t t = 0; t < jobs[i].job.texts; t++) {
			assert_int_equal(jobs[i].job.rc, 0);
			assert_int_equal(sutra_encoder_run(s, jobs[i].ids + t * 3, jobs[i].lengths, 1,
							   model->pooling, want, &err), 0);
			assert_memory_equal(jobs[i].out + t * WIDTH, want, sizeof(want));
		}
	sutra_batcher_stats(b, &stats);
	assert_int_equal(stats.queued, 0);
	assert_int_equal(stats.queued_tokens, 0);
	assert_int_equal(stats.texts, texts);
	assert_int_equal(stats.tokens, texts * 3);
	assert_true(stats.speed > 0);
	assert_int_equal(sutra_histogram_count(sutra_batcher_times(b)), stats.batches);
	sutra_batcher_free(b);
	sutra_encoder_session_free(s);
}

/* Freeing finishes what is queued. */
static void freeing_drains(void **state)
{
	static struct test_job jobs[JOBS];
	struct sutra_batcher_options o = queue_options(1);
	struct sutra_batcher *b = start(&o);

	for (size_t i = 0; i < JOBS; i++) {
		fill_job(&jobs[i], MOST, (uint32_t)i);
		submit(b, &jobs[i]);
	}
	sutra_batcher_free(b);
	assert_int_equal(atomic_load(&jobs_done), JOBS);
}

static void a_full_queue_refuses_whole_jobs(void **state)
{
	struct test_job holder, first, second, third, huge;
	struct sutra_batcher_options o = queue_options(1);
	struct sutra_batcher_stats stats;
	struct sutra_batcher *b;
	struct sutra_err err;

	o.max_queue = 8;
	b = start_held(&o, &holder);
	fill_job(&first, 5, 2);
	fill_job(&second, 4, 3);
	fill_job(&third, 3, 4);
	fill_job(&huge, 9, 5);
	submit(b, &first);
	assert_int_equal(sutra_batcher_submit(b, &second.job, &err), SUTRA_E_BUSY);
	assert_non_null(strstr(err.message, "5 texts"));
	assert_int_equal(sutra_batcher_admits(b, 4, &err), SUTRA_E_BUSY);
	assert_int_equal(sutra_batcher_admits(b, 3, &err), 0);
	submit(b, &third);
	assert_int_equal(sutra_batcher_admits(b, 1, &err), SUTRA_E_BUSY);
	assert_int_equal(sutra_batcher_submit(b, &huge.job, &err), SUTRA_E_INVALID);
	sutra_batcher_stats(b, &stats);
	assert_int_equal(stats.queued, 8);
	assert_int_equal(stats.queued_tokens, 24);
	assert_int_equal(sutra_batcher_retry_s(b), 1);
	pthread_mutex_unlock(&gate);
	sutra_batcher_free(b);
	assert_true(atomic_load(&first.done) && atomic_load(&third.done));
	assert_false(atomic_load(&second.done) || atomic_load(&huge.done));
}

/* A small job behind a large one is not behind all of it: one batch of four texts is. */
static void large_jobs_take_turns(void **state)
{
	struct test_job holder, large, small;
	struct sutra_batcher_options o = queue_options(1);
	struct sutra_batcher *b;

	o.max_tokens = 12;
	b = start_held(&o, &holder);
	fill_job(&large, MOST, 2);
	fill_job(&small, 1, 3);
	small.job.done = wait_at_gate;
	submit(b, &large);
	submit(b, &small);
	pthread_mutex_unlock(&gate);
	sutra_batcher_free(b);
	assert_true(atomic_load(&large.done) && atomic_load(&small.done));
	assert_true(small.order < large.order);
}

/* What does not fit into this batch is the first of the next, however many small ones follow. */
static void a_long_text_is_not_overtaken(void **state)
{
	struct test_job holder, small[6], large;
	struct sutra_batcher_options o = queue_options(1);
	struct sutra_batcher *b = start_held(&o, &holder);

	fill_job(&large, 1, 9);
	large.lengths[0] = 39;	/* of the 40 tokens of a batch */
	for (uint32_t i = 0; i < 39; i++)
		large.ids[i] = i;
	for (uint32_t i = 0; i < 6; i++)
		fill_job(&small[i], 1, i);
	submit(b, &small[0]);
	submit(b, &large);
	for (size_t i = 1; i < 6; i++)
		submit(b, &small[i]);
	pthread_mutex_unlock(&gate);
	sutra_batcher_free(b);
	assert_int_equal(large.order, 2);	/* the holder, the small one ahead of it */
}

static void idle_threads_share_a_job(void **state)
{
	struct test_job job;
	struct sutra_batcher_options o = queue_options(2);
	struct sutra_batcher_stats stats;
	struct sutra_batcher *b;

	o.max_tokens = 1000;
	o.max_texts = 1000;
	b = start(&o);
	do
		sutra_batcher_stats(b, &stats);
	while (stats.idle < 2);
	fill_job(&job, MANY, 1);
	submit(b, &job);
	wait_done(1);
	sutra_batcher_stats(b, &stats);
	assert_int_equal(job.job.rc, 0);
	assert_true(stats.batches > 1);
	assert_int_equal(stats.texts, MANY);
	sutra_batcher_free(b);
}

/* One text of 39 tokens at a time: an idle thread computes parts of it, sooner or later. */
static void an_idle_thread_helps_with_a_text(void **state)
{
	static struct test_job job;
	struct sutra_batcher_options o = queue_options(3);
	struct sutra_batcher *b = start(&o);
	struct sutra_batcher_stats stats = { 0 };
	uint64_t limit = sutra_clock_ns() + 20000000000u;
	struct sutra_encoder_session *s;
	struct sutra_err err;
	uint32_t length = 39;
	float want[WIDTH];
	size_t texts = 0;

	fill_job(&job, MANY, 7);
	job.job.texts = 1;
	job.job.lengths = &length;
	assert_int_equal(sutra_encoder_session_new(model->encoder, 40, NULL, &s, &err), 0);
	assert_int_equal(sutra_encoder_run(s, job.ids, &length, 1, model->pooling, want, &err), 0);
	sutra_encoder_session_free(s);
	while (stats.helped < 20 && sutra_clock_ns() < limit) {
		memset(job.out, 0, sizeof(want));
		assert_int_equal(sutra_batcher_run(b, &job.job, &err), 0);
		assert_memory_equal(job.out, want, sizeof(want));
		sutra_batcher_stats(b, &stats);
		texts++;
	}
	assert_true(stats.helped >= 20);
	assert_int_equal(stats.batches, texts);
	sutra_batcher_free(b);
}

/* Jobs that come while others are helped with get their own vectors, and freeing drains them. */
static void helpers_come_back_for_work(void **state)
{
	enum { TIMES = 60, AT_ONCE = 6 };
	static struct test_job jobs[AT_ONCE];
	struct sutra_batcher_options o = queue_options(3);
	struct sutra_encoder_session *s;
	struct sutra_err err;
	float want[WIDTH];

	assert_int_equal(sutra_encoder_session_new(model->encoder, 40, NULL, &s, &err), 0);
	for (size_t round = 0; round < TIMES; round++) {
		struct sutra_batcher *b = start(&o);

		for (size_t i = 0; i < AT_ONCE; i++) {
			fill_job(&jobs[i], 1 + (i + round) % 5, (uint32_t)(round + i));
			submit(b, &jobs[i]);
			if (i == round % AT_ONCE)
				wait_done((int)i + 1);
		}
		sutra_batcher_free(b);
		assert_int_equal(atomic_load(&jobs_done), AT_ONCE);
		for (size_t i = 0; i < AT_ONCE; i++)
			for (size_t t = 0; t < jobs[i].job.texts; t++) {
				assert_int_equal(sutra_encoder_run(s, jobs[i].ids + t * 3, jobs[i].lengths,
								   1, model->pooling, want, &err), 0);
				assert_memory_equal(jobs[i].out + t * WIDTH, want, sizeof(want));
			}
	}
	sutra_encoder_session_free(s);
}

static void late_jobs_are_dropped(void **state)
{
	struct test_job holder, late, whole;
	struct sutra_batcher_options o = queue_options(1);
	struct sutra_batcher *b = start_held(&o, &holder);
	struct sutra_batcher_stats stats;
	struct sutra_err err;

	fill_job(&late, 3, 2);
	fill_job(&whole, 3, 3);
	late.job.deadline_ns = sutra_clock_ns();
	assert_int_equal(sutra_batcher_submit(b, &late.job, &err), SUTRA_E_TIMEOUT);
	late.job.deadline_ns = sutra_clock_ns() + 20000000;
	whole.job.deadline_ns = UINT64_MAX;
	submit(b, &late);
	submit(b, &whole);
	wait_until(late.job.deadline_ns);
	pthread_mutex_unlock(&gate);
	wait_done(3);
	sutra_batcher_stats(b, &stats);
	assert_int_equal(late.job.rc, SUTRA_E_TIMEOUT);
	assert_non_null(strstr(late.job.err.message, "3 of 3"));
	assert_int_equal(whole.job.rc, 0);
	assert_int_equal(stats.late, 1);
	assert_int_equal(stats.texts, 4);	/* the holder's and the other's */
	assert_int_equal(stats.queued_tokens, 0);
	sutra_batcher_free(b);
}

static bool never_gone(const struct sutra_batch_job *job) { return false; }
static bool already_gone(const struct sutra_batch_job *job) { return true; }

static void jobs_nobody_waits_for_are_dropped(void **state)
{
	struct test_job holder, gone, there;
	struct sutra_batcher_options o = queue_options(1);
	struct sutra_batcher *b = start_held(&o, &holder);
	struct sutra_batcher_stats stats;

	fill_job(&gone, 3, 2);
	fill_job(&there, 3, 3);
	gone.job.gone = already_gone;
	there.job.gone = never_gone;
	submit(b, &gone);
	submit(b, &there);
	wait_until(there.job.looked_ns + 2000000);
	pthread_mutex_unlock(&gate);
	wait_done(3);
	sutra_batcher_stats(b, &stats);
	assert_int_equal(gone.job.rc, SUTRA_E_CLOSED);
	assert_int_equal(there.job.rc, 0);
	assert_int_equal(stats.gone, 1);
	assert_int_equal(stats.texts, 4);
	sutra_batcher_free(b);
}

static bool gone_when_begun(const struct sutra_batch_job *job) { return job->taken > 0; }

/* A done() that keeps the worker, and so the line, until the large job behind may be asked again. */
static void wait_a_while(struct sutra_batch_job *job)
{
	wait_until(sutra_clock_ns() + 2000000);
	on_done(job);
}

static void the_rest_of_a_begun_job_is_dropped(void **state)
{
	struct test_job holder, large, small;
	struct sutra_batcher_options o = queue_options(1);
	struct sutra_batcher *b;
	struct sutra_batcher_stats stats;

	o.max_tokens = 12;
	b = start_held(&o, &holder);
	fill_job(&large, MOST, 2);
	fill_job(&small, 4, 3);
	large.job.gone = gone_when_begun;
	small.job.done = wait_a_while;
	submit(b, &large);
	submit(b, &small);
	pthread_mutex_unlock(&gate);
	wait_done(3);
	sutra_batcher_stats(b, &stats);
	assert_int_equal(large.job.rc, SUTRA_E_CLOSED);
	assert_int_equal(stats.gone, 1);
	assert_int_equal(stats.texts, 1 + 4 + 4);	/* of the large one's 9 texts, 4 */
	assert_int_equal(stats.queued, 0);
	assert_int_equal(stats.queued_tokens, 0);
	sutra_batcher_free(b);
}

/* A thread that finds nothing but a rest whose deadline has passed, while another one computes a part
 * of the same job, goes on: deadlines from 10 to 800 us meet that moment again and again. */
static void no_thread_ends_over_a_dropped_rest(void **state)
{
	enum { ROUNDS = 800, STEPS = 80, STEP_NS = 10000 };
	struct sutra_batcher_options o = queue_options(2);
	struct sutra_batcher *b = start(&o);
	struct sutra_batcher_stats stats = { 0 };
	static struct test_job large;
	struct sutra_err err;
	uint64_t limit;
	int submitted = 0;

	for (int i = 0; i < ROUNDS; i++) {
		fill_job(&large, MANY, 2);
		large.job.deadline_ns = sutra_clock_ns() + (uint64_t)(i % STEPS + 1) * STEP_NS;
		if (!sutra_batcher_submit(b, &large.job, &err))
			wait_done(++submitted);
	}
	limit = sutra_clock_ns() + 10000000000u;
	while (stats.idle < 2 && sutra_clock_ns() < limit)
		sutra_batcher_stats(b, &stats);
	assert_int_equal(stats.idle, 2);
	assert_true(stats.late > 0);
	sutra_batcher_free(b);
}

/* Once the speed is known, what would wait too long is refused, but never by an empty line. */
static void the_estimated_wait_refuses(void **state)
{
	struct test_job holder, first, second;
	struct sutra_batcher_options o = queue_options(1);
	struct sutra_batcher *b;
	struct sutra_err err;

	o.max_wait_ns = 1;
	o.max_texts = 1;	/* a full batch tells the speed */
	b = start_held(&o, &holder);
	fill_job(&first, 3, 2);
	fill_job(&second, 3, 3);
	first.job.deadline_ns = UINT64_MAX;
	submit(b, &first);
	assert_int_equal(sutra_batcher_submit(b, &second.job, &err), SUTRA_E_BUSY);
	assert_non_null(strstr(err.message, "MAX_QUEUE_MS"));
	assert_int_equal(sutra_batcher_admits(b, 1, &err), SUTRA_E_BUSY);
	pthread_mutex_unlock(&gate);
	sutra_batcher_free(b);

	o.max_wait_ns = 0;
	b = start_held(&o, &holder);
	fill_job(&first, MANY, 2);
	submit(b, &first);
	second.job.deadline_ns = sutra_clock_ns() + 1000000000;
	submit(b, &second);
	pthread_mutex_unlock(&gate);
	sutra_batcher_free(b);
	assert_int_equal(second.job.rc, 0);
}

static void times_add_up(void **state)
{
	struct test_job holder, job;
	struct sutra_batcher_options o = queue_options(1);
	struct sutra_batcher *b = start_held(&o, &holder);
	uint64_t began = sutra_clock_ns();

	fill_job(&job, MOST, 2);
	submit(b, &job);
	pthread_mutex_unlock(&gate);
	wait_done(2);
	assert_true(job.job.queue_ns > 0 && job.job.compute_ns > 0 && job.job.pooling_ns > 0);
	assert_true(job.job.pooling_ns < job.job.compute_ns);
	assert_true(job.job.since_ns - began >= job.job.queue_ns + job.job.compute_ns);
	assert_true(job.job.since_ns <= sutra_clock_ns());
	sutra_batcher_free(b);
}

static void a_failed_batch_fails_its_job(void **state)
{
	struct test_job bad, good;
	struct sutra_batcher_options o = queue_options(3);
	struct sutra_batcher *b = start(&o);
	struct sutra_err err;

	fill_job(&bad, 6, 1);
	bad.ids[1] = 200;	/* beyond the vocabulary */
	assert_int_equal(sutra_batcher_run(b, &bad.job, &err), SUTRA_E_INVALID);
	assert_non_null(strstr(err.message, "token id 200"));
	fill_job(&good, 6, 1);
	assert_int_equal(sutra_batcher_run(b, &good.job, &err), 0);
	sutra_batcher_free(b);
}

static void a_core_that_is_not_there_is_reported(void **state)
{
	const int none = 1000;
	struct sutra_batcher_options o = queue_options(1);
	struct sutra_batcher *b = NULL;
	struct sutra_err err;

	o.cores = &none;
	o.n_cores = 1;
	assert_true(sutra_batcher_new(&o, &b, &err) < 0);
	assert_non_null(strstr(err.message, "inference thread"));
	assert_null(b);
}

static void every_failing_allocation_is_reported(void **state)
{
	struct sutra_batcher_options o = queue_options(3);
	struct sutra_batcher *b = NULL;
	struct sutra_err err;
	long n = 0;
	int rc;

	do {
		sutra_alloc_fail_at(++n);
		rc = sutra_batcher_new(&o, &b, &err);
		assert_true(!rc || rc == SUTRA_E_NOMEM);
	} while (sutra_alloc_failed());
	sutra_alloc_fail_at(0);
	sutra_batcher_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_get_their_own_vectors),
		cmocka_unit_test(freeing_drains),
		cmocka_unit_test(a_full_queue_refuses_whole_jobs),
		cmocka_unit_test(large_jobs_take_turns),
		cmocka_unit_test(a_long_text_is_not_overtaken),
		cmocka_unit_test(idle_threads_share_a_job),
		cmocka_unit_test(an_idle_thread_helps_with_a_text),
		cmocka_unit_test(helpers_come_back_for_work),
		cmocka_unit_test(late_jobs_are_dropped),
		cmocka_unit_test(jobs_nobody_waits_for_are_dropped),
		cmocka_unit_test(the_rest_of_a_begun_job_is_dropped),
		cmocka_unit_test(no_thread_ends_over_a_dropped_rest),
		cmocka_unit_test(the_estimated_wait_refuses),
		cmocka_unit_test(times_add_up),
		cmocka_unit_test(a_failed_batch_fails_its_job),
		cmocka_unit_test(a_core_that_is_not_there_is_reported),
		cmocka_unit_test(every_failing_allocation_is_reported),
	};

	return cmocka_run_group_tests(tests, open_model, close_model);
}
