/* compose_extra - keys of a service that only manifests act on: hardening, and x-sutra-*.
 * Internal to lib/compose; rows of compose_service.c's table. */
#ifndef SUTRA_COMPOSE_COMPOSE_EXTRA_H
#define SUTRA_COMPOSE_COMPOSE_EXTRA_H

#include "compose/compose.h"
#include "compose/compose_reader.h"

int sutra_extra_cap_drop(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_extra_init(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_extra_read_only(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_extra_security_opt(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_extra_tmpfs(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_extra_user(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_extra_drain(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_extra_probes(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_extra_kubernetes(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_extra_scale(struct reader *r, struct fy_node *n, void *service, const char *what);
void sutra_extra_release(struct sutra_service *s);

#endif
