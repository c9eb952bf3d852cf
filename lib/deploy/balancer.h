/*
 * balancer - the HAProxies of a stack: the replicas behind each, the address of its statistics, and waiting
 * for a state of a server in them (CSV, by column name).
 */
#ifndef SUTRA_DEPLOY_BALANCER_H
#define SUTRA_DEPLOY_BALANCER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "compose/compose.h"
#include "runtime/unit.h"

struct sutra_balancer {
	char *service;	/* ml-base-lb */
	char *group;	/* ml-base: its backend has the group's name, its servers the services' */
	char *stats;	/* "127.0.0.1:8404", where its statistics are published */
	bool credentials;	/* they need user and password */
	char *csv;	/* URL of its statistics, with the credentials if it needs them: not for display */
};

/* The balancers of a stack: units that run haproxy, the group of the first service each depends on, and the
 * published port of its health check, which has the statistics too. */
void sutra_balancers_make(const struct sutra_unit *units, size_t n, const struct sutra_compose *selected,
			  const char *state_dir, struct sutra_balancer **ret, size_t *ret_n);
/* The csv of a balancer; the credentials come from the state folder. x-allocated. */
char *sutra_balancer_url(const char *state_dir, const struct sutra_balancer *b);
void sutra_balancer_release(struct sutra_balancer *b);
void sutra_balancers_free(struct sutra_balancer *list, size_t n);
/* The csv of the balancer in front of a group, or NULL. */
const char *sutra_balancers_csv(const struct sutra_balancer *list, size_t n, const char *group);

/* Whether its statistics can be fetched: not while it runs on another port or with other credentials. */
bool sutra_balancer_answers(const char *csv);
/* Waits until the server is UP. SUTRA_E_TIMEOUT names server and last state. */
int sutra_balancer_wait_up(const char *csv, const char *backend, const char *server,
			   uint64_t timeout_ns, const volatile sig_atomic_t *stop, struct sutra_err *err);
/* Waits until the server gets no new sessions and has none. */
int sutra_balancer_wait_drained(const char *csv, const char *backend, const char *server,
				uint64_t timeout_ns, const volatile sig_atomic_t *stop, struct sutra_err *err);

#endif
