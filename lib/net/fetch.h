/*
 * fetch - the HTTP client (libcurl): one at a time, many at once, and as a service
 * thread for daemons. Every transfer has a time limit and a bounded answer.
 */
#ifndef SUTRA_NET_FETCH_H
#define SUTRA_NET_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Why a transfer failed: the closed list every output uses (OPERATORS 5.15). */
#define SUTRA_FETCH_REASONS(X)                                                          \
	X(OK, "ok") X(DNS, "dns") X(REFUSED, "refused") X(UNREACHABLE, "unreachable")   \
	X(CONNECT_TIMEOUT, "connect-timeout") X(TLS, "tls")                             \
	X(FIRST_BYTE_TIMEOUT, "first-byte-timeout") X(TRANSFER_TIMEOUT, "transfer-timeout") \
	X(RESET, "reset") X(EMPTY, "empty-answer") X(TOO_LARGE, "too-large")            \
	X(PROTOCOL, "protocol")                                                         \
	X(INTERNAL, "internal")		/* a failure of this process: no descriptor, no memory */
enum sutra_fetch_reason {
#define X(sym, name) SUTRA_FETCH_##sym,
	SUTRA_FETCH_REASONS(X)
#undef X
};
const char *sutra_fetch_reason_name(enum sutra_fetch_reason r);
/* SUTRA_E_TIMEOUT or SUTRA_E_UNAVAILABLE; 0 for OK. */
int sutra_fetch_code(enum sutra_fetch_reason r);

struct sutra_fetch {
	/* set by the caller; strings are borrowed until the transfer is done */
	const char *method;		/* NULL: GET, or POST when body is set */
	const char *url;
	const char *unix_socket;	/* path to connect to instead of the URL's host; or NULL */
	const char *const *headers;	/* "Name: value", NULL-terminated; or NULL */
	const void *body;
	size_t body_len;
	uint64_t timeout_ns;		/* of the whole transfer; 0: 10 s; UINT64_MAX: none */
	uint64_t connect_timeout_ns;	/* 0: the whole */
	size_t max_answer;		/* 0: 64 MiB */
	bool proxy;			/* through http_proxy, https_proxy, all_proxy unless no_proxy names the host;
					 * this machine's services and loopback are asked directly */
	void *user;
	/* Takes the body piece by piece in place of `answer`; false ends the transfer. Or NULL. */
	bool (*on_data)(void *user, const char *data, size_t n);
	/* set by the transfer */
	enum sutra_fetch_reason reason;
	char detail[256];		/* libcurl's message about a failure */
	int status;			/* HTTP status, 0 when none came */
	struct sutra_buf answer;	/* body */
	struct sutra_buf answer_headers;	/* "name: value\r\n"... names as sent */
	/* phases, nanoseconds since the start; total also on failure */
	uint64_t dns_ns, connect_ns, tls_ns, first_byte_ns, total_ns;
};

/* Initialises libcurl at its first call, from any thread. The functions below call it; code that calls
 * libcurl directly must call it first. SUTRA_E_UNAVAILABLE if libcurl does not initialise. */
int sutra_fetch_ready(struct sutra_err *err);

void sutra_fetch_init(struct sutra_fetch *f);		/* zero, buffers bounded */
void sutra_fetch_release(struct sutra_fetch *f);
/* Value of an answer header by name (any case) into out; 0 or SUTRA_E_NOTFOUND. */
int sutra_fetch_header(const struct sutra_fetch *f, const char *name, char *out, size_t size);
enum { SUTRA_FETCH_SHOWN = 512 };
/* The URL without credentials, cut to size, for messages; returns out. */
const char *sutra_fetch_shown(const char *url, char *out, size_t size);

/* Runs n transfers at once (at most `parallel` open, 0: 64) and returns when the
 * last is done or failed; each one's outcome is in its own struct. */
void sutra_fetch_many(struct sutra_fetch *const *list, size_t n, unsigned parallel);
/* One transfer; 0, or a code with a message that names URL and reason. A status of
 * 400 and more is an error too (its body stays in f->answer). */
int sutra_fetch_one(struct sutra_fetch *f, struct sutra_err *err);
/* GET base followed by path, the same way, into f, which is initialised here and released by the caller also
 * after an error. f->url is NULL afterwards. */
int sutra_fetch_get(struct sutra_fetch *f, const char *base, const char *path, uint64_t timeout_ns,
		    struct sutra_err *err);

/* A thread with one multi handle and its connection pool. */
struct sutra_fetcher;
int sutra_fetcher_new(struct sutra_fetcher **ret, struct sutra_err *err);
/* Starts f; done(f) is called once on the fetcher's thread. Thread-safe. */
void sutra_fetcher_submit(struct sutra_fetcher *fr, struct sutra_fetch *f,
			  void (*done)(struct sutra_fetch *f));
void sutra_fetcher_free(struct sutra_fetcher *fr);	/* open transfers fail with INTERNAL */

#endif
