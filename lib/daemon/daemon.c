#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jsonio.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/setting.h"
#include "base/shown.h"
#include "base/version.h"
#include "daemon/openapi.h"
#include "net/port.h"

/* The settings that every daemon has. */
static const struct sutra_setting_use shared[] = {
	{ "LOG_FORMAT", 0, NULL },     { "LOG_LEVEL", 0, NULL },    { "SUTRA_LISTEN", 0, NULL },
	{ "SUTRA_LISTEN_#", 0, NULL }, { "SUTRA_REEXEC", 0, NULL }, { 0 },
};

static const struct sutra_daemon *self;	/* the daemon that this process is */
static atomic_bool stopping;
static struct sutra_buf openapi;

enum { SPARE_FILES = 64 };	/* descriptors beside those of connections */

/* Balancers check /ready every 500 ms (compose/haproxy). If none does for a second, there is none. */
static const uint64_t check_ns = 1000000000;

static uint64_t started_ns;
static sigset_t handled;
static atomic_bool draining, announced;	/* announced: an answer of /ready was "draining" */
static atomic_ullong checked_ns;	/* the last request of /ready before draining; 0: none */

/* Before any thread: blocks the signals, ignores PIPE, raises the descriptor limit to its hard value, and
 * sets up the log from LOG_LEVEL and LOG_FORMAT. */
static int set_up_process(struct sutra_err *err)
{
	const char *level, *format;
	struct rlimit files;
	int rc;

	started_ns = sutra_clock_ns();
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&handled);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGHUP);
	sigaddset(&handled, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &handled, NULL);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	rc = sutra_setting_read("LOG_FORMAT", &format, err);
	rc = rc ? rc : sutra_setting_read("LOG_LEVEL", &level, err);
	return rc ? rc : sutra_log_setup(level, format);
}

/* After the first stop signal the next one ends the process at once. */
static void *exit_on_second(void *unused)
{
	int sig;

	do
		sigwait(&handled, &sig);
	while (sig == SIGHUP || sig == SIGUSR1);
	_exit(128 + sig);
}

/* is_draining() for an answer of /ready: notes that a balancer has checked, and what the answer is. */
static bool announce_draining(void)
{
	bool drained = atomic_load(&draining);

	if (drained)
		atomic_store(&announced, true);
	else
		atomic_store(&checked_ns, sutra_clock_ns());
	return drained;
}

/* Answers then carry Connection: close, so that clients with open connections change to another instance. */
static bool is_draining(void) { return atomic_load(&draining); }

/* Whether balancers know of the draining: an answer of /ready said so, or none has checked for a second. */
static bool is_announced(void)
{
	uint64_t checked = atomic_load(&checked_ns);

	return !checked || atomic_load(&announced) || sutra_clock_ns() - checked > check_ns;
}

/* Waits for TERM or INT (false), or HUP (true: restart). USR1 begins draining, as TERM and INT do. */
static bool wait_for_signal(void)
{
	pthread_t thread;
	int sig = 0;

	while (sigwait(&handled, &sig) || sig == SIGUSR1)
		if (sig == SIGUSR1)
			atomic_store(&draining, true);
	if (sig == SIGHUP)
		return true;
	atomic_store(&draining, true);
	if (!pthread_create(&thread, NULL, exit_on_second, NULL))
		pthread_detach(thread);
	return false;
}

const char *sutra_listen_for(const char *host, int port)
{
	static char fallback[80];
	const char *list, *everywhere = sutra_setting_env("SUTRA_LISTEN");
	char name[32];

	snprintf(name, sizeof(name), "SUTRA_LISTEN_%d", port);
	list = sutra_setting_env(name);
	if (list)
		return list;
	host = everywhere ? everywhere : host ? host : sutra_setting_find("SUTRA_LISTEN")->fallback;
	snprintf(fallback, sizeof(fallback), strchr(host, ':') ? "[%.60s]:%d" : "%.60s:%d", host, port);
	return fallback;
}

unsigned sutra_daemon_connections(unsigned wanted)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= (rlim_t)wanted + SPARE_FILES)
		return wanted;
	return files.rlim_cur > 2 * SPARE_FILES ? (unsigned)files.rlim_cur - SPARE_FILES :
							(unsigned)(files.rlim_cur + 1) / 2;
}

/* Moves the descriptors to 3, 4, ... without close-on-exec, and sets it on all others. */
static int place_descriptors(const int *fds, int n)
{
	int high[SUTRA_LISTEN_MAX];

	for (int i = 0; i < n; i++) {
		high[i] = fcntl(fds[i], F_DUPFD, SUTRA_LISTEN_FIRST + SUTRA_LISTEN_MAX);
		if (high[i] < 0)
			return -1;
	}
	for (int i = 0; i < n; i++)
		if (dup2(high[i], SUTRA_LISTEN_FIRST + i) < 0)
			return -1;
	return (int)syscall(SYS_close_range, (unsigned)(SUTRA_LISTEN_FIRST + n), ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
}

/* Runs the next program, which inherits the descriptors; returns only on failure. */
static int run_again(const int *fds, int n, char **argv, struct sutra_err *err)
{
	const char *command = sutra_setting_env("SUTRA_REEXEC");
	char number[16];

	if (n > SUTRA_LISTEN_MAX || place_descriptors(fds, n))
		return sutra_fail_errno(err, "cannot keep %d sockets over a restart", n);
	snprintf(number, sizeof(number), "%d", n);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof(number), "%ld", (long)getpid());
	setenv("LISTEN_PID", number, 1);
	/* Signals stay blocked: the next program's wait_for_signal takes one that comes now. */
	if (command)
		execl(command, command, (char *)NULL);
	else
		execv("/proc/self/exe", argv);
	return sutra_fail_errno(err, "cannot run %s again", command ? command : "the program");
}

