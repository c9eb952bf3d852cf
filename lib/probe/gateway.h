/* gateway - the deployed gateway: its address, and one call to it. */
#ifndef SUTRA_PROBE_GATEWAY_H
#define SUTRA_PROBE_GATEWAY_H

#include <jansson.h>

#include "base/err.h"
#include "deploy/deployment.h"

/* The service that clients call: embedding-ha, else the first gateway; NULL: none. */
const struct sutra_deployed *sutra_gateway_service(const struct sutra_deployment *d);
/* The base URL, x-allocated, without a slash at its end: flag, unless NULL, with http:// added when
 * it has no scheme; else that of the deployed gateway. SUTRA_E_UNAVAILABLE when nothing is
 * deployed. */
int sutra_gateway_url(const char *flag, char **ret, struct sutra_err *err);
/* Adds the base URL of each gateway, not of the balancer in front of them: each has its own memory
 * cache. flag as for sutra_gateway_url. */
int sutra_gateway_urls(const char *flag, struct sutra_strv *ret, struct sutra_err *err);
/* One request with an optional JSON body; *ret (ret may be NULL) is the parsed answer, the caller's
 * reference. The error of an error answer has the service's message and hint. */
int sutra_gateway_call(const char *base, const char *method, const char *path, const char *body,
		 json_t **ret, struct sutra_err *err);
/* The answer of /cache/stats with "schema" and "url": the document of the only gateway, or a list
 * of the documents of all. The caller's reference. flag as for sutra_gateway_url. */
int sutra_gateway_cache_document(const char *flag, json_t **ret, struct sutra_err *err);

#endif
