/*
 * A transfer is an easy handle. prepare() and finish() serve all ways to run it: sutra_fetch_many drives a
 * multi handle on the caller's thread, sutra_fetch_one is that with one transfer, and a fetcher is a thread
 * with a multi handle whose connections stay open.
 *
 * Only the fetcher's thread uses its multi handle. sutra_fetcher_submit puts jobs on a list under the lock
 * and wakes the thread; done() runs without the lock.
 */
#include "net/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/version.h"

enum {
	DEFAULT_PARALLEL = 64,
	DEFAULT_TIMEOUT_S = 10,
	MAX_HEADERS = 64 << 10,
	MAX_URL = 2048,
	MAX_ANSWER = 64 << 20,
	IDLE_HANDLES = 64,
	IDLE_CONNECTIONS = 64,
	REQUESTS_PER_CONNECTION = 16,
};

static const char *const reason_names[] = {
#define X(sym, name) name,
	SUTRA_FETCH_REASONS(X)
#undef X
};

const char *sutra_fetch_reason_name(enum sutra_fetch_reason r) { return reason_names[r]; }

int sutra_fetch_code(enum sutra_fetch_reason r)
{
	if (r == SUTRA_FETCH_CONNECT_TIMEOUT || r == SUTRA_FETCH_FIRST_BYTE_TIMEOUT || r == SUTRA_FETCH_TRANSFER_TIMEOUT)
		return SUTRA_E_TIMEOUT;
	return r ? SUTRA_E_UNAVAILABLE : 0;
}

static CURLcode initialised = CURLE_FAILED_INIT;	/* written within pthread_once */

static void initialise(void) { initialised = curl_global_init(CURL_GLOBAL_DEFAULT); }

int sutra_fetch_ready(struct sutra_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, initialise);
	return initialised ? sutra_fail(err, SUTRA_E_UNAVAILABLE, "libcurl does not initialise: %s",
					curl_easy_strerror(initialised)) :
			     0;
}

void sutra_fetch_init(struct sutra_fetch *f)
{
	memset(f, 0, sizeof(*f));
	sutra_buf_init(&f->answer, MAX_ANSWER);
	sutra_buf_init(&f->answer_headers, MAX_HEADERS);
}

void sutra_fetch_release(struct sutra_fetch *f)
{
	sutra_buf_release(&f->answer);
	sutra_buf_release(&f->answer_headers);
}

int sutra_fetch_header(const struct sutra_fetch *f, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);

	for (const char *line = sutra_buf_str(&f->answer_headers); *line;) {
		size_t len = strcspn(line, "\r\n"), used;

		if (len > n && line[n] == ':' && !strncasecmp(line, name, n)) {
			const char *value = line + n + 1 + strspn(line + n + 1, " \t");

			used = (size_t)(line + len - value);
			if (used >= size)
				used = size - 1;
			memcpy(out, value, used);
			out[used] = '\0';
			return 0;
		}
		line += len + strspn(line + len, "\r\n");
	}
	return SUTRA_E_NOTFOUND;
}

/* A running transfer. */
struct job {
	CURL *easy;
	struct curl_slist *headers;
	struct sutra_fetch *f;
	void (*done)(struct sutra_fetch *f);
	char error[CURL_ERROR_SIZE];
	struct job *next;
};

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
	struct job *j = user;

	if (j->f->on_data)
		return j->f->on_data(j->f->user, data, size * n) ? size * n : 0;
	sutra_buf_add(&j->f->answer, data, size * n);
	return sutra_buf_error(&j->f->answer) ? 0 : size * n;
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
	struct job *j = user;

	if (size * n > 5 && !strncmp(data, "HTTP/", 5))
		sutra_buf_clear(&j->f->answer_headers);
	else
		sutra_buf_add(&j->f->answer_headers, data, size * n);
	return size * n;
}

static bool has_content_type(const struct sutra_fetch *f)
{
	for (const char *const *h = f->headers; h && *h; h++)
		if (!strncasecmp(*h, "Content-Type:", 13))
			return true;
	return false;
}

