#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "base/version.h"
#include "net/http.h"
#include "sutra/production/production.h"

enum { MAX_ANSWER = 1 << 20 };

/* Each look prepares the answers, so that a request costs the stack nothing. */
struct production_server {
	struct sutra_http_server *http;
	uint64_t stale_ns;
	pthread_mutex_t lock;
	uint64_t looked_ns;
	bool well;
	json_t *health;
	struct sutra_buf metrics;
};

static double age_of(const struct production_server *s) { return (double)(sutra_clock_ns() - s->looked_ns) / 1e9; }

static void answer_health(struct sutra_http_request *r, void *ctx)
{
	struct production_server *s = ctx;
	struct sutra_buf b;
	json_t *o;
	bool stale, well;

	sutra_buf_init(&b, MAX_ANSWER);
	pthread_mutex_lock(&s->lock);
	stale = !s->looked_ns || sutra_clock_ns() - s->looked_ns > s->stale_ns;
	well = s->well && !stale;
	o = s->health ? json_copy(s->health) : json_object();
	json_object_set_new(o, "age_seconds", s->looked_ns ? json_real(age_of(s)) : json_null());
	pthread_mutex_unlock(&s->lock);
	json_object_set_new(o, "schema", json_string("sutra.monitor-health/1"));
	json_object_set_new(o, "service", json_string("production-monitor"));
	json_object_set_new(o, "version", json_string(SUTRA_VERSION));
	json_object_set_new(o, "stale", json_boolean(stale));
	json_object_set_new(o, "status", json_string(well ? "healthy" : "unhealthy"));
	sutra_json_add(&b, o, 0);
	json_decref(o);
	sutra_http_reply_json(r, well ? 200 : 503, &b);
}

static void answer_metrics(struct sutra_http_request *r, void *ctx)
{
	struct production_server *s = ctx;
	struct sutra_buf b;

	sutra_buf_init(&b, MAX_ANSWER);
	pthread_mutex_lock(&s->lock);
	sutra_buf_add(&b, sutra_buf_str(&s->metrics), s->metrics.len);
	sutra_buf_addf(&b, "# HELP sutra_monitor_age_seconds time since the last look\n"
			   "# TYPE sutra_monitor_age_seconds gauge\nsutra_monitor_age_seconds %.3f\n", age_of(s));
	pthread_mutex_unlock(&s->lock);
	sutra_http_reply(r, 200, "text/plain; version=0.0.4", &b);
}

static const struct sutra_http_route routes[] = {
	{ "GET", "/health", .handler = answer_health },
	{ "GET", "/metrics", .handler = answer_metrics },
	{ "GET", "/ping", .handler = sutra_http_ping },
	{ 0 },
};

int production_serve(const char *address, uint64_t stale_ns, struct production_server **ret, struct sutra_err *err)
{
	struct production_server *s = xcalloc(1, sizeof(*s));
	const struct sutra_http_options o = {
		.listen = address, .routes = routes, .ctx = s, .threads = 1,
		.max_connections = 64, .max_body = 4096,
	};
	int rc;

	s->stale_ns = stale_ns;
	pthread_mutex_init(&s->lock, NULL);
	sutra_buf_init(&s->metrics, MAX_ANSWER);
	rc = sutra_http_server_start(&o, &s->http, err);
	if (rc)
		production_serve_end(s);
	else
		*ret = s;
	return rc;
}

static void add_gauge(struct sutra_buf *b, const char *name, const char *help, double value)
{
	sutra_buf_addf(b, "# HELP %s %s\n# TYPE %s gauge\n%s %.9g\n", name, help, name, name, value);
}

static void write_metrics(struct sutra_buf *b, const struct production_look *k, const struct production_alerts *a)
{
	add_gauge(b, "sutra_monitor_services", "services of the deployment", (double)k->n);
	add_gauge(b, "sutra_monitor_services_up", "services that are up", (double)k->up);
	add_gauge(b, "sutra_monitor_services_down", "services that are down", (double)k->down);
	add_gauge(b, "sutra_monitor_requests", "requests of the last look", k->asked);
	add_gauge(b, "sutra_monitor_requests_failed", "requests of the last look that failed", k->failed);
	if (k->p95_ms >= 0) {
		add_gauge(b, "sutra_monitor_p50_seconds", "median time of the last look's requests", k->p50_ms / 1e3);
		add_gauge(b, "sutra_monitor_p95_seconds", "95th percentile of the last look's requests",
			  k->p95_ms / 1e3);
	}
	if (k->hit_percent >= 0)
		add_gauge(b, "sutra_monitor_hit_ratio", "share of clients' texts from the cache since the look before",
			  k->hit_percent / 100);
	if (k->n)
		sutra_buf_adds(b, "# HELP sutra_monitor_service_up 1 up, 0 anything else\n"
				  "# TYPE sutra_monitor_service_up gauge\n");
	for (size_t i = 0; i < k->n; i++)
		sutra_buf_addf(b, "sutra_monitor_service_up{service=\"%s\"} %d\n", k->probes[i].name,
			       k->probes[i].state == SUTRA_UP);
	sutra_buf_adds(b, "# HELP sutra_monitor_alert 1 while it is raised\n# TYPE sutra_monitor_alert gauge\n");
	for (int i = 0; i < ALERT_KINDS; i++)
		sutra_buf_addf(b, "sutra_monitor_alert{alert=\"%s\"} %d\n", production_kind_name((enum production_kind)i),
			       a->alarms[i].active);
}

void production_serve_look(struct production_server *s, const struct production_look *k, const struct production_alerts *a)
{
	json_t *alerts = json_array(), *o;

	for (size_t i = 0; i < a->n; i++)
		if (!a->events[i].cleared_us)
			json_array_append_new(alerts, production_event_document(&a->events[i]));
	o = json_pack("{s:i, s:i, s:i, s:o}", "services", (int)k->n, "up", (int)k->up, "down", (int)k->down, "alerts",
		      alerts);
	pthread_mutex_lock(&s->lock);
	json_decref(s->health);
	s->health = o;
	s->well = !production_alerts_active(a);
	s->looked_ns = sutra_clock_ns();
	sutra_buf_clear(&s->metrics);
	write_metrics(&s->metrics, k, a);
	pthread_mutex_unlock(&s->lock);
}

void production_serve_end(struct production_server *s)
{
	if (!s)
		return;
	if (s->http && !sutra_http_server_stop(s->http, 1000000000))
		return;	/* a thread still uses s */
	sutra_http_server_free(s->http);
	json_decref(s->health);
	sutra_buf_release(&s->metrics);
	pthread_mutex_destroy(&s->lock);
	sutra_free(s);
}
