#include "compose/names.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/config.h"

static bool is_name_char(char c) { return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.'; }

const struct sutra_service *sutra_host_at(const struct sutra_compose *all, const char *key, const char *text,
					  size_t at)
{
	if (sutra_config_is_text(key) || (at && is_name_char(text[at - 1])))
		return NULL;
	for (size_t i = 0; i < all->n_services; i++) {
		const struct sutra_service *s = &all->services[i];
		size_t n = strlen(s->name);
		const char *end = text + at + n;
		bool as_url = at >= 2 && text[at - 1] == '/' && text[at - 2] == '/';

		if (strncmp(text + at, s->name, n) || is_name_char(*end))
			continue;
		if (as_url || (*end == ':' && isdigit((unsigned char)end[1])) ||
		    (!at && !*end && sutra_str_ends(key, "_HOST")))
			return s;
	}
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
