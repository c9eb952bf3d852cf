/*
 * engine_api - the Docker Engine API over its Unix socket (docs.docker.com/engine/api, v1.41).
 *
 * The socket is DOCKER_HOST's (unix://PATH) or /var/run/docker.sock.
 */
#ifndef SUTRA_RUNTIME_ENGINE_API_H
#define SUTRA_RUNTIME_ENGINE_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Most that a call of this thread takes, streams apart; 0: a minute, as restarts need. */
void sutra_engine_limit(uint64_t ns);
/* One call. body NULL: none. *ret_json (may be NULL) is the answer's document, NULL when it has
 * none. SUTRA_E_UNAVAILABLE: no engine answers; SUTRA_E_NOTFOUND: 404; else SUTRA_E_IO with the
 * engine's own words. */
int sutra_engine_call(const char *method, const char *path, const char *body, json_t **ret_json,
		      struct sutra_err *err);
/* The same for an answer that is no document: its bytes. */
int sutra_engine_bytes(const char *path, struct sutra_buf *ret, struct sutra_err *err);
/* The same as it comes, until its end; false from on_data ends it. */
int sutra_engine_stream(const char *path, bool (*on_data)(void *user, const char *data, size_t n), void *user,
			struct sutra_err *err);

#endif
