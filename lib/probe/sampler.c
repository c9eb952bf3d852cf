#include "probe/sampler.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/shown.h"
#include "probe/observe.h"
#include "deploy/audit.h"
#include "runtime/engine_api.h"
#include "probe/health.h"
#include "probe/sampler_fill.h"

enum { COMMANDS = 16, MAX_ANSWER = 1 << 20 };

static const uint64_t FIRST_AGAIN_NS = 150000000, LONGEST_NS = 2000000000, SHORTEST_NS = 300000000, ENGINE_NS = 1000000000;
static const int64_t DETAIL_US = 10000000, SIZES_US = 5000000;

struct sutra_sampler {
	char *state_dir;
	struct sutra_fetcher *fetcher;
	/* used by the sampling thread alone, or by the caller of sutra_sampler_take */
	struct sutra_deployment *d;
	struct timespec record_time;
	ino_t record_inode;
	int64_t sizes_us;	/* when memory was read last */
	int64_t looked_us;	/* when the runtime answered last */
	char trouble[256];	/* why it does not answer now; "" */
	struct sutra_snapshot *before;
	struct sutra_audit_reader audit;
	struct sutra_logtail *tail;
	/* shared, under lock */
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t open;		/* requests in flight */
	bool stopping, at_once;	/* at_once: the next sample is taken now */
	uint64_t interval_ns;
	struct sutra_snapshot *newest;	/* NULL: the reader has it */
	char log_service[64];
	struct sutra_log_text log;	/* text NULL: the reader has it */
	int wake_fd;
};

/* The requests of one sample. A fetch that is NULL is not sent. */
struct round {
	struct sutra_sampler *s;
	uint64_t timeout_ns;
	struct sutra_fetch *fetches;
	char (*urls)[300];		/* of the fetches, which borrow them */
	size_t n;
	struct sutra_probe *probes;	/* one for each service */
	struct requests {
		struct sutra_fetch *health, *metrics, *detail;
	} *services;
	struct sutra_fetch **csv;	/* of each balancer */
	size_t n_gateways;
};

int sutra_sampler_new(const char *state_dir, uint64_t interval_ns, struct sutra_sampler **ret,
		      struct sutra_err *err)
{
	struct sutra_sampler *s = xcalloc(1, sizeof(*s));
	int rc = sutra_fetcher_new(&s->fetcher, err);

	if (rc) {
		sutra_free(s);
		return rc;
	}
	s->state_dir = xstrdup(state_dir);
	s->tail = sutra_logtail_new();
	s->interval_ns = interval_ns;
	s->wake_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	sutra_clock_cond_init(&s->changed);
	*ret = s;
	return 0;
}

void sutra_sampler_free(struct sutra_sampler *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (s->started)
		pthread_join(s->thread, NULL);
	sutra_fetcher_free(s->fetcher);
	sutra_deployment_free(s->d);
	sutra_snapshot_unref(s->before);
	sutra_snapshot_unref(s->newest);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	sutra_logtail_free(s->tail);
	sutra_free(s->log.text);
	sutra_free(s->state_dir);
	sutra_free(s);
}

/* Reads the state of the processes, and every SIZES_US their memory, which costs more. */
static void refresh(struct sutra_sampler *s)
{
	int64_t now = sutra_clock_wall_us();

	if (now - s->sizes_us < SIZES_US && now >= s->sizes_us) {
		sutra_deployment_refresh_state(s->d);
		return;
	}
	sutra_deployment_refresh(s->d);
	s->sizes_us = now;
}

/* Loads the record when its file changed, and reads the state of the processes if the runtime
 * answers. */
static int look_up(struct sutra_sampler *s, struct sutra_err *err)
{
	char *path = xasprintf("%s/deployment.json", s->state_dir);
	struct stat st = { 0 };
	bool same = !stat(path, &st) && s->d && st.st_ino == s->record_inode &&
		    st.st_mtim.tv_sec == s->record_time.tv_sec && st.st_mtim.tv_nsec == s->record_time.tv_nsec;
	int rc = 0;

	sutra_free(path);
	s->trouble[0] = '\0';
	if (same && s->d->rt->ping && s->d->rt->ping(err)) {
		/* The addresses are known: the services can still be probed. */
		SAMPLE_COPY(s->trouble, err->message);
		return 0;
	}
	s->looked_us = sutra_clock_wall_us();
	if (same) {
		refresh(s);
		return 0;
	}
	sutra_deployment_free(s->d);
	s->d = NULL;
	rc = sutra_deployment_load(s->state_dir, &s->d, err);
	s->record_inode = st.st_ino;
	s->record_time = st.st_mtim;
	s->sizes_us = sutra_clock_wall_us();
	return rc;
}

