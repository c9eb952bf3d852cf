#include "probe/promtext.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t name_len(const char *s)
{
	size_t n = 0;

	while (isalpha((unsigned char)s[n]) || s[n] == '_' || s[n] == ':' || (n && isdigit((unsigned char)s[n])))
		n++;
	return n;
}

/* The end of {a="b",...}, or s when there are no labels; NULL: syntax error. */
static const char *skip_labels(const char *s)
{
	if (*s++ != '{')
		return s - 1;
	while (*s != '}') {
		size_t n = name_len(s);

		if (!n || s[n] != '=' || s[n + 1] != '"')
			return NULL;
		for (s += n + 2; *s && *s != '"' && *s != '\n'; s++)
			s += *s == '\\' && s[1];
		if (*s++ != '"')
			return NULL;
		s += *s == ',';
	}
	return s + 1;
}

/* The end of "name{labels} value [time]", or NULL; *ret is the value. */
static const char *sample(const char *line, double *ret)
{
	size_t n = name_len(line);
	const char *s = n ? skip_labels(line + n) : NULL;
	char *end;

	if (!s || (*s != ' ' && *s != '\t'))
		return NULL;
	while (*s == ' ' || *s == '\t')
		s++;
	if (*s == '\n')
		return NULL;
	*ret = strtod(s, &end);
	if (end == s)
		return NULL;
	while (*end == ' ' || *end == '\t' || isdigit((unsigned char)*end) || *end == '-')
		end++;
	end += *end == '\r';
	return !*end || *end == '\n' ? end : NULL;
}

int sutra_promtext_check(const char *text, size_t *ret_samples, struct sutra_err *err)
{
	size_t samples = 0, line = 1;

	for (const char *s = text; *s; s += *s == '\n', line++) {
		const char *end = s + strcspn(s, "\n");
		double v;

		if (*s != '#' && s + strspn(s, " \t\r") != end) {
			if (sample(s, &v) != end)
				return sutra_fail(err, SUTRA_E_SYNTAX, "line %zu, \"%.*s\", is no Prometheus sample", line,
						  (int)(end - s < 60 ? end - s : 60), s);
			samples++;
		}
		s = end;
	}
	*ret_samples = samples;
	return 0;
}

/* The first line that is a sample of that name, or NULL. */
static const char *find(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *s = text; s; s = strchr(s, '\n')) {
		s += *s == '\n';
		if (!strncmp(s, name, n) && (s[n] == ' ' || s[n] == '{'))
			return s;
	}
	return NULL;
}

double sutra_promtext_value(const char *text, const char *name)
{
	const char *line = find(text, name);
	double v;

	return line && sample(line, &v) ? v : -1;
}

bool sutra_promtext_label(const char *text, const char *name, const char *label, char *out, size_t size)
{
	const char *line = find(text, name), *end = line ? skip_labels(line + strlen(name)) : NULL, *at;
	char key[80];

	snprintf(key, sizeof(key), "%.70s=\"", label);
	at = end ? strstr(line, key) : NULL;
	if (!at || at >= end)
		return false;
	at += strlen(key);
	snprintf(out, size, "%.*s", (int)strcspn(at, "\"\n"), at);
	return true;
}
