#include "compose/edges.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool in_word(char c) { return isalnum((unsigned char)c) || strchr("-._", c); }

/* Whether host stands in value as a host: at its beginning or after a separator, not in a path. */
static bool names_host(const char *value, const char *host)
{
	size_t n = strlen(host);

	for (const char *at = strstr(value, host); n && at; at = strstr(at + 1, host)) {
		bool begins = at == value || (!in_word(at[-1]) && (at[-1] != '/' || (at > value + 1 && at[-2] == '/')));
		char after = at[n];

		if (begins && (!after || after == ':' || after == '/' || after == ',' || after == ' '))
			return true;
	}
	return false;
}

static bool names_service(const json_t *environment, const json_t *other)
{
	const char *address = text_of(other, "address"), *key;
	char host[256];
	json_t *value;

	snprintf(host, sizeof(host), "%.*s", (int)strcspn(address, ":"), address);
	json_object_foreach((json_t *)(uintptr_t)environment, key, value) {
		const char *text = json_string_value(value);

		/* Where it listens itself, and what it calls itself, is nobody it needs. */
		if (!text || sutra_str_starts(key, "SUTRA_LISTEN_") || !strcmp(key, "INSTANCE_ID"))
			continue;
		if (names_host(text, text_of(other, "name")) || names_host(text, host))
			return true;
	}
	return false;
}

static int add_once(struct sutra_strv *list, const char *name)
{
	return sutra_strv_has(list, name) ? 0 : sutra_strv_add(list, name);
}

int sutra_edges_of(const json_t *services, size_t at, struct sutra_strv *ret)
{
	const json_t *own = json_array_get(services, at), *needs = json_object_get(own, "depends_on"), *o;
	int rc = 0;
	size_t i;

	json_array_foreach(needs, i, o)
		if (!rc && json_is_string(o))
			rc = add_once(ret, json_string_value(o));
	json_array_foreach(services, i, o)
		if (!rc && i != at && names_service(json_object_get(own, "environment"), o))
			rc = add_once(ret, text_of(o, "name"));
	return rc;
}
