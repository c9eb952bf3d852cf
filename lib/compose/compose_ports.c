#include "compose/compose_parts.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"

/* [host_ip:]published:target[/protocol], or target alone. */
static int parse_port(struct reader *r, const char *text, const char *what, struct sutra_port *p)
{
	const char *slash = strchr(text, '/'), *last, *middle;
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char copy[128];
	int64_t number;

	*p = (struct sutra_port){ 0 };
	if (n >= sizeof(copy))
		return sutra_reader_fail(r, "%s: \"%s\" is no port", what, text);
	memcpy(copy, text, n);
	copy[n] = '\0';
	last = strrchr(copy, ':');
	if (sutra_str_int(last ? last + 1 : copy, 1, 65535, &number))
		return sutra_reader_fail(r, "%s: \"%s\" is not [address:]published:target", what, text);
	p->target = (int)number;
	if (last) {
		copy[last - copy] = '\0';
		middle = strrchr(copy, ':');
		if (sutra_str_int(middle ? middle + 1 : copy, 1, 65535, &number))
			return sutra_reader_fail(r, "%s: \"%s\" is not [address:]published:target", what, text);
		p->published = (int)number;
		if (middle && !(p->host_ip = sutra_strndup(copy, (size_t)(middle - copy))))
			return sutra_reader_fail(r, "out of memory");
	}
	p->protocol = sutra_strdup(slash ? slash + 1 : "tcp");
	return p->protocol ? 0 : sutra_reader_fail(r, "out of memory");
}

static int read_number(struct reader *r, struct fy_node *n, void *port, const char *what)
{
	int64_t v;
	int rc = sutra_reader_int(r, n, what, 1, 65535, &v);

	if (!rc)
		*(int *)port = (int)v;
	return rc;
}

static const struct reader_key port_keys[] = {
	READER_FIELD("target", read_number, sutra_port, target),
	READER_FIELD("published", read_number, sutra_port, published),
	READER_FIELD("host_ip", sutra_reader_string, sutra_port, host_ip),
	READER_FIELD("protocol", sutra_reader_string, sutra_port, protocol),
	READER_SKIP("mode"),
	{ 0 },
};

static int check_port(struct reader *r, const struct sutra_port *p, const char *what)
{
	struct in6_addr six;
	struct in_addr four;

	if (!p->target)
		return sutra_reader_fail(r, "%s wants a target", what);
	if (p->host_ip && inet_pton(AF_INET, p->host_ip, &four) != 1 && inet_pton(AF_INET6, p->host_ip, &six) != 1)
		return sutra_reader_fail(r, "%s: \"%s\" is no address of this machine", what, p->host_ip);
	if (strcmp(p->protocol, "tcp") && strcmp(p->protocol, "udp"))
		return sutra_reader_fail(r, "%s: the protocol is \"%s\"; tcp or udp is wanted", what, p->protocol);
	return 0;
}

static int add_port(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	struct sutra_service *s = service;
	struct sutra_port *grown = sutra_realloc_array(s->ports, s->n_ports + 1, sizeof(*grown)), *p;
	char *text;
	int rc;

	if (!grown)
		return sutra_reader_fail(r, "out of memory");
	s->ports = grown;
	p = &grown[s->n_ports++];
	*p = (struct sutra_port){ 0 };
	if (n && fy_node_is_mapping(n)) {
		rc = sutra_reader_mapping(r, n, what, port_keys, p);
		if (!rc && !p->protocol && !(p->protocol = sutra_strdup("tcp")))
			rc = sutra_reader_fail(r, "out of memory");
	} else {
		rc = sutra_reader_string(r, n, &text, what);
		if (rc)
			return rc;
		rc = parse_port(r, text, what, p);
		sutra_free(text);
	}
	return rc ? rc : check_port(r, p, what);
}

int sutra_service_ports(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return sutra_reader_list(r, n, what, add_port, service);
}

int sutra_service_expose(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	struct sutra_service *s = service;
	int64_t port;
	int rc = sutra_reader_strings(r, n, &s->expose, what);

	for (size_t i = 0; i < s->expose.n && !rc; i++) {
		char *slash = strchr(s->expose.items[i], '/');

		if (slash && (!strcmp(slash, "/tcp") || !strcmp(slash, "/udp")))
			*slash = '\0';
		if (sutra_str_int(s->expose.items[i], 1, 65535, &port))
			rc = sutra_reader_fail(r, "%s: \"%s\" is no port", what, s->expose.items[i]);
	}
	return rc;
}

void sutra_service_ports_release(struct sutra_service *s)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		sutra_free(s->ports[i].host_ip);
		sutra_free(s->ports[i].protocol);
	}
	sutra_free(s->ports);
}
