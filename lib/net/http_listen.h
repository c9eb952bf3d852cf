/*
 * http_listen - the listening thread of a server, for http.c alone; http_listen.c tells how.
 */
#ifndef SUTRA_NET_HTTP_LISTEN_H
#define SUTRA_NET_HTTP_LISTEN_H

#include "net/http_private.h"

/* Of the server's fds, which stay its own. */
int sutra_http_listener_start(struct sutra_http_server *s, struct sutra_err *err);
/* No new connections any more; those that came go on. */
void sutra_http_listener_pause(struct sutra_http_listener *l);
/* Ends the thread, and the connections that libmicrohttpd does not have. */
void sutra_http_listener_stop(struct sutra_http_listener *l);
void sutra_http_listener_free(struct sutra_http_listener *l);	/* after stop; NULL is fine */

#endif
