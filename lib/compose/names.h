/* names - what the name of a service says: replicas of one thing, hosts in settings. */
#ifndef SUTRA_COMPOSE_NAMES_H
#define SUTRA_COMPOSE_NAMES_H

#include "compose/compose.h"

/* "ml-base-1" and "ml-base-2" are replicas of "ml-base": that name, else the service's own.
 * The caller frees; NULL without memory. */
char *sutra_group_of(const struct sutra_compose *all, const struct sutra_service *s);
/* Whether host stands whole at text[at]: behind "//", before ":<digit>", or as all of a *_HOST variable. */
bool sutra_is_host_at(const char *key, const char *text, size_t at, const char *host);
/* Whether a variable names host. Its own SUTRA_LISTEN_* and free text (config.h) name none. */
bool sutra_env_names_host(const struct sutra_env *env, const char *host);
/* The service whose name stands as a host at text[at], or NULL. Free text names none. */
const struct sutra_service *sutra_host_at(const struct sutra_compose *all, const char *key, const char *text,
					  size_t at);

#endif
