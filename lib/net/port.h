/* port - addresses as text, listening sockets, and the process that holds a port. */
#ifndef SUTRA_NET_PORT_H
#define SUTRA_NET_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/* "127.0.0.1:80" or "[::1]:80", numeric only; port 0 is allowed. 0 or SUTRA_E_INVALID. */
int sutra_addr_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
		     struct sutra_err *err);
/* The other way; out of at least SUTRA_ADDR_LEN bytes. */
#define SUTRA_ADDR_LEN 64
void sutra_addr_format(const struct sockaddr *sa, char out[SUTRA_ADDR_LEN]);
/* A non-blocking, close-on-exec TCP socket that listens. A port in use is
 * SUTRA_E_EXISTS and names address, port and holder. */
int sutra_listen_tcp(const char *address, int backlog, int *ret_fd, struct sutra_err *err);
enum { SUTRA_LISTEN_FIRST = 3, SUTRA_LISTEN_MAX = 16 };	/* inherited: sd_listen_fds(3) */
/* Opens the sockets of "addr:port,...", at most max of them. A socket that the program which ran under
 * this pid before has left open (LISTEN_FDS) is taken over; the rest of LISTEN_FDS is closed, so a
 * program calls this once. A port in use is SUTRA_E_EXISTS and names the holder. */
int sutra_listen_open(const char *list, int backlog, int *fds, int max, int *ret_n,
		      struct sutra_err *err);
/* Which process has a socket with the address (or with its port at 0.0.0.0 or [::]), listening: one that
 * listens; false: none has. *ret_pid is 0 and name "" when /proc does not show it. */
bool sutra_port_holder(const char *address, bool listening, pid_t *ret_pid, char *name, size_t size);
/* Appends every address on which the process listens for TCP: "127.0.0.1:80", "[::]:80". */
void sutra_port_listens(pid_t pid, struct sutra_strv *ret);
/* Checks that a service can listen on the address of this machine. Waits a second for a listening process
 * that is about to end, ten seconds for a connection that has the port as its ephemeral one; then
 * SUTRA_E_EXISTS, naming service and holder. */
int sutra_port_free(const char *service, const char *address, struct sutra_err *err);

#endif
