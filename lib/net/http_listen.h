/*
 * http_listen - the listening thread of a server, for http.c alone; http_listen.c explains it.
 */
#ifndef SUTRA_NET_HTTP_LISTEN_H
#define SUTRA_NET_HTTP_LISTEN_H

#include "net/http_private.h"

/* Starts the thread on the server's sockets, which stay the server's. */
int sutra_http_listener_start(struct sutra_http_server *s, struct sutra_err *err);
/* Accepts no further connections; the accepted ones go on. */
void sutra_http_listener_pause(struct sutra_http_listener *l);
/* Ends the thread, and closes the connections that libmicrohttpd has not been given. */
void sutra_http_listener_stop(struct sutra_http_listener *l);
void sutra_http_listener_free(struct sutra_http_listener *l);	/* after stop; NULL is fine */

#endif
