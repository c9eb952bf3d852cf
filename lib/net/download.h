/*
 * download - downloads a file over HTTP into a path, and resumes when the connection breaks.
 *
 * Received bytes stay in the path; a later call, also of a later process, requests the rest (Range, with
 * If-Range if the server sent a strong ETag, which is kept in <path>.etag). It starts over if the server
 * ignores the range or the file has changed. After transport faults, 408, 429 and 5xx it tries again with
 * growing pauses (or that of Retry-After, up to RETRY_AFTER_MAX_S), at most `tries` times in a row without
 * a new byte. Redirects are followed, never from https to http; only the URL's own host gets the bearer
 * token. Proxies of the environment are used. The bytes are not verified: the caller checks a digest.
 */
#ifndef SUTRA_NET_DOWNLOAD_H
#define SUTRA_NET_DOWNLOAD_H

#include <stdint.h>

#include "base/err.h"

struct sutra_download {
	/* set by the caller; strings are borrowed */
	const char *url;
	const char *path;
	const char *bearer;	/* token, or NULL; never part of a message */
	uint64_t max_bytes;	/* more is SUTRA_E_TOOBIG; 0: 64 GiB */
	unsigned tries;		/* 0: 6 */
	/* Called at least each second; total 0: unknown. Returns not 0 to stop with INTERRUPTED. */
	int (*progress)(void *user, uint64_t done, uint64_t total);
	void *user;
	/* set by the download */
	int status;		/* the last HTTP status; 0: none came */
	uint64_t size;		/* of the file now */
	uint64_t resumed_at;	/* bytes of an earlier call that were kept */
	unsigned requests;	/* number of requests */
	unsigned retry_after_s;	/* of the last answer; 0: it had none */
};

/* 0; or NOTFOUND (404), AUTH (401), FORBIDDEN (403), BUSY (429), UNAVAILABLE, TIMEOUT,
 * TOOBIG, FULL, IO, INTERRUPTED, each naming the URL. */
int sutra_download(struct sutra_download *d, struct sutra_err *err);

#endif
