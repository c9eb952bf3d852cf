/* compose_env - environment and env_file of a service. Internal to lib/compose. */
#ifndef SUTRA_COMPOSE_COMPOSE_ENV_H
#define SUTRA_COMPOSE_COMPOSE_ENV_H

#include "compose/compose.h"
#include "compose/compose_reader.h"

/* Rows of the table of a service. */
int sutra_service_environment(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_service_env_file(struct reader *r, struct fy_node *n, void *service, const char *what);
/* Reads the files, once all keys of the service are known. */
int sutra_service_env_files_load(struct reader *r, struct sutra_service *s, const char *what);
void sutra_service_env_release(struct sutra_service *s);

#endif
