/* compose_env - environment and env_file of a service. Internal to lib/stack. */
#ifndef SUTRA_COMPOSE_COMPOSE_ENV_H
#define SUTRA_COMPOSE_COMPOSE_ENV_H

#include "compose/compose.h"
#include "compose/compose_reader.h"

/* Rows of the table of a service. */
int env_environment(struct reader *r, struct fy_node *n, void *service, const char *what);
int env_file(struct reader *r, struct fy_node *n, void *service, const char *what);
/* Reads the files, once all keys of the service are known. */
int env_files_load(struct reader *r, struct sutra_service *s, const char *what);
void env_release(struct sutra_service *s);

#endif