static int add_headers(struct job *j)
{
	const struct sutra_fetch *f = j->f;
	/* "Expect:" keeps libcurl from waiting for 100-continue before a body. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *grown = list;

	for (const char *const *h = f->headers; grown && h && *h; h++)
		if ((grown = curl_slist_append(list, *h)))
			list = grown;
	if (grown && f->body && !has_content_type(f)) {
		grown = curl_slist_append(list, "Content-Type: application/json");
		list = grown ? grown : list;
	}
	j->headers = list;
	return grown ? 0 : SUTRA_E_NOMEM;
}

/* For libcurl, where 0 is "no limit". */
static long milliseconds(uint64_t ns) { return ns == UINT64_MAX ? 0 : (long)((ns + 999999) / 1000000); }

/* CURLOPT_NOPROXY replaces no_proxy of the environment; libcurl copies the string. */
static void set_proxy(CURL *c, bool wanted)
{
	const char *lower = getenv("no_proxy"), *direct = lower ? lower : getenv("NO_PROXY");
	char hosts[4096];

	snprintf(hosts, sizeof(hosts), "localhost,127.0.0.0/8,::1,%s", direct ? direct : "");
	curl_easy_setopt(c, CURLOPT_NOPROXY, !wanted || (direct && !strcmp(direct, "*")) ? "*" : hosts);
}

/* Sets the easy handle (new or reset) up for the transfer. */
static int prepare(struct job *j)
{
	struct sutra_fetch *f = j->f;
	CURL *c = j->easy;

	if (!c || add_headers(j))
		return SUTRA_E_NOMEM;
	sutra_buf_clear(&f->answer);
	sutra_buf_clear(&f->answer_headers);
	f->answer.max = f->max_answer ? f->max_answer : MAX_ANSWER;
	f->status = 0;
	f->detail[0] = '\0';
	curl_easy_setopt(c, CURLOPT_URL, f->url);
	curl_easy_setopt(c, CURLOPT_PRIVATE, j);
	if (f->unix_socket)
		curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, f->unix_socket);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	set_proxy(c, f->proxy);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "sutra/" SUTRA_VERSION);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, j->error);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, j);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, j);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, j->headers);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS,
			 f->timeout_ns ? milliseconds(f->timeout_ns) : DEFAULT_TIMEOUT_S * 1000L);
	if (f->connect_timeout_ns)
		curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(f->connect_timeout_ns));
	if (f->body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, f->body);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body_len);
	}
	if (f->method)
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, f->method);
	return 0;
}

static uint64_t phase(CURL *c, CURLINFO info)
{
	curl_off_t us = 0;

	curl_easy_getinfo(c, info, &us);
	return (uint64_t)us * 1000;
}

/* "Pretransfer" is set once a connection, new or reused, is ready to send on. */
static enum sutra_fetch_reason timeout_reason(CURL *c)
{
	if (phase(c, CURLINFO_STARTTRANSFER_TIME_T))
		return SUTRA_FETCH_TRANSFER_TIMEOUT;
	return phase(c, CURLINFO_PRETRANSFER_TIME_T) ? SUTRA_FETCH_FIRST_BYTE_TIMEOUT :
						       SUTRA_FETCH_CONNECT_TIMEOUT;
}

/* The errno of a failure of this process (no descriptor, no memory); 0: there is none. libcurl reports a
 * socket that it cannot open, and a resolver that it cannot start, like a peer that does not exist. */
static int own_trouble(CURL *c, CURLcode code)
{
	long os_errno = 0;
	int fd, trouble = 0;

	if (code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST && code != CURLE_OUT_OF_MEMORY)
		return 0;
	curl_easy_getinfo(c, CURLINFO_OS_ERRNO, &os_errno);
	if (os_errno == EMFILE || os_errno == ENFILE || os_errno == ENOBUFS || os_errno == ENOMEM)
		return (int)os_errno;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		trouble = errno;
	else
		close(fd);
	return trouble;
}

