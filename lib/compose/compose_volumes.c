#include "compose/compose_parts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

struct mount {	/* an entry, in the short or the long form */
	struct sutra_volume v;
	char *type;
	struct sutra_strv *tmpfs;
};

/* The keys bind, volume and tmpfs hold options of the engine. */
static const struct reader_key mount_keys[] = {
	READER_FIELD("type", sutra_reader_string, mount, type),
	READER_FIELD("source", sutra_reader_string, mount, v.source),
	READER_FIELD("target", sutra_reader_string, mount, v.target),
	READER_FIELD("read_only", sutra_reader_bool, mount, v.read_only),
	READER_SKIP("bind"),
	READER_SKIP("volume"),
	READER_SKIP("tmpfs"),
	READER_SKIP("consistency"),
	{ 0 },
};

static int long_form(struct reader *r, struct fy_node *n, struct mount *m, const char *what)
{
	int rc = sutra_reader_mapping(r, n, what, mount_keys, m);
	bool bind = m->type && !strcmp(m->type, "bind"), tmpfs = m->type && !strcmp(m->type, "tmpfs");

	if (rc)
		return rc;
	if (!m->type || (!bind && !tmpfs && strcmp(m->type, "volume") != 0))
		return sutra_reader_fail(r, "%s: the type is %s; bind, volume or tmpfs is wanted", what,
					 m->type ? m->type : "missing");
	if (bind && !m->v.source)
		return sutra_reader_fail(r, "%s: a bind wants a source", what);
	if (tmpfs && m->v.source)
		return sutra_reader_fail(r, "%s: a tmpfs has no source", what);
	m->v.named = m->v.source && !bind;
	if (tmpfs && m->v.target && sutra_strv_add(m->tmpfs, m->v.target))
		return sutra_reader_fail(r, "out of memory");
	return 0;
}

/* Options of the short form, behind the second colon. */
static bool read_options(const char *text, bool *ret_read_only)
{
	static const char *const others[] = { "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent" };
	struct sutra_strv list = { 0 };
	bool known = !sutra_strv_split(&list, text, ",") && list.n;

	for (size_t i = 0; i < list.n && known; i++) {
		size_t at = 0, n = sizeof(others) / sizeof(*others);

		while (at < n && strcmp(others[at], list.items[i]) != 0)
			at++;
		*ret_read_only = *ret_read_only || !strcmp(list.items[i], "ro");
		known = at < n || !strcmp(list.items[i], "ro");
	}
	sutra_strv_release(&list);
	return known;
}

/* [source:]target[:options]; a source that begins with a slash, a dot or ~ is a path. */
static int short_form(struct reader *r, struct fy_node *n, struct mount *m, const char *what)
{
	char *text, *colon, *options;
	int rc = sutra_reader_string(r, n, &text, what);

	if (rc)
		return rc;
	colon = strchr(text, ':');
	options = colon ? strchr(colon + 1, ':') : NULL;
	if (options)
		*options++ = '\0';
	if (colon == text || (options && !read_options(options, &m->v.read_only))) {
		rc = sutra_reader_fail(r, "%s: \"%.200s%s%.50s\" is not source:target[:ro]", what, text, options ? ":" : "",
				       options ? options : "");
	} else {
		m->v.source = colon ? sutra_strndup(text, (size_t)(colon - text)) : NULL;
		m->v.target = sutra_strdup(colon ? colon + 1 : text);
		m->v.named = m->v.source && !strchr("/.~", *m->v.source);
	}
	sutra_free(text);
	return rc;
}

static int check_mount(struct reader *r, struct mount *m, const char *what)
{
	struct sutra_volume *v = &m->v;
	char *source;

	if (!v->target || *v->target != '/')
		return sutra_reader_fail(r, "%s: the target is \"%.200s\"; an absolute path is wanted", what,
					 v->target ? v->target : "");
	if (v->source && *v->source == '~' && !v->named) {
		source = v->source[1] && v->source[1] != '/' ? NULL : sutra_asprintf("%s%s", sutra_home(), v->source + 1);
		if (!source)
			return sutra_reader_fail(r, "%s: \"%.200s\" is no path", what, v->source);
		sutra_free(v->source);
		v->source = source;
	}
	return v->named ? sutra_reader_name(r, v->source, what) : 0;
}

static int add_volume(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	struct sutra_service *s = service;
	struct mount m = { .tmpfs = &s->tmpfs };
	struct sutra_volume *grown;
	int rc = n && fy_node_is_mapping(n) ? long_form(r, n, &m, what) : short_form(r, n, &m, what);

	rc = rc ? rc : check_mount(r, &m, what);
	if (!rc && !(m.type && !strcmp(m.type, "tmpfs"))) {
		grown = sutra_realloc_array(s->volumes, s->n_volumes + 1, sizeof(*grown));
		if (grown) {
			s->volumes = grown;
			grown[s->n_volumes++] = m.v;
			m.v = (struct sutra_volume){ 0 };
		} else {
			rc = sutra_reader_fail(r, "out of memory");
		}
	}
	sutra_free(m.type);
	sutra_free(m.v.source);
	sutra_free(m.v.target);
	return rc;
}

int sutra_service_volumes(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return sutra_reader_list(r, n, what, add_volume, service);
}

void sutra_service_volumes_release(struct sutra_service *s)
{
	for (size_t i = 0; i < s->n_volumes; i++) {
		sutra_free(s->volumes[i].source);
		sutra_free(s->volumes[i].target);
	}
	sutra_free(s->volumes);
}
