/*
 * Pages of other sites. A page in a browser on this machine, or in this network, can make the browser send
 * requests to this server. Three attacks, and how they are recognised:
 *
 *	the page's own name resolves to this address ("DNS rebinding"): a browser's request whose Host is
 *		neither an address, localhost, a name without a dot (public names have one), nor one of
 *		allowed_hosts
 *	a request that changes something, without reading the answer: an Origin (old browsers: a Referer)
 *		that is not this host, or Sec-Fetch-Site
 *	a link or image whose GET changes something: any header that only browsers send
 *
 * Browsers send headers that a page cannot suppress. Programs send none of them, and may use any Host: a
 * balancer, an orchestrator and a proxy have names of their own.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "net/http_private.h"

struct name {
	const char *at;
	size_t n;
};

static bool equal(struct name a, const char *b, size_t n) { return a.n == n && !strncasecmp(a.at, b, n); }

static bool ends_with(struct name a, const char *end, size_t n)
{
	return a.n > n && !strncasecmp(a.at + a.n - n, end, n);
}

/* host[:port] of "http://host:port/path" or of "host:port". */
static struct name authority_of(const char *url)
{
	const char *scheme = strstr(url, "://"), *at = scheme ? scheme + 3 : url;

	return (struct name){ at, strcspn(at, "/?#") };
}

static struct name without_port(struct name a)
{
	const char *colon = memrchr(a.at, ':', a.n);

	if (a.n && *a.at == '[')
		return (struct name){ a.at + 1, strcspn(a.at, "]") - 1 };
	if (colon)
		a.n = (size_t)(colon - a.at);
	if (a.n && a.at[a.n - 1] == '.')
		a.n--;
	return a;
}

static bool is_address(struct name host)
{
	unsigned char binary[16];
	char text[64];

	if (!host.n || host.n >= sizeof(text))
		return false;
	memcpy(text, host.at, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
}

/* list: "name,*.domain,..."; "*" is every name. */
static bool is_listed(struct name host, const char *list)
{
	for (const char *at = list ? list : ""; *at;) {
		size_t n = strcspn(at, ", ");

		if ((n == 1 && *at == '*') || (n && equal(host, at, n)) ||
		    (n > 2 && !strncmp(at, "*.", 2) && ends_with(host, at + 1, n - 1)))
			return true;
		at += n + strspn(at + n, ", ");
	}
	return false;
}

static bool is_ours(struct name host, const char *list)
{
	return !host.n || is_address(host) || !memchr(host.at, '.', host.n) || ends_with(host, ".localhost", 10) ||
	       is_listed(host, list);
}

bool sutra_http_from_browser(const struct sutra_http_request *r)
{
	const char *agent = r->headers[SUTRA_HTTP_H_AGENT];

	return r->headers[SUTRA_HTTP_H_ORIGIN] || r->headers[SUTRA_HTTP_H_REFERER] || r->headers[SUTRA_HTTP_H_SITE] ||
	       r->headers[SUTRA_HTTP_H_MODE] || r->headers[SUTRA_HTTP_H_LANGUAGE] ||
	       (agent && !strncmp(agent, "Mozilla/", 8));
}

/* Whether the browser's headers say that a page of another site has sent it. */
static bool is_foreign(const struct sutra_http_request *r, struct name host, const char *list)
{
	const char *origin = r->headers[SUTRA_HTTP_H_ORIGIN], *site = r->headers[SUTRA_HTTP_H_SITE];
	struct name from;

	if (!origin)
		origin = r->headers[SUTRA_HTTP_H_REFERER];
	if (!origin)
		return site && strcmp(site, "same-origin") && strcmp(site, "none");
	from = authority_of(origin);
	return !equal(from, host.at, host.n) && !is_listed(without_port(from), list);
}

void sutra_http_check_origin(struct sutra_http_request *r, const char *host, const struct sutra_http_options *o)
{
	bool safe = !strcmp(r->method, "GET") || !strcmp(r->method, "HEAD") || !strcmp(r->method, "OPTIONS");
	struct name at = authority_of(host);

	if (!sutra_http_from_browser(r))
		return;
	if (!is_ours(without_port(at), o->allowed_hosts)) {
		sutra_fail(&r->refusal, SUTRA_E_MISDIRECTED, "the host \"%.100s\" is not served here", host);
		sutra_hint(&r->refusal, "SUTRA_ALLOWED_HOSTS names the hosts that browsers may use");
	} else if (r->changes && is_foreign(r, at, o->allowed_hosts)) {
		sutra_fail(&r->refusal, SUTRA_E_FORBIDDEN, "another site's page may not ask for this");
		sutra_hint(&r->refusal, "SUTRA_ALLOWED_HOSTS names the hosts whose pages may");
	} else if (safe && r->changes) {
		sutra_fail(&r->refusal, SUTRA_E_FORBIDDEN, "a browser may not change anything with %s", r->method);
		sutra_hint(&r->refusal, "send POST");
	}
}