static enum sutra_fetch_reason reason_of(CURL *c, const struct sutra_fetch *f, CURLcode code)
{
	long os_errno = 0;

	switch (code) {
	case CURLE_OK:
		return SUTRA_FETCH_OK;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return SUTRA_FETCH_DNS;
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(c, CURLINFO_OS_ERRNO, &os_errno);
		return os_errno == ECONNREFUSED ? SUTRA_FETCH_REFUSED : SUTRA_FETCH_UNREACHABLE;
	case CURLE_OPERATION_TIMEDOUT:
		return timeout_reason(c);
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
		return SUTRA_FETCH_TLS;
	case CURLE_GOT_NOTHING:
		return SUTRA_FETCH_EMPTY;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return SUTRA_FETCH_RESET;
	case CURLE_WRITE_ERROR:
		return f->answer.error == SUTRA_E_TOOBIG ? SUTRA_FETCH_TOO_LARGE : SUTRA_FETCH_INTERNAL;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return SUTRA_FETCH_PROTOCOL;
	default:
		return SUTRA_FETCH_INTERNAL;
	}
}

/* Fills the answered half of the struct and frees the headers. */
static void finish(struct job *j, CURLcode code)
{
	struct sutra_fetch *f = j->f;
	long status = 0;
	int trouble = own_trouble(j->easy, code);

	f->reason = trouble ? SUTRA_FETCH_INTERNAL : reason_of(j->easy, f, code);
	curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &status);
	f->status = (int)status;
	f->dns_ns = phase(j->easy, CURLINFO_NAMELOOKUP_TIME_T);
	f->connect_ns = phase(j->easy, CURLINFO_CONNECT_TIME_T);
	f->tls_ns = phase(j->easy, CURLINFO_APPCONNECT_TIME_T);
	f->first_byte_ns = phase(j->easy, CURLINFO_STARTTRANSFER_TIME_T);
	f->total_ns = phase(j->easy, CURLINFO_TOTAL_TIME_T);
	if (trouble) {
		snprintf(f->detail, sizeof(f->detail), "this process cannot open a socket: %s", strerror(trouble));
	} else if (code) {
		const char *words = j->error[0] ? j->error : curl_easy_strerror(code);

		snprintf(f->detail, sizeof(f->detail), "%s", words);
	}
	curl_slist_free_all(j->headers);
	j->headers = NULL;
}

static void fail_job(struct sutra_fetch *f, const char *why)
{
	f->reason = SUTRA_FETCH_INTERNAL;
	snprintf(f->detail, sizeof(f->detail), "%s", why);
}

static bool start_in_slot(CURLM *multi, struct job *s, struct sutra_fetch *f)
{
	if (s->easy)
		curl_easy_reset(s->easy);
	else
		s->easy = curl_easy_init();
	s->f = f;
	s->error[0] = '\0';
	if (!prepare(s) && !curl_multi_add_handle(multi, s->easy))
		return true;
	curl_slist_free_all(s->headers);
	s->headers = NULL;
	fail_job(f, "out of memory");
	return false;
}

/* Starts the next transfer of list in slot s, skipping those that cannot start. False: none is left. */
static bool start_next(CURLM *multi, struct job *s, struct sutra_fetch *const *list, size_t n,
		       size_t *next)
{
	while (*next < n)
		if (start_in_slot(multi, s, list[(*next)++]))
			return true;
	return false;
}

static struct job *next_finished(CURLM *multi)
{
	struct job *j = NULL;
	CURLMsg *m;
	int left;

	do
		m = curl_multi_info_read(multi, &left);
	while (m && m->msg != CURLMSG_DONE);
	if (!m)
		return NULL;
	curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&j);
	finish(j, m->data.result);
	curl_multi_remove_handle(multi, j->easy);
	return j;
}

