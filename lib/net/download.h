/*
 * download - one file over HTTP into a path, however often the connection breaks.
 *
 * What has come stays in the path; a later call, also of a later process, asks for the rest
 * (Range, with If-Range when the server gave a strong ETag, kept beside the file in
 * <path>.etag). A server that ignores the range, or whose file has changed, makes it start
 * over. Transport faults, 408, 429 and 5xx are tried again with growing pauses (Retry-After
 * wins, up to RETRY_AFTER_MAX_S), at most `tries` times in a row without a new byte.
 * Redirects are followed, never from https to http; the bearer token goes to the URL's own
 * host alone. Proxies of the environment are used. Nothing here says the bytes are right: the
 * caller checks a digest.
 */
#ifndef SUTRA_NET_DOWNLOAD_H
#define SUTRA_NET_DOWNLOAD_H

#include <stdint.h>

#include "base/err.h"

struct sutra_download {
	/* asked; strings borrowed */
	const char *url;
	const char *path;
	const char *bearer;	/* token, or NULL; never part of a message */
	uint64_t max_bytes;	/* more is SUTRA_E_TOOBIG; 0: 64 GiB */
	unsigned tries;		/* 0: 6 */
	/* Called at least each second; total 0: not told. Not 0: stop with INTERRUPTED. */
	int (*progress)(void *user, uint64_t done, uint64_t total);
	void *user;
	/* answered */
	int status;		/* the last HTTP status; 0: none came */
	uint64_t size;		/* of the file now */
	uint64_t resumed_at;	/* bytes that were there before this call and were kept */
	unsigned requests;	/* how many it took */
	unsigned retry_after_s;	/* of the last answer; 0: not told */
};

/* 0; or NOTFOUND (404), AUTH (401), FORBIDDEN (403), BUSY (429), UNAVAILABLE, TIMEOUT,
 * TOOBIG, FULL, IO, INTERRUPTED, each naming the URL. */
int sutra_download(struct sutra_download *d, struct sutra_err *err);

#endif
