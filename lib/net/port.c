#include "net/port.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define ENDING_NS 1000000000u
#define PASSING_NS 10000000000u

int sutra_addr_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
		     struct sutra_err *err)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_storage sa = { 0 };
	char host[64];
	int64_t port;
	size_t n;

	if (!colon || sutra_str_int(colon + 1, 0, 65535, &port))
		return sutra_fail(err, SUTRA_E_INVALID,
				  "\"%s\" is no address; addr:port is wanted, port from 0 to 65535",
				  text);
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	snprintf(host, sizeof(host), "%.*s", (int)n, text);
	if (inet_pton(AF_INET, host, &((struct sockaddr_in *)&sa)->sin_addr) == 1) {
		sa.ss_family = AF_INET;
		((struct sockaddr_in *)&sa)->sin_port = htons((uint16_t)port);
		*ret_len = sizeof(struct sockaddr_in);
	} else if (inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)&sa)->sin6_addr) == 1) {
		sa.ss_family = AF_INET6;
		((struct sockaddr_in6 *)&sa)->sin6_port = htons((uint16_t)port);
		*ret_len = sizeof(struct sockaddr_in6);
	} else {
		return sutra_fail(err, SUTRA_E_INVALID, "\"%s\" is no numeric IP address", host);
	}
	*ret = sa;
	return 0;
}

void sutra_addr_format(const struct sockaddr *sa, char out[SUTRA_ADDR_LEN])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(out, SUTRA_ADDR_LEN, "[%s]:%d", host, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const void *)sa;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(out, SUTRA_ADDR_LEN, "%s:%d", host, ntohs(in->sin_port));
	}
}

int sutra_listen_tcp(const char *address, int backlog, int *ret_fd, struct sutra_err *err)
{
	struct sockaddr_storage sa;
	char holder[64];
	socklen_t len;
	int fd, one = 1, rc = sutra_addr_parse(address, &sa, &len, err);
	pid_t pid;

	if (rc)
		return rc;
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return sutra_fail_errno(err, "cannot create a socket for %s", address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, (struct sockaddr *)&sa, len) && !listen(fd, backlog)) {
		*ret_fd = fd;
		return 0;
	}
	if (errno != EADDRINUSE)
		rc = sutra_fail_errno(err, "cannot listen on %s", address);
	else if (sutra_port_holder(address, true, &pid, holder, sizeof(holder)) && pid)
		rc = sutra_fail(err, SUTRA_E_EXISTS, "cannot listen on %s: it is in use by %s (pid %ld)",
				address, holder, (long)pid);
	else
		rc = sutra_fail(err, SUTRA_E_EXISTS, "cannot listen on %s: it is in use", address);
	close(fd);
	return rc;
}

/* How many sockets the program that ran under this pid before has left open (sd_listen_fds(3)). */
static int count_inherited(void)
{
	const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	int64_t n, owner;

	if (!fds || !pid || sutra_str_int(fds, 1, SUTRA_LISTEN_MAX, &n) || sutra_str_int(pid, 1, INT32_MAX, &owner) ||
	    owner != getpid())
		return 0;
	return (int)n;
}

static bool is_taken(int fd) { return fcntl(fd, F_GETFD) & FD_CLOEXEC; }

/* Takes over the inherited socket that listens on the address; -1: there is none. */
static int inherited_fd(const char *address)
{
	struct sockaddr_storage want, have;
	socklen_t len;

	if (sutra_addr_parse(address, &want, &len, NULL))
		return -1;
	for (int fd = SUTRA_LISTEN_FIRST; fd < SUTRA_LISTEN_FIRST + count_inherited(); fd++) {
		socklen_t have_len = sizeof(have);

		memset(&have, 0, sizeof(have));
		if (!getsockname(fd, (struct sockaddr *)&have, &have_len) && have_len == len &&
		    !memcmp(&have, &want, len) && !is_taken(fd)) {
			fcntl(fd, F_SETFD, FD_CLOEXEC);
			return fd;
		}
	}
	return -1;
}

/* Closes the inherited sockets that this program does not use. */
static void close_inherited(void)
{
	for (int fd = SUTRA_LISTEN_FIRST; fd < SUTRA_LISTEN_FIRST + count_inherited(); fd++)
		if (!is_taken(fd))
			close(fd);
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
}

int sutra_listen_open(const char *list, int backlog, int *fds, int max, int *ret_n,
		      struct sutra_err *err)
{
	struct sutra_strv addresses = { 0 };
	int n = 0, rc;

	rc = sutra_strv_split(&addresses, list, ",");
	if (!rc && (!addresses.n || addresses.n > (size_t)max))
		rc = sutra_fail(err, SUTRA_E_SETTING, "\"%s\" must name 1 to %d addresses", list, max);
	for (size_t i = 0; i < addresses.n && !rc; i++) {
		int fd = inherited_fd(addresses.items[i]);

		if (fd < 0)
			rc = sutra_listen_tcp(addresses.items[i], backlog, &fd, err);
		if (!rc)
			fds[n++] = fd;
	}
	sutra_strv_release(&addresses);
	close_inherited();
	if (rc) {
		while (n)
			close(fds[--n]);
		return rc;
	}
	*ret_n = n;
	return 0;
}

/* A walk over the TCP sockets that /proc/net lists, and the socket it is at. */
struct sockets {
	FILE *table;
	int opened;		/* tables so far */
	struct sockaddr_storage address;
	bool listens;
	unsigned long inode;
};

