/* port - addresses as text, listening sockets, and who holds a port. */
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
/* Opens the sockets of "addr:port,...", at most max of them. One that the program which ran under
 * this pid before has left open (LISTEN_FDS) is taken over; what is left of LISTEN_FDS is closed: a
 * program has one list. A port in use is SUTRA_E_EXISTS and names the holder. */
int sutra_listen_open(const char *list, int backlog, int *fds, int max, int *ret_n,
		      struct sutra_err *err);
/* Who listens on the address (or on its port at 0.0.0.0 or [::]): false when nobody.
 * *ret_pid is 0 and name "" where /proc does not tell. */
bool sutra_port_holder(const char *address, pid_t *ret_pid, char *name, size_t size);
/* The same of any socket that has the address, a connection's too. */
bool sutra_port_user(const char *address, pid_t *ret_pid, char *name, size_t size);
/* Appends every address on which the process listens for TCP: "127.0.0.1:80", "[::]:80". */
void sutra_port_listens(pid_t pid, struct sutra_strv *ret);
/* Whether a service can listen on the address of this machine: waits a second for who has it and ends,
 * ten for a connection that took it in passing; then SUTRA_E_EXISTS, naming service and holder. */
int sutra_port_free(const char *service, const char *address, struct sutra_err *err);

#endif
