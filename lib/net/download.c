#include "net/download.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "base/version.h"
#include "net/fetch.h"

enum {
	DEFAULT_TRIES = 6,
	CONNECT_S = 30,
	STALL_S = 30,		/* a connection slower than STALL_BYTES/s for this time is broken */
	STALL_BYTES = 100,
	MAX_REDIRECTS = 8,
	FIRST_PAUSE_MS = 500,
	MAX_PAUSE_MS = 30000,
	RETRY_AFTER_MAX_S = 120,
	MAX_ETAG = 200,
	MAX_REQUESTS = 500,	/* in all, even when each brings a byte */
};

static const uint64_t MAX_FILE = (uint64_t)64 << 30;

/* One request. */
struct attempt {
	struct sutra_download *d;
	CURL *easy;
	int fd;
	uint64_t have;		/* bytes of the file before the request */
	uint64_t size;		/* bytes of the file now */
	uint64_t range_start;	/* of Content-Range */
	bool ranged;		/* the answer has a Content-Range */
	bool begun;		/* the first byte of the body has come */
	bool stopped;		/* progress returned not 0 */
	int fault;		/* code for which a callback ended the request, or 0 */
	char etag[MAX_ETAG];	/* strong ones only */
	char words[CURL_ERROR_SIZE];
};

static bool header_is(const char *line, size_t n, const char *name, const char **ret_value)
{
	size_t len = strlen(name);

	if (n <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
		return false;
	*ret_value = line + len + 1 + strspn(line + len + 1, " \t");
	return true;
}

/* A copy of the header's value, as far as it fits. */
static void copy_value(char *out, size_t size, const char *value)
{
	snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
	struct attempt *a = user;
	char line[1024], number[24];
	const char *value;
	int64_t v;

	snprintf(line, sizeof(line), "%.*s", (int)(size * n), data);
	if (sutra_str_starts(line, "HTTP/")) {	/* a new answer: forget the redirect's */
		a->etag[0] = '\0';
		a->ranged = false;
		a->d->retry_after_s = 0;
	} else if (header_is(line, strlen(line), "etag", &value) && value[0] == '"') {
		copy_value(a->etag, sizeof(a->etag), value);
	} else if (header_is(line, strlen(line), "retry-after", &value)) {
		copy_value(number, sizeof(number), value);
		if (!sutra_str_int(number, 0, 1 << 30, &v))
			a->d->retry_after_s = (unsigned)v;
	} else if (header_is(line, strlen(line), "content-range", &value) &&
		   sutra_str_starts(value, "bytes ")) {
		snprintf(number, sizeof(number), "%.*s", (int)strcspn(value + 6, "-"), value + 6);
		if (!sutra_str_int(number, 0, INT64_MAX, &v)) {
			a->ranged = true;
			a->range_start = (uint64_t)v;
		}
	}
	return size * n;
}

/* Decides, at the first byte of the body, whether it continues or replaces the file. */
static int begin_body(struct attempt *a, long status)
{
	char *path = NULL;

	a->begun = true;
	if (status == 206 && a->ranged && a->range_start == a->have)
		return 0;
	a->size = 0;
	if (status == 206)
		return SUTRA_E_CORRUPT;	/* another range than requested: start over */
	if (ftruncate(a->fd, 0) || lseek(a->fd, 0, SEEK_SET) < 0)
		return SUTRA_E_IO;
	path = xasprintf("%s.etag", a->d->path);
	if (a->etag[0])
		sutra_file_write(path, a->etag, strlen(a->etag), 0644, NULL);
	else
		unlink(path);
	sutra_free(path);
	return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
	struct attempt *a = user;
	uint64_t max = a->d->max_bytes ? a->d->max_bytes : MAX_FILE;
	size_t left = size * n;
	long status = 0;

	curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 && status != 206)
		return left;	/* an error page is not written to the file */
	if (!a->begun)
		a->fault = begin_body(a, status);
	if (!a->fault && a->size + left > max)
		a->fault = SUTRA_E_TOOBIG;
	while (!a->fault && left) {
		ssize_t w = write(a->fd, data, left);

		if (w < 0 && errno != EINTR)
			a->fault = sutra_fail_errno(NULL, "write");
		if (w > 0) {
			data += w;
			left -= (size_t)w;
			a->size += (uint64_t)w;
		}
	}
	return a->fault ? 0 : size * n;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total,
		       curl_off_t up_now)
{
	struct attempt *a = user;
	uint64_t kept = a->ranged ? a->have : 0;

	(void)now, (void)up_total, (void)up_now;
	if (a->d->progress && a->begun)
		a->stopped = a->d->progress(a->d->user, a->size, total > 0 ? kept + (uint64_t)total : 0) != 0;
	else if (a->d->progress)
		a->stopped = a->d->progress(a->d->user, a->have, 0) != 0;
	return a->stopped;
}

/* Requests the rest of the file; returns the headers for that. */
static struct curl_slist *ask_rest(struct attempt *a, char *range, size_t size)
{
	char *path = xasprintf("%s.etag", a->d->path), *etag = NULL, *line;
	struct curl_slist *list = NULL;

	snprintf(range, size, "%llu-", (unsigned long long)a->have);
	curl_easy_setopt(a->easy, CURLOPT_RANGE, range);
	if (!sutra_file_read(path, MAX_ETAG, &etag, NULL, NULL) && etag[0] == '"') {
		line = xasprintf("If-Range: %.*s", (int)strcspn(etag, "\r\n"), etag);
		list = curl_slist_append(NULL, line);
		sutra_free(line);
	}
	sutra_free(etag);
	sutra_free(path);
	return list;
}

