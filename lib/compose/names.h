/* names - what the name of a service says: replicas of one thing, hosts in settings. */
#ifndef SUTRA_COMPOSE_NAMES_H
#define SUTRA_COMPOSE_NAMES_H

#include "compose/compose.h"

/* "ml-base-1" and "ml-base-2" are replicas of "ml-base": that name, else the service's own.
 * The caller frees; NULL without memory. */
char *sutra_group_of(const struct sutra_compose *all, const struct sutra_service *s);
/* The service whose name stands whole at text[at] as a host: behind "//" or followed by
 * ":<digit>", or the whole value of a *_HOST variable; else NULL. Free text (config.h) names none. */
const struct sutra_service *sutra_host_at(const struct sutra_compose *all, const char *key, const char *text,
					  size_t at);

#endif
