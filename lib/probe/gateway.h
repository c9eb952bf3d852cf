/* gateway - the deployed gateway: its address, and one call to it. */
#ifndef SUTRA_PROBE_GATEWAY_H
#define SUTRA_PROBE_GATEWAY_H

#include <jansson.h>

#include "base/err.h"
#include "deploy/deployment.h"

/* The service clients talk to: embedding-ha, else the first gateway; NULL: none. */
const struct sutra_deployed *sutra_gateway_service(const struct sutra_deployment *d);
/* Base URL without a slash at its end, x-allocated: `flag` when given (http:// is added when it
 * has no scheme), else the deployed gateway's. SUTRA_E_UNAVAILABLE when nothing is deployed. */
int sutra_gateway_url(const char *flag, char **ret, struct sutra_err *err);
/* Base URLs of every single gateway, past the balancer in front of them: each has a memory cache
 * of its own. flag as for sutra_gateway_url. */
int sutra_gateway_urls(const char *flag, struct sutra_strv *ret, struct sutra_err *err);
/* One call with an optional JSON body; *ret (may be NULL) is the parsed answer. An error answer
 * becomes the service's own message and hint. */
int sutra_gateway_call(const char *base, const char *method, const char *path, const char *body,
		 json_t **ret, struct sutra_err *err);
/* The answer of /cache/stats with our schema and its URL: one gateway's own document, or of several a
 * list of them. flag as for sutra_gateway_url. */
int sutra_gateway_cache_document(const char *flag, json_t **ret, struct sutra_err *err);

#endif