double sutra_daemon_uptime(void) { return (double)(sutra_clock_ns() - started_ns) / 1e9; }

int sutra_daemon_health(struct sutra_buf *b)
{
	struct sutra_buf fields;
	const char *reason;

	sutra_buf_init(&fields, 4096);
	reason = self->health(self->ctx, &fields);
	if (atomic_load(&stopping))
		reason = "stopping";
	sutra_buf_addf(b, "{\"status\":\"%s\",\"service\":\"%s\",\"version\":\"%s\",\"uptime_seconds\":%.3f",
		       reason ? "unhealthy" : "healthy", self->name, SUTRA_VERSION, sutra_daemon_uptime());
	if (reason) {
		sutra_buf_adds(b, ",\"reason\":");
		sutra_json_add_string(b, reason, strlen(reason));
	}
	sutra_buf_add(b, sutra_buf_str(&fields), fields.len);
	sutra_buf_adds(b, "}\n");
	sutra_buf_release(&fields);
	return reason ? 503 : 200;
}

void sutra_daemon_metrics(struct sutra_buf *b)
{
	self->metrics(self->ctx, b);
	sutra_buf_addf(b,
		       "# HELP sutra_build_info the program: always 1\n# TYPE sutra_build_info gauge\n"
		       "sutra_build_info{service=\"%s\",version=\"%s\",compiler=\"%s\"} 1\n",
		       self->name, SUTRA_VERSION, __VERSION__);
	sutra_process_prometheus(b);
}

static void answer_health(struct sutra_http_request *r, void *ctx)
{
	struct sutra_buf b;
	int status;

	sutra_buf_init(&b, 8192);
	status = sutra_daemon_health(&b);
	sutra_http_reply_json(r, status, &b);
}

static void answer_ready(struct sutra_http_request *r, void *ctx)
{
	struct sutra_buf b;

	if (!announce_draining()) {
		answer_health(r, ctx);
		return;
	}
	sutra_buf_init(&b, 256);
	sutra_buf_adds(&b, "{\"status\":\"draining\"}\n");
	sutra_http_reply_json(r, 404, &b);
}

static void answer_metrics(struct sutra_http_request *r, void *ctx)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 4 << 20);
	sutra_daemon_metrics(&b);
	sutra_http_metrics(r, &b);
	sutra_http_reply(r, 200, "text/plain; version=0.0.4", &b);
}

static void answer_openapi(struct sutra_http_request *r, void *ctx)
{
	struct sutra_buf b;

	sutra_buf_init(&b, openapi.len + 1);
	sutra_buf_add(&b, openapi.data, openapi.len);
	sutra_http_reply_json(r, 200, &b);
}

static const char health[] = SUTRA_SCHEMA({
	OBJECT("status") {
		"status": {"enum": ["healthy", "unhealthy", "draining"]}, "service": STRING, "version": STRING,
		"uptime_seconds": {"type": "number"}, "reason": STRING
	}
});

static const struct sutra_http_route common[] = {
	{ "GET", "/health", .handler = answer_health, .summary = "whether it can serve",
	  .answer = health, .also = "503" },
	{ "GET", "/ready", .handler = answer_ready, .summary = "the same, and 404 once drained: for balancers",
	  .answer = health, .also = "404 503" },
	{ "GET", "/metrics", .handler = answer_metrics,
	  .summary = "counters and durations, as Prometheus reads them", .answer_type = "text/plain" },
	{ "GET", "/ping", .handler = sutra_http_ping, .summary = "whether the process answers",
	  .answer = SUTRA_SCHEMA({"type": "object", "required": ["pong"]}) },
	{ "GET", "/openapi.json", .handler = answer_openapi, .summary = "this document",
	  .answer = SUTRA_SCHEMA({"type": "object", "required": ["openapi", "info", "paths"]}) },
	{ 0 },
};

void sutra_daemon_routes(const struct sutra_http_route *own, struct sutra_http_route *ret)
{
	const struct sutra_http_route *const tables[] = { own, common };
	size_t n = 0;

	for (size_t i = 0; i < 2; i++)
		for (const struct sutra_http_route *t = tables[i]; t->method && n < SUTRA_DAEMON_ROUTES - 1; t++)
			ret[n++] = *t;
	ret[n] = (struct sutra_http_route){ 0 };
}

