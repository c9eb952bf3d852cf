/*
 * credentials - user and password of embedding-ha's statistics: <state>/haproxy-stats.json (0600), made at
 * the first deploy that needs them, or taken from HAPROXY_STATS_USER and HAPROXY_STATS_PASSWORD.
 */
#ifndef SUTRA_DEPLOY_CREDENTIALS_H
#define SUTRA_DEPLOY_CREDENTIALS_H

#include <stdbool.h>

#include "base/err.h"
#include "compose/config.h"

struct sutra_credentials {
	char *user, *password;
};

/* In the enterprise edition alone: puts user and password into the settings, from the settings themselves,
 * from the file, or made now (*ret_made), and keeps them in the file. only_read: nothing is made or written. */
int sutra_credentials_settle(const char *state_dir, struct sutra_config *config, bool only_read, bool *ret_made,
			     struct sutra_err *err);
/* SUTRA_E_NOTFOUND: there are none. */
int sutra_credentials_read(const char *state_dir, struct sutra_credentials *ret, struct sutra_err *err);
void sutra_credentials_release(struct sutra_credentials *c);

#endif
