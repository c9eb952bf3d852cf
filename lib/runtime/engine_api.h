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

/* The time limit of this thread's calls, except streams; 0: a minute, as restarts need. */
void sutra_engine_limit(uint64_t ns);
/* One call of a path (a printf format). body NULL: none. *ret_json (may be NULL) is the answer's document,
 * NULL if it has none. SUTRA_E_UNAVAILABLE: no engine answers; SUTRA_E_NOTFOUND: 404; SUTRA_E_EXISTS: 409;
 * else SUTRA_E_IO with the engine's message. */
__attribute__((format(printf, 5, 6)))
int sutra_engine_call(const char *method, const char *body, json_t **ret_json, struct sutra_err *err,
		      const char *path, ...);
/* GETs an answer that is no JSON: its bytes. */
int sutra_engine_bytes(const char *path, struct sutra_buf *ret, struct sutra_err *err);
/* GETs an answer and passes its bytes on as they arrive, until its end or until on_data returns false. */
int sutra_engine_stream(const char *path, bool (*on_data)(void *user, const char *data, size_t n), void *user,
			struct sutra_err *err);

#endif
