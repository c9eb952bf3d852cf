/* GET /health, /ping, /metrics on the storage port. */
#include <string.h>

#include "base/buf.h"
#include "base/metric.h"
#include "daemon/daemon.h"
#include "net/plain.h"
#include "storage.h"

const char *storage_health(void *storage, struct sutra_buf *b)
{
	struct storage *s = storage;
	struct sutra_engine_stats e;

	sutra_engine_stats(s->engine, &e);
	sutra_buf_addf(b, ",\"role\":\"%s\",\"concepts\":%llu,\"writes\":\"%s\"", s->settings.role,
		       (unsigned long long)e.concepts, e.read_only ? "read_only" : "ok");
	if (e.read_only) {
		sutra_buf_adds(b, ",\"degraded\":\"");
		for (const char *at = e.read_only; *at; at++)
			sutra_buf_addc(b, *at < ' ' || *at == '"' || *at == '\\' ? ' ' : *at);
		sutra_buf_addc(b, '"');
	}
	return NULL;
}

void storage_metrics(void *storage, struct sutra_buf *b)
{
	struct storage *s = storage;
	struct sutra_engine_stats e;
	struct sutra_tcp_counts t;

	sutra_engine_stats(s->engine, &e);
	sutra_tcp_counts(s->tcp, &t);
#define ROW(name, type, help, value)                                                                   \
	sutra_buf_addf(b, "# HELP " name " " help "\n# TYPE " name " " type "\n" name " %llu\n", \
		       (unsigned long long)(value))
	ROW("sutra_storage_concepts", "gauge", "concepts kept", e.concepts);
	ROW("sutra_storage_written_total", "counter", "records written to the log", e.written);
	ROW("sutra_storage_hits_total", "counter", "concepts found", e.hits);
	ROW("sutra_storage_misses_total", "counter", "concepts not found", e.misses);
	ROW("sutra_storage_evictions_total", "counter", "concepts dropped for room", e.evictions);
	ROW("sutra_storage_expired_total", "counter", "concepts dropped for age", e.expired);
	ROW("sutra_storage_dropped_total", "counter", "writes that were refused or undone", e.dropped);
	ROW("sutra_storage_rewrites_total", "counter", "rewritings of the log", e.reconciliations);
	ROW("sutra_storage_memory_bytes", "gauge", "memory of the concepts", e.memory_bytes);
	ROW("sutra_storage_wal_bytes", "gauge", "size of the log", e.wal_bytes);
	ROW("sutra_storage_damaged_ranges", "gauge", "damage that the start found in the log",
	    s->replay.damaged_ranges);
	ROW("sutra_storage_lost_records", "gauge", "records lost in it, deletes and newer values maybe among them",
	    s->replay.lost_records);
	ROW("sutra_storage_read_only", "gauge", "1 while writes are refused", e.read_only != NULL);
	ROW("sutra_storage_requests_total", "counter", "requests", s->requests);
	ROW("sutra_storage_errors_total", "counter", "requests answered with an error", s->errors);
	ROW("sutra_storage_connections", "gauge", "open connections", t.open);
	ROW("sutra_process_resident_bytes", "gauge", "resident memory", sutra_process_memory());
#undef ROW
	sutra_buf_adds(b, "# HELP sutra_storage_ends_total why connections ended, or were not taken\n"
			  "# TYPE sutra_storage_ends_total counter\n");
	for (int i = 0; i < SUTRA_TCP_END_COUNT; i++)
		sutra_buf_addf(b, "sutra_storage_ends_total{reason=\"%s\"} %llu\n",
			       sutra_tcp_end_name((enum sutra_tcp_end)i), (unsigned long long)t.ends[i]);
}

static void answer(struct storage *s, struct sutra_tcp_conn *c, const struct sutra_plain *r)
{
	bool get = !strcmp(r->method, "GET") || !strcmp(r->method, "HEAD");
	const char *type = "application/json", *allow = NULL;
	struct sutra_buf body;
	int status = 200;

	sutra_buf_init(&body, 1 << 20);
	if (strcmp(r->path, "/health") && strcmp(r->path, "/ping") && strcmp(r->path, "/metrics")) {
		status = 404;
		sutra_buf_adds(&body, "{\"error\":{\"code\":\"not_found\",\"message\":\"there is nothing at this path\","
				      "\"hint\":\"/health, /ping and /metrics are here\"}}\n");
	} else if (!get) {
		status = 405;
		allow = "GET";
		sutra_buf_adds(&body, "{\"error\":{\"code\":\"method_not_allowed\",\"message\":\"only GET is taken\","
				      "\"hint\":\"\"}}\n");
	} else if (!strcmp(r->path, "/health")) {
		status = sutra_daemon_health(&body);
	} else if (!strcmp(r->path, "/ping")) {
		sutra_buf_adds(&body, "{\"pong\":true}\n");
	} else {
		type = "text/plain; version=0.0.4";
		sutra_daemon_metrics(&body);
	}
	sutra_plain_answer(sutra_tcp_out(c), r, status, type, allow, &body);
	sutra_buf_release(&body);
	if (!r->keep_alive || r->has_body)
		sutra_tcp_end(c);
}

size_t storage_http(struct storage *s, struct sutra_tcp_conn *c, const char *p, size_t n)
{
	struct sutra_plain request = { .method = "GET" };
	struct sutra_buf body;
	size_t used = 0;
	int len;

	while ((len = sutra_plain_parse(p + used, n - used, &request)) > 0) {
		used += (size_t)len;
		s->requests++;
		answer(s, c, &request);
		if (!request.keep_alive || request.has_body)
			return n;
		if (sutra_tcp_yield(c))
			return used;
	}
	if (len < 0) {
		sutra_buf_init(&body, 1024);
		sutra_buf_addf(&body, "{\"error\":{\"code\":\"%s\",\"message\":\"the request's head cannot be read\","
				      "\"hint\":\"\"}}\n", sutra_err_name(len));
		request.keep_alive = false;
		sutra_plain_answer(sutra_tcp_out(c), &request, sutra_err_http(len), "application/json", NULL, &body);
		sutra_buf_release(&body);
		sutra_tcp_end(c);
		return n;
	}
	return used;
}
