#include "compose/names.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/config.h"

static bool is_name_char(char c) { return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.'; }

bool sutra_is_host_at(const char *key, const char *text, size_t at, const char *host)
{
	size_t n = strlen(host);

	if (!n || (at && is_name_char(text[at - 1])) || strncmp(text + at, host, n) || is_name_char(text[at + n]))
		return false;
	return (at >= 2 && text[at - 1] == '/' && text[at - 2] == '/') ||
	       (text[at + n] == ':' && isdigit((unsigned char)text[at + n + 1])) ||
	       (!at && !text[n] && sutra_str_ends(key, "_HOST"));
}

bool sutra_env_names_host(const struct sutra_env *env, const char *host)
{
	for (size_t i = 0; i < env->n; i++) {
		const char *key = env->items[i].key, *text = env->items[i].value;

		if (sutra_str_starts(key, "SUTRA_LISTEN_") || sutra_config_is_text(key))
			continue;
		for (size_t at = 0; text[at]; at++)
			if (sutra_is_host_at(key, text, at, host))
				return true;
	}
	return false;
}

const struct sutra_service *sutra_host_at(const struct sutra_compose *all, const char *key, const char *text,
					  size_t at)
{
	for (size_t i = 0; i < all->n_services && !sutra_config_is_text(key); i++)
		if (sutra_is_host_at(key, text, at, all->services[i].name))
			return &all->services[i];
	return NULL;
}

char *sutra_group_of(const struct sutra_compose *all, const struct sutra_service *s)
{
	size_t n = strlen(s->name), stem = n;

	while (stem && isdigit((unsigned char)s->name[stem - 1]))
		stem--;
	if (stem == n || stem < 2 || s->name[stem - 1] != '-')
		return sutra_strdup(s->name);
	for (size_t i = 0; i < all->n_services; i++) {
		const struct sutra_service *o = &all->services[i];

		if (o != s && !strncmp(o->name, s->name, stem) && isdigit((unsigned char)o->name[stem]))
			return sutra_strndup(s->name, stem - 1);
	}
	return sutra_strdup(s->name);
}