static void set_options(struct attempt *a)
{
	bool tls = sutra_str_starts(a->d->url, "https:");
	CURL *c = a->easy;

	curl_easy_setopt(c, CURLOPT_URL, a->d->url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "sutra/" SUTRA_VERSION);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, a->words);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, a);
	if (a->d->bearer) {	/* libcurl drops it when a redirect leaves the host */
		curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, a->d->bearer);
	}
}

static int status_code(int status)
{
	switch (status) {
	case 401:
		return SUTRA_E_AUTH;
	case 403:
		return SUTRA_E_FORBIDDEN;
	case 404:
	case 410:
		return SUTRA_E_NOTFOUND;
	case 429:
		return SUTRA_E_BUSY;
	default:
		return SUTRA_E_UNAVAILABLE;
	}
}

/* The code of the outcome; *ret_again: whether to try again. */
static int judge(struct attempt *a, CURLcode code, bool *ret_again, struct sutra_err *err)
{
	const char *url = a->d->url, *words = a->words[0] ? a->words : curl_easy_strerror(code);
	int status = a->d->status;

	*ret_again = false;
	if (a->stopped)
		return sutra_fail(err, SUTRA_E_INTERRUPTED, "the download of %s was stopped", url);
	if (a->fault == SUTRA_E_TOOBIG)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s is larger than the %llu bytes announced", url,
				  (unsigned long long)a->d->max_bytes);
	if (a->fault == SUTRA_E_CORRUPT) {
		*ret_again = !ftruncate(a->fd, 0);
		return sutra_fail(err, SUTRA_E_UNAVAILABLE, "%s answered with another range than requested", url);
	}
	if (a->fault)
		return sutra_fail(err, a->fault, "cannot write %s: %s", a->d->path, sutra_err_text(a->fault));
	if (!code && (status == 200 || status == 206))
		return 0;
	if (!code && status == 416 && a->have) {	/* the file is no prefix of the remote one: start over */
		*ret_again = !ftruncate(a->fd, 0);
		return sutra_fail(err, SUTRA_E_UNAVAILABLE, "%s has no byte %llu", url,
				  (unsigned long long)a->have);
	}
	if (!code) {
		*ret_again = status == 408 || status == 429 || status >= 500;
		return sutra_fail(err, status_code(status), "GET %s answered %d", url, status);
	}
	*ret_again = code != CURLE_URL_MALFORMAT && code != CURLE_UNSUPPORTED_PROTOCOL &&
		     code != CURLE_TOO_MANY_REDIRECTS && code != CURLE_PEER_FAILED_VERIFICATION;
	return sutra_fail(err, code == CURLE_OPERATION_TIMEDOUT ? SUTRA_E_TIMEOUT : SUTRA_E_UNAVAILABLE,
			  "GET %s failed: %s", url, words);
}

static int try_once(struct sutra_download *d, int fd, bool *ret_again, struct sutra_err *err)
{
	struct attempt a = { .d = d, .fd = fd, .easy = curl_easy_init() };
	struct curl_slist *headers = NULL;
	off_t end = lseek(fd, 0, SEEK_END);
	char range[24];
	long status = 0;
	CURLcode code;
	int rc;

	*ret_again = false;
	if (!a.easy)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	a.have = a.size = end > 0 ? (uint64_t)end : 0;
	set_options(&a);
	if (a.have)
		headers = ask_rest(&a, range, sizeof(range));
	curl_easy_setopt(a.easy, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(a.easy);
	curl_easy_getinfo(a.easy, CURLINFO_RESPONSE_CODE, &status);
	d->status = (int)status;
	d->requests++;
	if (!code && status == 200 && !a.begun)	/* an empty file */
		a.fault = begin_body(&a, status);
	rc = judge(&a, code, ret_again, err);
	d->size = a.size;
	if (d->requests == 1 && a.size > a.have && a.ranged)
		d->resumed_at = a.have;
	curl_slist_free_all(headers);
	curl_easy_cleanup(a.easy);
	return rc;
}

/* Waits before the next try. False: progress has stopped the download. */
static bool pause_ms(struct sutra_download *d, uint64_t ms)
{
	uint64_t end = sutra_clock_ns() + ms * 1000000;

	while (sutra_clock_ns() < end) {
		if (d->progress && d->progress(d->user, d->size, 0))
			return false;
		poll(NULL, 0, ms < 200 ? (int)ms : 200);
	}
	return true;
}

int sutra_download(struct sutra_download *d, struct sutra_err *err)
{
	unsigned tries = d->tries ? d->tries : DEFAULT_TRIES, failed = 0;
	uint64_t before, pause = FIRST_PAUSE_MS;
	int fd, rc = sutra_fetch_ready(err);
	struct stat st;
	bool again;

	if (rc)
		return rc;
	fd = open(d->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return sutra_fail_errno(err, "cannot write %s", d->path);
	d->size = fstat(fd, &st) ? 0 : (uint64_t)st.st_size;
	d->resumed_at = d->requests = 0;
	do {
		before = d->size;
		rc = try_once(d, fd, &again, err);
		if (d->size > before) {
			failed = 0;
			pause = FIRST_PAUSE_MS;
		}
		if (!rc || !again || ++failed >= tries || d->requests >= MAX_REQUESTS ||
		    d->retry_after_s > RETRY_AFTER_MAX_S)
			break;
		if (!pause_ms(d, d->retry_after_s ? d->retry_after_s * 1000u : pause))
			rc = sutra_fail(err, SUTRA_E_INTERRUPTED, "the download of %s was stopped", d->url);
		pause = pause * 2 < MAX_PAUSE_MS ? pause * 2 : MAX_PAUSE_MS;
	} while (rc != SUTRA_E_INTERRUPTED);
	if (!rc && fsync(fd))
		rc = sutra_fail_errno(err, "cannot write %s", d->path);
	close(fd);
	return rc;
}
