/* Files beside the compose file that a manifest holds. */
#include "manifest/manifest_model.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"

enum { MAX_FILE = 512 << 10 };	/* a config of a swarm takes 500 KB, a ConfigMap 1 MiB */

/* Names that a ConfigMap's key and a swarm's config can have. */
static bool is_plain_name(const char *s)
{
	return *s && *s != '.' && strlen(s) <= 200 &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

static int add_file(const struct workloads *all, const struct workload *w, struct workload_mount *mount,
		    char *path, const char *name)
{
	struct workload_file f = { .name = xstrdup(name), .path = path };
	uint8_t digest[SUTRA_SHA256_LEN];
	char hex[SUTRA_SHA256_HEX];
	struct sutra_err why;
	size_t n = 0;
	int rc = sutra_file_read(path, MAX_FILE, &f.text, &n, &why);

	mount->files = xrealloc_array(mount->files, mount->n + 1, sizeof(*mount->files));
	f.target = mount->single ? xstrdup(mount->v->target) : xasprintf("%s/%s", mount->v->target, name);
	if (!rc) {
		sutra_sha256(f.text, n, digest);
		sutra_hex(digest, sizeof(digest), hex);
		memcpy(f.digest, hex, 8);
	}
	mount->files[mount->n++] = f;
	if (rc)
		return workload_fail(all, w, "volumes: %s", why.message);
	if (!sutra_str_utf8(f.text, n, NULL) || strlen(f.text) != n)
		return workload_fail(all, w, "volumes: %s is no text", path);
	return is_plain_name(name) ? 0 : workload_fail(all, w, "volumes: %s: the name has odd letters", path);
}

static int by_file_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(const struct workloads *all, const struct workload *w, struct workload_mount *mount,
		      const char *folder)
{
	struct dirent **list;
	int n = scandir(folder, &list, NULL, by_file_name), rc = 0;

	if (n < 0)
		return workload_fail(all, w, "volumes: cannot read the folder %s", folder);
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", folder, list[i]->d_name);

		if (!rc && list[i]->d_name[0] != '.' && sutra_is_file(path))
			rc = add_file(all, w, mount, path, list[i]->d_name);
		else
			sutra_free(path);
		sutra_free(list[i]);
	}
	sutra_free(list);
	if (!rc && !mount->n)
		rc = workload_fail(all, w, "volumes: %s holds no file", folder);
	return rc;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int add_mount(const struct workloads *all, struct workload *w, const struct sutra_volume *v)
{
	char *path = xasprintf("%s/%s", all->m->folder, v->source + (sutra_str_starts(v->source, "./") ? 2 : 0));
	struct workload_mount *mount;
	int rc;

	w->mounts = xrealloc_array(w->mounts, w->n_mounts + 1, sizeof(*w->mounts));
	mount = &w->mounts[w->n_mounts++];
	*mount = (struct workload_mount){ .v = v, .name = xstrdup(last_part(path)), .single = sutra_is_file(path) };
	if (mount->single)
		return add_file(all, w, mount, path, mount->name);
	rc = is_plain_name(mount->name) ? add_folder(all, w, mount, path) :
					  workload_fail(all, w, "volumes: %s: the name has odd letters", path);
	sutra_free(path);
	return rc;
}

int sutra_workload_mounts_make(const struct workloads *all, struct workload *w)
{
	int rc = 0;

	for (size_t i = 0; i < w->s->n_volumes && !rc; i++) {
		const struct sutra_volume *v = &w->s->volumes[i];

		if (v->source && !v->named && v->source[0] == '.')
			rc = add_mount(all, w, v);
	}
	return rc;
}

void sutra_workload_mounts_release(struct workload *w)
{
	for (size_t i = 0; i < w->n_mounts; i++) {
		for (size_t f = 0; f < w->mounts[i].n; f++) {
			sutra_free(w->mounts[i].files[f].name);
			sutra_free(w->mounts[i].files[f].path);
			sutra_free(w->mounts[i].files[f].text);
			sutra_free(w->mounts[i].files[f].target);
		}
		sutra_free(w->mounts[i].files);
		sutra_free(w->mounts[i].name);
	}
	sutra_free(w->mounts);
}