static bool read_socket(struct sockets *s, const char *line)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&s->address;
	unsigned port, state, word[4];
	char host[64];

	if (sscanf(line, " %*d: %63[0-9A-F]:%X %*[0-9A-F]:%*X %X %*s %*s %*s %*s %*s %lu", host, &port, &state,
		   &s->inode) != 4)
		return false;
	s->listens = state == 0x0A;
	s->address = (struct sockaddr_storage){ .ss_family = strlen(host) > 8 ? AF_INET6 : AF_INET };
	in->sin_port = htons((uint16_t)port);	/* at the same place in both families */
	if (sscanf(host, "%8X%8X%8X%8X", &word[0], &word[1], &word[2], &word[3]) == 4)
		memcpy(&((struct sockaddr_in6 *)in)->sin6_addr, word, sizeof(word));
	else
		in->sin_addr.s_addr = word[0];
	return true;
}

/* Moves on to the next socket. False: there is none, and nothing is open any more. */
static bool next_socket(struct sockets *s)
{
	static const char *const paths[] = { "/proc/net/tcp", "/proc/net/tcp6" };
	char line[512];

	while (s->table || s->opened < 2) {
		if (!s->table)
			s->table = fopen(paths[s->opened++], "re");
		while (s->table && fgets(line, sizeof(line), s->table))
			if (read_socket(s, line))
				return true;
		if (s->table)
			fclose(s->table);
		s->table = NULL;
	}
	return false;
}

/* Whether the socket takes the wanted address: it has the port, and the same host or the wildcard. */
static bool takes(const struct sockaddr_storage *have, const struct sockaddr_storage *want)
{
	const struct sockaddr_in *in = (const void *)have, *want_in = (const void *)want;
	const struct in6_addr *host = &((const struct sockaddr_in6 *)have)->sin6_addr;
	bool same_family = have->ss_family == want->ss_family;

	if (in->sin_port != want_in->sin_port)
		return false;
	if (have->ss_family == AF_INET)
		return !in->sin_addr.s_addr || (same_family && in->sin_addr.s_addr == want_in->sin_addr.s_addr);
	return IN6_IS_ADDR_UNSPECIFIED(host) ||
	       (same_family && IN6_ARE_ADDR_EQUAL(host, &((const struct sockaddr_in6 *)want)->sin6_addr));
}

static bool holds(const char *pid, unsigned long inode)
{
	char dir[300], path[600], want[64], link[64];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	snprintf(dir, sizeof(dir), "/proc/%s/fd", pid);
	d = opendir(dir);
	while (d && !found && (e = readdir(d))) {
		ssize_t n;

		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n > 0) {
			link[n] = '\0';
			found = !strcmp(link, want);
		}
	}
	if (d)
		closedir(d);
	return found;
}

static void program_name(const char *pid, char *name, size_t size)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(name, (int)size, f))
		snprintf(name, size, "?");
	name[strcspn(name, "\n")] = '\0';
	if (f)
		fclose(f);
}

bool sutra_port_holder(const char *address, bool listening, pid_t *ret_pid, char *name, size_t size)
{
	struct sockaddr_storage want;
	unsigned long inode = 0;
	struct sockets s = { 0 };
	struct dirent *e;
	socklen_t len;
	DIR *proc;

	*ret_pid = 0;
	*name = '\0';
	if (sutra_addr_parse(address, &want, &len, NULL))
		return false;
	while (next_socket(&s))
		if (!inode && (s.listens || !listening) && takes(&s.address, &want))
			inode = s.inode;
	if (!inode)
		return false;
	proc = opendir("/proc");
	while (proc && !*ret_pid && (e = readdir(proc))) {
		int64_t pid;

		if (!isdigit((unsigned char)e->d_name[0]) || !holds(e->d_name, inode))
			continue;
		if (!sutra_str_int(e->d_name, 1, INT32_MAX, &pid)) {
			*ret_pid = (pid_t)pid;
			program_name(e->d_name, name, size);
		}
	}
	if (proc)
		closedir(proc);
	return true;
}

void sutra_port_listens(pid_t pid, struct sutra_strv *ret)
{
	char process[32], text[SUTRA_ADDR_LEN];
	struct sockets s = { 0 };

	snprintf(process, sizeof(process), "%ld", (long)pid);
	while (next_socket(&s)) {
		if (!s.listens || !holds(process, s.inode))
			continue;
		sutra_addr_format((const struct sockaddr *)&s.address, text);
		if (!sutra_strv_has(ret, text))
			sutra_strv_add(ret, text);
	}
}

/* Whether the address stays in use. A listening process that is about to end gets ENDING_NS; a connection
 * that has the port as its ephemeral one gets PASSING_NS. */
static bool stays_taken(const char *address, pid_t *pid, char *holder, size_t size)
{
	uint64_t began = sutra_clock_ns();
	int fd, rc;

	while ((rc = sutra_listen_tcp(address, 1, &fd, NULL)) == SUTRA_E_EXISTS) {
		bool listens = sutra_port_holder(address, true, pid, holder, size);

		if ((listens && *pid) || sutra_clock_ns() - began >= (listens ? ENDING_NS : PASSING_NS)) {
			sutra_port_holder(address, false, pid, holder, size);
			return true;
		}
		poll(NULL, 0, 20);
	}
	if (!rc)
		close(fd);
	return false;
}

int sutra_port_free(const char *service, const char *address, struct sutra_err *err)
{
	char holder[64];
	pid_t pid;

	if (!stays_taken(address, &pid, holder, sizeof(holder)))
		return 0;
	if (pid)
		sutra_fail(err, SUTRA_E_EXISTS, "%s needs %s, which is in use by %s (pid %ld)", service, address, holder,
			   (long)pid);
	else
		sutra_fail(err, SUTRA_E_EXISTS, "%s needs %s, which is in use", service, address);
	sutra_hint(err, "end that program, or deploy beside it with SUTRA_PORT_OFFSET=1000");
	return SUTRA_E_EXISTS;
}
