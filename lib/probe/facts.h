/*
 * facts - what a running service is held to and what it uses, read now from kernel and runtime,
 * never from the record. Documents, because which facts there are depends on the runtime: what
 * cannot be known here is absent.
 */
#ifndef SUTRA_PROBE_FACTS_H
#define SUTRA_PROBE_FACTS_H

#include <jansson.h>

#include "deploy/deployment.h"

/* {"running":true,"memory":{"limit","used","oom_kills"} in bytes, limit 0: none; "restart":"runit" or the engine's policy,
 * "no": nobody starts it again; "listens":["127.0.0.1:8888"] on this host; "volumes":
 * [{"path","free","size"}], persistent folders by their path in the service; "log":{"bytes",
 * "max"}, max 0: without limit, or {"elsewhere":driver}}. The caller's reference. */
json_t *sutra_facts_of(const struct sutra_deployment *d, const struct sutra_deployed *s);
/* Files of the state folder that hold settings: [{"path","mode"}]. */
json_t *sutra_facts_files(const struct sutra_deployment *d);

#endif
