/*
 * Ready for production, by what the services report: health, versions, metrics, the
 * balancer's page. Nothing here changes anything.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/version.h"
#include "check/check.h"
#include "check/kinds.h"
#include "probe/promtext.h"
#include "net/fetch.h"
#include "deploy/haproxy_csv.h"
#include "probe/cause.h"
#include "probe/health.h"

static const uint64_t REQUEST_NS = 5000000000u, PROBE_NS = 2000000000u;

bool sutra_check_metrics_url(const struct sutra_check_run *r, const struct sutra_deployed *s,
			     char url[SUTRA_CHECK_URL])
{
	const char *stats = sutra_deployment_statistics(r->env->d, s->unit->name);
	const char *beside = stats ? stats : s->health_url;
	const char *slash = beside && s->now.pid ? strrchr(beside, '/') : NULL;

	if (slash)
		snprintf(url, SUTRA_CHECK_URL, "%.*s/metrics", (int)(slash - beside), beside);
	return slash;
}

/* Asks every service for its health; *ret stands beside the deployment's services. */
static int probe_all(struct sutra_check_run *r, const struct sutra_probe **ret, struct sutra_err *err)
{
	sutra_deployment_refresh(r->env->d);
	*ret = r->env->probes;
	return sutra_health_probe(r->env->d, PROBE_NS, r->env->probes, err);
}

/* Fails with the reason why p is not up, and the root causes of everything that is not. */
static int unwell(struct sutra_check_run *r, const struct sutra_probe *all, const struct sutra_probe *p)
{
	struct sutra_root_causes c;
	struct sutra_buf b;
	int rc;

	sutra_buf_init(&b, 4096);
	if (!sutra_root_causes_find(all, r->env->d->n, &c, NULL)) {
		for (size_t i = 0; i < c.n; i++) {
			sutra_buf_adds(&b, i ? "; " : "root cause: ");
			sutra_root_cause_say(all, &c.items[i], &b);
		}
		sutra_root_causes_release(&c);
	}
	rc = sutra_check_no(r, "%s is %s (%s%s%s); %s", p->name, sutra_probe_state_name(p->state),
			    sutra_probe_reason_name(p->reason), p->detail[0] ? ": " : "", p->detail, sutra_buf_str(&b));
	sutra_buf_release(&b);
	return rc;
}

static int run_healthy(struct sutra_check_run *r, struct sutra_err *err)
{
	const struct sutra_probe *all, *bad = NULL, *slowest = NULL;
	size_t n = 0, up = 0;
	int rc = probe_all(r, &all, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < r->env->d->n; i++) {
		const struct sutra_probe *p = &all[i];

		if (r->check->service && strcmp(p->name, r->check->service) != 0)
			continue;
		n++;
		up += p->state == SUTRA_UP;
		bad = bad || p->state == SUTRA_UP ? bad : p;
		slowest = slowest && slowest->total_ns >= p->total_ns ? slowest : p;
	}
	sutra_check_set(r, "services", (double)n);
	sutra_check_set(r, "up", (double)up);
	sutra_check_set(r, "slowest_ms", (double)slowest->total_ns / 1e6);
	sutra_check_say(r, "%zu of %zu healthy, slowest %s with %.1f ms", up, n, slowest->name,
			(double)slowest->total_ns / 1e6);
	return bad ? unwell(r, all, bad) : 0;
}

const struct sutra_check_kind sutra_kind_healthy = {
	.name = "healthy",
	.needs_stack = true,
	.one_service = true,
	.values = { { "services", "", 0 },
		    { "up", "", 1 },
		    { "slowest_ms", "ms", -1 } },
	.run = run_healthy,
};

static int get(struct sutra_check_run *r, const char *url, struct sutra_fetch *f, struct sutra_err *err)
{
	return sutra_fetch_get(f, url, "", sutra_check_time(r->env, REQUEST_NS), err);
}

/* HAProxy's own version, from its metrics; "" when they do not hold it. */
static void balancer_version(struct sutra_check_run *r, const char *url, char out[32])
{
	struct sutra_fetch f;

	out[0] = '\0';
	if (!get(r, url, &f, NULL))
		sutra_promtext_label(sutra_buf_str(&f.answer), "haproxy_process_build_info", "version", out, 32);
	sutra_fetch_release(&f);
}

static int run_versions(struct sutra_check_run *r, struct sutra_err *err)
{
	char wrong[160] = "", haproxy[32] = "", url[SUTRA_CHECK_URL];
	const struct sutra_probe *all;
	size_t ours = 0, other = 0, untold = 0;
	int rc = probe_all(r, &all, err);

	for (size_t i = 0; !rc && i < r->env->d->n; i++) {
		const struct sutra_deployed *s = &r->env->d->services[i];
		bool is_ours = sutra_str_starts(s->unit->program, "sutra-");
		const char *version = all[i].version;

		if (!all[i].status || !sutra_check_metrics_url(r, s, url))
			continue;	/* it does not answer: kind healthy reports that */
		if (!is_ours) {
			balancer_version(r, url, haproxy);
			version = haproxy;
		}
		ours += is_ours && !strcmp(version, SUTRA_VERSION);
		other += is_ours && *version && strcmp(version, SUTRA_VERSION) != 0;
		untold += !*version;
		if (!wrong[0] && (!*version || (is_ours && strcmp(version, SUTRA_VERSION) != 0)))
			snprintf(wrong, sizeof(wrong), "%.60s says %.60s", s->unit->name, *version ? version : "none");
	}
	if (rc)
		return rc;
	sutra_check_set(r, "same", (double)ours);
	sutra_check_set(r, "different", (double)other);
	sutra_check_set(r, "untold", (double)untold);
	sutra_check_say(r, "%zu services run %s, as this command%s%s", ours, SUTRA_VERSION,
			*haproxy ? "; HAProxy " : "", haproxy);
	return wrong[0] ? sutra_check_no(r, "this command is version %s, and %s", SUTRA_VERSION, wrong) : 0;
}