static int restart(const int *fds, int n, char **argv, struct sutra_err *err)
{
	if (self->flush)
		self->flush(self->ctx);
	return run_again(fds, n, argv, err);
}

/* Serves until a signal ends it. */
static int serve_http(char **argv, struct sutra_err *err)
{
	static struct sutra_http_route routes[SUTRA_DAEMON_ROUTES];
	const struct sutra_http_options o = {
		.listen = sutra_listen_for(self->host ? *self->host : NULL, (int)*self->port),
		.routes = routes,
		.max_held = (size_t)*self->bodies_mb << 20,
		.allowed_hosts = *self->allowed_hosts,
		.draining = is_draining,
		.noticed = is_announced,
		.ctx = self->ctx,
	};
	struct sutra_http_server *server;
	const int *fds;
	bool idle;
	int rc;

	sutra_daemon_routes(self->routes, routes);
	sutra_buf_init(&openapi, 1 << 20);
	rc = sutra_openapi(self->name, routes, &openapi, err);
	rc = rc ? rc : sutra_http_server_start(&o, &server, err);
	if (rc)
		return rc;
	self->listening(self->ctx, sutra_http_server_address(server));
	if (wait_for_signal()) {
		sutra_log(SUTRA_INFO, self->area, "restarting", NULL);
		sutra_http_server_pause(server, self->grace_ns);
		rc = sutra_http_server_sockets(server, &fds);
		return restart(fds, rc, argv, err);
	}
	atomic_store(&stopping, true);
	sutra_log(SUTRA_INFO, self->area, "stopping", "requests=%u", sutra_http_server_active(server));
	idle = sutra_http_server_stop(server, self->grace_ns);
	if (self->flush)
		self->flush(self->ctx);
	if (!idle || !self->close)	/* requests in flight or detached threads still use the service */
		_exit(0);
	sutra_http_server_free(server);
	return 0;
}

static void *stop_at_signal(void *restart)
{
	*(bool *)restart = wait_for_signal();
	self->stop(self->ctx);
	return NULL;
}

static int serve_other(char **argv, struct sutra_err *err)
{
	const char *list = sutra_listen_for(self->host ? *self->host : NULL, (int)*self->port);
	bool again;
	int fds[SUTRA_LISTEN_MAX], n, rc;
	pthread_t waiter;

	rc = sutra_listen_open(list, 4096, fds, SUTRA_LISTEN_MAX, &n, err);
	rc = rc ? rc : self->start(self->ctx, fds, n, err);
	if (!rc && pthread_create(&waiter, NULL, stop_at_signal, &again))
		rc = sutra_fail(err, SUTRA_E_NOMEM, "cannot start a thread");
	if (rc)
		return rc;
	self->listening(self->ctx, list);
	self->run(self->ctx);
	pthread_join(waiter, NULL);
	if (again)
		return restart(fds, n, argv, err);
	self->flush(self->ctx);
	return 0;
}

static int usage(const struct sutra_daemon *d, FILE *out, int code)
{
	fprintf(out, "usage: sutra-%s [--settings | --version | --help", d->name);
	for (const struct sutra_daemon_command *c = d->commands; c && c->option; c++)
		fprintf(out, " | %s%s", c->option, c->operands);
	fprintf(out, "]\n%s; configured by environment variables\n", d->help);
	return code;
}

/* Prints the error in a line; returns its exit code. */
static int report(const struct sutra_daemon *d, int rc, const struct sutra_err *err)
{
	sutra_shown_printf(stderr, "sutra-%s: %s%s%s\n", d->name, err->message, *err->hint ? "; " : "", err->hint);
	return sutra_err_exit(rc);
}

static int run_option(const struct sutra_daemon *d, int argc, char **argv)
{
	struct sutra_err err = { 0 };

	if (argc == 2 && !strcmp(argv[1], "--settings"))
		return sutra_settings_print(d->settings, stdout), sutra_settings_print(shared, stdout), 0;
	if (argc == 2 && !strcmp(argv[1], "--version"))
		return printf("sutra-%s %s\n", d->name, SUTRA_VERSION) < 0;
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return usage(d, stdout, 0);
	for (const struct sutra_daemon_command *c = d->commands; c && c->option; c++) {
		int rc, n = argc - 2;

		if (strcmp(argv[1], c->option) || n < c->min || n > c->max)
			continue;
		rc = c->run(d->ctx, argv + 2, n, &err);
		return rc < 0 ? report(d, rc, &err) : rc;
	}
	return usage(d, stderr, 2);
}

int sutra_daemon_main(const struct sutra_daemon *d, int argc, char **argv)
{
	struct sutra_err err = { 0 };
	int rc;

	if (argc > 1)
		return run_option(d, argc, argv);
	self = d;
	rc = set_up_process(&err);
	rc = rc ? rc : sutra_settings_load(d->settings, d->ctx, &err);
	rc = rc ? rc : d->open(d->ctx, &err);
	rc = rc ? rc : d->routes ? serve_http(argv, &err) : serve_other(argv, &err);
	if (d->close)
		d->close(d->ctx);
	return rc ? report(d, rc, &err) : 0;
}
