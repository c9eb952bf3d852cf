/*
 * openapi - an HTTP service's table of routes as an OpenAPI 3.1 document. What a row leaves out it
 * does not say; what the server does on every route (its refusals, X-Request-Timeout) is added.
 */
#ifndef SUTRA_DAEMON_OPENAPI_H
#define SUTRA_DAEMON_OPENAPI_H

#include "base/buf.h"
#include "base/err.h"
#include "net/http.h"

/* Appends the document. SUTRA_E_INTERNAL names a row whose schema is no JSON; SUTRA_E_NOMEM. */
int sutra_openapi(const char *service, const struct sutra_http_route *routes, struct sutra_buf *b,
		  struct sutra_err *err);

#endif