void sutra_fetch_many(struct sutra_fetch *const *list, size_t n, unsigned parallel)
{
	size_t slots = parallel ? parallel : DEFAULT_PARALLEL, next = 0, running = 0;
	struct sutra_err err = { .message = "out of memory" };
	bool ready = !sutra_fetch_ready(&err);
	CURLM *multi = ready ? curl_multi_init() : NULL;
	struct job *jobs, *j;

	slots = slots < n ? slots : n;
	jobs = sutra_calloc(slots, sizeof(*jobs));
	for (size_t i = 0; (!multi || !jobs) && i < n; i++)
		fail_job(list[i], err.message);
	for (size_t s = 0; multi && jobs && s < slots; s++)
		running += start_next(multi, &jobs[s], list, n, &next);
	while (running) {
		int still;

		curl_multi_perform(multi, &still);
		while ((j = next_finished(multi))) {
			running--;
			running += start_next(multi, j, list, n, &next);
		}
		if (running)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	for (size_t s = 0; jobs && s < slots; s++)
		if (jobs[s].easy)
			curl_easy_cleanup(jobs[s].easy);
	curl_multi_cleanup(multi);
	sutra_free(jobs);
}

const char *sutra_fetch_shown(const char *url, char *out, size_t size)
{
	const char *host = strstr(url, "://"), *at;

	host = host ? host + 3 + strspn(host + 3, "/") : url;
	at = memrchr(host, '@', strcspn(host, "/?#"));
	snprintf(out, size, "%.*s%s", (int)(host - url), url, at ? at + 1 : host);
	return out;
}

int sutra_fetch_one(struct sutra_fetch *f, struct sutra_err *err)
{
	const char *method = f->method ? f->method : f->body ? "POST" : "GET";
	char url[SUTRA_FETCH_SHOWN];

	sutra_fetch_many(&f, 1, 1);
	if (f->reason == SUTRA_FETCH_OK && f->status < 400)
		return 0;
	if (f->reason == SUTRA_FETCH_OK)
		return sutra_fail(err, f->status == 404 ? SUTRA_E_NOTFOUND : SUTRA_E_UNAVAILABLE,
				  "%s %s answered %d", method, sutra_fetch_shown(f->url, url, sizeof(url)), f->status);
	return sutra_fail(err, sutra_fetch_code(f->reason), "%s %s failed: %s (%s)", method,
			  sutra_fetch_shown(f->url, url, sizeof(url)), sutra_fetch_reason_name(f->reason), f->detail);
}

int sutra_fetch_get(struct sutra_fetch *f, const char *base, const char *path, uint64_t timeout_ns,
		    struct sutra_err *err)
{
	char url[MAX_URL];
	int rc;

	sutra_fetch_init(f);
	if ((size_t)snprintf(url, sizeof(url), "%s%s", base, path) >= sizeof(url))
		return sutra_fail(err, SUTRA_E_INVALID, "the URL of %s has more than %d bytes", path, MAX_URL - 1);
	f->url = url;
	f->timeout_ns = timeout_ns;
	rc = sutra_fetch_one(f, err);
	f->url = NULL;
	return rc;
}

struct sutra_fetcher {
	pthread_t thread;
	pthread_mutex_t lock;
	CURLM *multi;
	struct job *incoming, **incoming_tail;	/* under lock */
	bool stopping;				/* under lock */
	/* Only the thread uses these: */
	struct job *running;
	CURL *idle[IDLE_HANDLES];
	size_t n_idle;
	unsigned started;
};

/* A Service of Kubernetes chooses a pod per connection, not per request. So every so many requests a
 * connection is closed after its answer, and the next one may go to another pod. */
static int limit_reuse(struct sutra_fetcher *fr, struct job *j)
{
	return ++fr->started % REQUESTS_PER_CONNECTION ? 0 : (int)curl_easy_setopt(j->easy, CURLOPT_FORBID_REUSE, 1L);
}

static void start_job(struct sutra_fetcher *fr, struct job *j)
{
	j->easy = fr->n_idle ? fr->idle[--fr->n_idle] : curl_easy_init();
	if (!prepare(j) && !limit_reuse(fr, j) && !curl_multi_add_handle(fr->multi, j->easy)) {
		j->next = fr->running;
		fr->running = j;
		return;
	}
	curl_slist_free_all(j->headers);
	if (j->easy)
		curl_easy_cleanup(j->easy);
	fail_job(j->f, "out of memory");
	j->done(j->f);
	sutra_free(j);
}

static void end_job(struct sutra_fetcher *fr, struct job *j)
{
	struct job **at = &fr->running;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	if (fr->n_idle < IDLE_HANDLES) {
		curl_easy_reset(j->easy);
		fr->idle[fr->n_idle++] = j->easy;
	} else {
		curl_easy_cleanup(j->easy);
	}
	j->done(j->f);
	sutra_free(j);
}

/* Starts the jobs that were submitted. False: the fetcher is stopping. */
static bool take_incoming(struct sutra_fetcher *fr)
{
	struct job *j, *next;
	bool stopping;

	pthread_mutex_lock(&fr->lock);
	j = fr->incoming;
	fr->incoming = NULL;
	fr->incoming_tail = &fr->incoming;
	stopping = fr->stopping;
	pthread_mutex_unlock(&fr->lock);
	for (; j; j = next) {
		next = j->next;
		start_job(fr, j);
	}
	return !stopping;
}

static void *run_fetcher(void *arg)
{
	struct sutra_fetcher *fr = arg;
	struct job *j;
	int still;

	while (take_incoming(fr)) {
		curl_multi_perform(fr->multi, &still);
		while ((j = next_finished(fr->multi)))
			end_job(fr, j);
		curl_multi_poll(fr->multi, NULL, 0, 1000, NULL);
	}
	while ((j = fr->running)) {
		curl_multi_remove_handle(fr->multi, j->easy);
		curl_slist_free_all(j->headers);
		fail_job(j->f, "stopped");
		end_job(fr, j);
	}
	return NULL;
}

int sutra_fetcher_new(struct sutra_fetcher **ret, struct sutra_err *err)
{
	struct sutra_fetcher *fr;
	int rc = sutra_fetch_ready(err);

	if (rc)
		return rc;
	fr = sutra_calloc(1, sizeof(*fr));
	if (fr)
		fr->multi = curl_multi_init();
	if (!fr || !fr->multi) {
		sutra_free(fr);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the HTTP client");
	}
	curl_multi_setopt(fr->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
	fr->incoming_tail = &fr->incoming;
	pthread_mutex_init(&fr->lock, NULL);
	if (pthread_create(&fr->thread, NULL, run_fetcher, fr)) {
		curl_multi_cleanup(fr->multi);
		pthread_mutex_destroy(&fr->lock);
		sutra_free(fr);
		return sutra_fail(err, SUTRA_E_IO, "cannot start the HTTP client's thread");
	}
	*ret = fr;
	return 0;
}

void sutra_fetcher_submit(struct sutra_fetcher *fr, struct sutra_fetch *f,
			  void (*done)(struct sutra_fetch *f))
{
	struct job *j = sutra_calloc(1, sizeof(*j));

	if (!j) {
		fail_job(f, "out of memory");
		done(f);
		return;
	}
	j->f = f;
	j->done = done;
	pthread_mutex_lock(&fr->lock);
	*fr->incoming_tail = j;
	fr->incoming_tail = &j->next;
	pthread_mutex_unlock(&fr->lock);
	curl_multi_wakeup(fr->multi);
}

void sutra_fetcher_free(struct sutra_fetcher *fr)
{
	if (!fr)
		return;
	pthread_mutex_lock(&fr->lock);
	fr->stopping = true;
	pthread_mutex_unlock(&fr->lock);
	curl_multi_wakeup(fr->multi);
	pthread_join(fr->thread, NULL);
	while (fr->n_idle)
		curl_easy_cleanup(fr->idle[--fr->n_idle]);
	curl_multi_cleanup(fr->multi);
	pthread_mutex_destroy(&fr->lock);
	sutra_free(fr);
}
