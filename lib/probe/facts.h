/*
 * facts - the limits of a running service and its use of them, read from the kernel and the runtime, not
 * from the record. They are JSON documents, because the runtime decides which facts there are: a fact
 * that cannot be known is absent.
 */
#ifndef SUTRA_PROBE_FACTS_H
#define SUTRA_PROBE_FACTS_H

#include <jansson.h>

#include "deploy/deployment.h"

/* The facts of a service; the caller's reference:
 *	"running": whether it has a process
 *	"memory": {"limit", "used", "oom_kills"} in bytes; limit 0: none
 *	"restart": "runit" or the engine's policy; "no": it is not started again
 *	"listens": ["127.0.0.1:8888"], addresses on this host
 *	"volumes": [{"path", "free", "size"}], persistent folders by their path in the service, in bytes
 *	"log": {"bytes", "max"}, max 0: no limit; or {"elsewhere": driver} */
json_t *sutra_facts_of(const struct sutra_deployment *d, const struct sutra_deployed *s);
/* The files of the state folder that hold settings: [{"path","mode"}]; the caller's reference. */
json_t *sutra_facts_files(const struct sutra_deployment *d);

#endif
