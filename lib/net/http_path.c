#include "net/http_path.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 :
				      -1;
}

unsigned char sutra_http_byte(const char *p, size_t n, size_t *ret_len)
{
	*ret_len = *p == '%' && n >= 3 && hex(p[1]) >= 0 && hex(p[2]) >= 0 ? 3 : 1;
	return *ret_len == 3 ? (unsigned char)(hex(p[1]) << 4 | hex(p[2])) : (unsigned char)*p;
}

/* Assigns the path's segment to the parameter; returns the segment's length, 0: there is none. */
static size_t take_segment(const char *name, const char *path, struct sutra_http_match *m)
{
	size_t n = strcspn(path, "/");

	if (!n || m->n == SUTRA_HTTP_PARAMS)
		return 0;
	m->param[m->n].name = name;
	m->param[m->n].name_len = strcspn(name, "}");
	m->param[m->n].at = path;
	m->param[m->n++].len = n;
	return n;
}

bool sutra_http_path_match(const char *route, const char *path, struct sutra_http_match *ret)
{
	size_t n;

	ret->n = 0;
	while (*route && *path) {
		if (*route == '{') {
			n = take_segment(route + 1, path, ret);
			if (!n)
				return false;
			path += n;
			route += ret->param[ret->n - 1].name_len + 2;
		} else if (*route == *path) {
			route++;
			path++;
		} else if (*path == '%' && sutra_http_byte(path, strnlen(path, 3), &n) == (unsigned char)*route) {
			route++;
			path += n;
		} else {
			return false;
		}
	}
	return !*route && !*path;
}

int sutra_http_unescape(const char *p, size_t n, char *out)
{
	size_t used = 0, len, valid;

	for (size_t i = 0; i < n; i += len) {
		out[used++] = (char)sutra_http_byte(p + i, n - i, &len);
		if (p[i] == '%' && len == 1)
			return SUTRA_E_SYNTAX;
	}
	out[used] = '\0';
	return strlen(out) == used && sutra_str_utf8(out, used, &valid) ? 0 : SUTRA_E_SYNTAX;
}