const struct sutra_check_kind sutra_kind_versions = {
	.name = "versions",
	.needs_stack = true,
	.values = { { "same", "", 1 },
		    { "different", "", -1 },
		    { "untold", "", -1 } },
	.run = run_versions,
};

/* Asks one service for its metrics; *ret: how many samples. */
static int metrics_of(struct sutra_check_run *r, const struct sutra_deployed *s, size_t *ret,
		      struct sutra_err *err)
{
	char type[80] = "", url[SUTRA_CHECK_URL];
	struct sutra_fetch f;
	int rc;

	if (!sutra_check_metrics_url(r, s, url))
		return sutra_fail(err, SUTRA_E_NOTFOUND, "%s does not run", s->unit->name);
	rc = get(r, url, &f, err);
	sutra_fetch_header(&f, "content-type", type, sizeof(type));
	if (!rc && !sutra_str_starts(type, "text/plain"))
		rc = sutra_fail(err, SUTRA_E_INVALID, "its type is \"%s\", not text/plain", type);
	rc = rc ? rc : sutra_promtext_check(sutra_buf_str(&f.answer), ret, err);
	if (!rc && !*ret)
		rc = sutra_fail(err, SUTRA_E_INVALID, "no sample in it");
	if (rc)
		sutra_err_prefix(err, "metrics of %s", s->unit->name);
	sutra_fetch_release(&f);
	return rc;
}

static int run_metrics(struct sutra_check_run *r, struct sutra_err *err)
{
	struct sutra_err first = { 0 };
	size_t answered = 0, samples = 0, one;

	for (size_t i = 0; i < r->env->d->n; i++) {
		if (!metrics_of(r, &r->env->d->services[i], &one, first.code ? err : &first)) {
			answered++;
			samples += one;
		}
	}
	sutra_check_set(r, "services", (double)answered);
	sutra_check_set(r, "missing", (double)(r->env->d->n - answered));
	sutra_check_set(r, "samples", (double)samples);
	sutra_check_say(r, "%zu of %zu services answer Prometheus text, %zu samples", answered, r->env->d->n,
			samples);
	return answered < r->env->d->n ? sutra_check_no(r, "%s", first.message) : 0;
}

const struct sutra_check_kind sutra_kind_metrics = {
	.name = "metrics",
	.needs_stack = true,
	.values = { { "services", "", 1 },
		    { "missing", "", -1 },
		    { "samples", "", 0 } },
	.run = run_metrics,
};

static int run_stats_page(struct sutra_check_run *r, struct sutra_err *err)
{
	const char *name = r->check->service, *csv;
	struct sutra_haproxy_stats s;
	struct sutra_fetch f;
	char url[SUTRA_CHECK_URL];
	size_t servers = 0;
	int rc;

	csv = name ? sutra_deployment_statistics(r->env->d, name) : NULL;
	if (!csv)
		return sutra_check_no(r, "%s is no balancer with statistics", name ? name : "the service, which is not named,");
	snprintf(url, sizeof(url), "%.*s", (int)strcspn(csv, ";"), csv);
	rc = get(r, url, &f, err);
	if (!rc && !strstr(sutra_buf_str(&f.answer), "Statistics Report"))
		rc = sutra_check_no(r, "%s answers something else than HAProxy's page", name);
	rc = rc ? rc : sutra_haproxy_fetch(csv, sutra_check_time(r->env, REQUEST_NS), &s, err);
	if (!rc) {
		while (sutra_haproxy_server(&s, NULL, servers))
			servers++;
		sutra_haproxy_release(&s);
		sutra_check_set(r, "servers", (double)servers);
		sutra_check_set(r, "ms", (double)f.total_ns / 1e6);
		sutra_check_say(r, "%s: page, and figures of %zu servers, in %.1f ms", name, servers,
				(double)f.total_ns / 1e6);
	}
	sutra_fetch_release(&f);
	return rc;
}

const struct sutra_check_kind sutra_kind_stats_page = {
	.name = "stats_page",
	.one_service = true,
	.needs_stack = true,
	.logs = SUTRA_LOGS_BALANCER,
	.values = { { "servers", "", 1 }, { "ms", "ms", -1 } },
	.run = run_stats_page,
};

/* An item that is proved elsewhere or not at all: it is reported as skipped, never as passed. */
static int run_left_out(struct sutra_check_run *r, struct sutra_err *err)
{
	return sutra_check_skip(r, "%s", r->check->hint ? r->check->hint : "not measured here");
}

const struct sutra_check_kind sutra_kind_left_out = {
	.name = "left_out",
	.run = run_left_out,
};