static void on_done(struct sutra_fetch *f)
{
	struct sutra_sampler *s = f->user;

	pthread_mutex_lock(&s->lock);
	if (!--s->open)
		pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static __attribute__((format(printf, 2, 3))) struct sutra_fetch *add_request(struct round *r, const char *url, ...)
{
	struct sutra_fetch *f = &r->fetches[r->n];
	va_list args;

	va_start(args, url);
	vsnprintf(r->urls[r->n], sizeof(*r->urls), url, args);
	va_end(args);
	sutra_fetch_init(f);
	f->url = r->urls[r->n++];
	f->timeout_ns = r->timeout_ns;
	f->max_answer = MAX_ANSWER;
	f->user = r->s;
	return f;
}

static void plan_gateway(struct round *r, const struct sutra_deployed *g, struct requests *ret)
{
	const struct sutra_snapshot *before = r->s->before;
	const struct sutra_snap_cache *old = sutra_snapshot_cache(before, g->unit->name);
	int64_t now = sutra_clock_wall_us(), read_us = old ? old->detail_at_us : 0;

	r->n_gateways++;
	ret->metrics = add_request(r, "http://%s/metrics", g->address);
	/* After an event (a shard that is gone, a cache that was cleared) the details are read at once. */
	if (now - read_us >= DETAIL_US || now < read_us || before->n_events)
		ret->detail = add_request(r, "http://%s/cache/stats", g->address);
}

static void plan(struct round *r)
{
	struct sutra_deployment *d = r->s->d;
	size_t most = 3 * d->n + d->record->n_balancers + 1;

	r->fetches = xcalloc(most, sizeof(*r->fetches));
	r->urls = xcalloc(most, sizeof(*r->urls));
	r->probes = xcalloc(d->n + 1, sizeof(*r->probes));
	r->services = xcalloc(d->n + 1, sizeof(*r->services));
	r->csv = xcalloc(d->record->n_balancers + 1, sizeof(struct sutra_fetch *));
	sutra_health_targets(d, r->timeout_ns, r->probes);
	for (size_t i = 0; i < d->n; i++) {
		if (sutra_probe_begin(&r->probes[i]))
			r->services[i].health = add_request(r, "%s", r->probes[i].url);
		if (!strcmp(d->services[i].unit->program, "sutra-embedding"))
			plan_gateway(r, &d->services[i], &r->services[i]);
	}
	for (size_t b = 0; b < d->record->n_balancers; b++)
		r->csv[b] = add_request(r, "%s", d->record->balancers[b].csv);
}

static void ask_all(struct round *r)
{
	struct sutra_sampler *s = r->s;

	pthread_mutex_lock(&s->lock);
	s->open = r->n;
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < r->n; i++)
		sutra_fetcher_submit(s->fetcher, &r->fetches[i], on_done);
	pthread_mutex_lock(&s->lock);
	while (s->open)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static void release_round(struct round *r)
{
	for (size_t i = 0; i < r->n; i++)
		sutra_fetch_release(&r->fetches[i]);
	sutra_free(r->fetches);
	sutra_free(r->urls);
	sutra_free(r->probes);
	sutra_free(r->services);
	sutra_free(r->csv);
}

static void fill(struct sutra_snapshot *to, const struct round *r, int64_t now_us)
{
	const struct sutra_deployment *d = r->s->d;
	struct sutra_snap_cache *cache = to->caches;

	for (size_t i = 0; i < d->n; i++)
		if (r->services[i].health)
			sutra_probe_judge(&r->probes[i], r->services[i].health);
	for (size_t b = 0; b < d->record->n_balancers; b++) {
		struct sutra_snap_balancer *balancer = &to->balancers[b];
		size_t i = sutra_probe_find(r->probes, d->n, d->record->balancers[b].service);

		SAMPLE_COPY(balancer->service, d->record->balancers[b].service);
		sutra_snapshot_keep_balancer(balancer, r->s->before);
		SAMPLE_COPY(balancer->group, d->record->balancers[b].group);
		sutra_sample_balancer(balancer, r->csv[b], i < d->n ? &r->probes[i] : NULL, now_us);
	}
	for (size_t i = 0; i < d->n; i++) {
		if (!r->services[i].metrics)
			continue;
		SAMPLE_COPY(cache->service, d->services[i].unit->name);
		sutra_snapshot_keep_cache(cache, r->s->before);
		sutra_sample_counters(cache, r->services[i].metrics, now_us);
		if (r->services[i].detail)
			sutra_sample_detail(cache, r->services[i].detail, now_us);
		cache++;
	}
	sutra_probe_causes(r->probes, d->n);
	for (size_t i = 0; i < d->n; i++) {
		sutra_sample_service(&to->services[i], &d->services[i], r->probes, &r->probes[i], now_us,
				     r->s->sizes_us);
		if (r->s->trouble[0])
			to->services[i].cpu_us = -1;
	}
	sutra_sample_cause(to, r->probes, d->n);
	SAMPLE_COPY(to->trouble, r->s->trouble);
	to->looked_at_us = r->s->looked_us;
	SAMPLE_COPY(to->project, d->record->project);
	SAMPLE_COPY(to->runtime, d->record->runtime);
	SAMPLE_COPY(to->edition, d->record->edition);
	to->dimension = d->record->dimension;
	to->generation = d->record->generation;
	to->complete = d->record->complete;
	to->supervised = d->supervised;
	to->deployed = true;
}

/* The sample when the deployment cannot be read: the last known figures and the error; NULL: no
 * memory. */
static struct sutra_snapshot *without_deployment(struct sutra_sampler *s, const struct sutra_err *err)
{
	const struct sutra_snapshot *old = err->code == SUTRA_E_NOTFOUND ? NULL : s->before;
	struct sutra_snapshot *to = sutra_snapshot_new(old ? old->n_services : 0, old ? old->n_balancers : 0,
						       old ? old->n_caches : 0);

	if (!to)
		return NULL;
	SAMPLE_COPY(to->trouble, err->message);
	to->time_us = sutra_clock_wall_us();
	if (!old)
		return to;
	to->deployed = old->deployed;
	to->dimension = old->dimension;
	to->generation = old->generation;
	to->looked_at_us = old->looked_at_us;
	to->complete = old->complete;
	to->supervised = old->supervised;
	SAMPLE_COPY(to->project, old->project);
	SAMPLE_COPY(to->runtime, old->runtime);
	SAMPLE_COPY(to->edition, old->edition);
	memcpy(to->services, old->services, old->n_services * sizeof(*old->services));
	for (size_t i = 0; i < old->n_balancers; i++) {
		SAMPLE_COPY(to->balancers[i].service, old->balancers[i].service);
		sutra_snapshot_keep_balancer(&to->balancers[i], old);
	}
	for (size_t i = 0; i < old->n_caches; i++) {
		SAMPLE_COPY(to->caches[i].service, old->caches[i].service);
		sutra_snapshot_keep_cache(&to->caches[i], old);
	}
	return to;
}

/* Adds new lines of the audit log as events; with the first sample its last COMMANDS lines. */
static void add_commands(struct sutra_sampler *s, struct sutra_snapshot *to)
{
	struct sutra_audit_line lines[COMMANDS];
	size_t n = sutra_audit_read(&s->audit, s->state_dir, lines, COMMANDS);

	for (size_t i = 0; i < n; i++)
		sutra_event_add(to, lines[i].at_us, "operator", "command", lines[i].command,
				strcmp(lines[i].outcome, "ok") ? "warn" : "info", "run by user %ld: %s", lines[i].uid,
				lines[i].outcome);
}

/* NULL: no memory for a snapshot; then the last one remains. */
static struct sutra_snapshot *sample(struct sutra_sampler *s, uint64_t interval_ns)
{
	struct round r = {
		.s = s,
		.timeout_ns = interval_ns < SHORTEST_NS ? SHORTEST_NS : interval_ns > LONGEST_NS ? LONGEST_NS : interval_ns,
	};
	struct sutra_snapshot *to;
	struct sutra_err err;

	if (look_up(s, &err)) {
		to = without_deployment(s, &err);
	} else {
		plan(&r);
		to = sutra_snapshot_new(s->d->n, s->d->record->n_balancers, r.n_gateways);
		ask_all(&r);
		if (to)
			fill(to, &r, to->time_us = sutra_clock_wall_us());
		release_round(&r);
	}
	if (!to)
		return NULL;
	to->interval_s = (double)interval_ns / 1e9;
	sutra_snapshot_rates(to, s->before);
	add_commands(s, to);
	sutra_observe(to, s->before);
	sutra_snapshot_unref(s->before);
	s->before = sutra_snapshot_ref(to);
	return to;
}

struct sutra_snapshot *sutra_sampler_take(struct sutra_sampler *s)
{
	sutra_engine_limit(ENGINE_NS);
	return sample(s, s->interval_ns);
}

static void publish(struct sutra_sampler *s, struct sutra_snapshot *snap, const struct sutra_log_text *log)
{
	uint64_t one = 1;

	pthread_mutex_lock(&s->lock);
	if (snap) {
		sutra_snapshot_unref(s->newest);
		s->newest = snap;
	}
	if (log->text) {
		sutra_free(s->log.text);
		s->log = *log;
	}
	pthread_mutex_unlock(&s->lock);
	if (s->wake_fd >= 0 && write(s->wake_fd, &one, sizeof(one)) < 0)
		return;	/* EAGAIN: the counter is full, so the reader is awake */
}

static void *run_sampler(void *arg)
{
	struct sutra_sampler *s = arg;
	uint64_t next = sutra_clock_ns();
	unsigned taken = 0;

	sutra_engine_limit(ENGINE_NS);
	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		uint64_t interval = s->interval_ns, now;
		char service[64];
		struct sutra_log_text log = { 0 };
		struct sutra_snapshot *snap;

		memcpy(service, s->log_service, sizeof(service));
		s->at_once = false;
		pthread_mutex_unlock(&s->lock);
		snap = sample(s, interval);
		if (service[0])
			sutra_logtail_look(s->tail, s->d, service, &log);
		publish(s, snap, &log);
		now = sutra_clock_ns();
		next += taken++ || interval < FIRST_AGAIN_NS ? interval : FIRST_AGAIN_NS;
		next = next < now ? now + interval : next;	/* late: missed samples are skipped */
		pthread_mutex_lock(&s->lock);
		while (!s->stopping && !s->at_once && sutra_clock_ns() < next) {
			struct timespec until = sutra_clock_timespec(next);

			pthread_cond_timedwait(&s->changed, &s->lock, &until);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int sutra_sampler_start(struct sutra_sampler *s, int wake_fd, struct sutra_err *err)
{
	s->wake_fd = wake_fd;
	if (pthread_create(&s->thread, NULL, run_sampler, s))
		return sutra_fail(err, SUTRA_E_IO, "cannot start the sampling thread");
	s->started = true;
	return 0;
}

struct sutra_snapshot *sutra_sampler_newest(struct sutra_sampler *s)
{
	struct sutra_snapshot *snap;

	pthread_mutex_lock(&s->lock);
	snap = s->newest;
	s->newest = NULL;
	pthread_mutex_unlock(&s->lock);
	return snap;
}

static void sample_at_once(struct sutra_sampler *s)
{
	s->at_once = true;
	pthread_cond_broadcast(&s->changed);
}

void sutra_sampler_set_interval(struct sutra_sampler *s, uint64_t interval_ns)
{
	pthread_mutex_lock(&s->lock);
	s->interval_ns = interval_ns;
	sample_at_once(s);
	pthread_mutex_unlock(&s->lock);
}

void sutra_sampler_watch_log(struct sutra_sampler *s, const char *service)
{
	pthread_mutex_lock(&s->lock);
	if (strcmp(s->log_service, service) != 0) {
		SAMPLE_COPY(s->log_service, service);
		sutra_free(s->log.text);
		s->log.text = NULL;
		sample_at_once(s);
	}
	pthread_mutex_unlock(&s->lock);
}

bool sutra_sampler_log(struct sutra_sampler *s, struct sutra_log_text *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->log;
	s->log.text = NULL;
	pthread_mutex_unlock(&s->lock);
	return ret->text != NULL;
}
