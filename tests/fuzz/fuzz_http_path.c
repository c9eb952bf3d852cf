/* A request's path beside routes' paths: a parameter lies within it, decodes to no more than it was, and
 * escaped again it decodes to the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "net/http_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_param(const char *at, size_t n)
{
	char *text = sutra_alloc(n + 1), *escaped, *again;
	size_t len;

	if (!text)
		abort();
	if (!sutra_http_unescape(at, n, text)) {
		len = strlen(text);
		escaped = sutra_alloc(3 * len + 1);
		again = sutra_alloc(3 * len + 1);
		if (len > n || !escaped || !again)
			abort();
		for (size_t i = 0; i < len; i++)
			snprintf(escaped + 3 * i, 4, "%%%02x", (unsigned char)text[i]);
		if (sutra_http_unescape(escaped, 3 * len, again) || strcmp(again, text))
			abort();
		sutra_free(escaped);
		sutra_free(again);
	}
	sutra_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const routes[] = { "/", "/v1/models/{id}", "/a/{b}/c/{d}", "/{a}/{b}/{c}/{d}", "{a}" };
	char *path = sutra_alloc(size + 1);
	struct sutra_http_match m;

	if (!path)
		abort();
	memcpy(path, data, size);
	path[size] = '\0';
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		if (!sutra_http_path_match(routes[i], path, &m))
			continue;
		for (size_t k = 0; k < m.n; k++) {
			if (m.param[k].at < path || m.param[k].at + m.param[k].len > path + strlen(path) ||
			    !m.param[k].len || memchr(m.param[k].at, '/', m.param[k].len))
				abort();
			check_param(m.param[k].at, m.param[k].len);
		}
	}
	sutra_free(path);
	return 0;
}
