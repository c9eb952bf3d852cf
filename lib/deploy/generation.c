#include "deploy/generation.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "runtime/docker.h"

enum { MAX_NUMBER = 999999999, KEPT = 4, MAX_DOC = 1 << 20, MAX_COMPOSE_FILE = 1 << 20 };

static char *dir_of(const char *state_dir, int number)
{
	return xasprintf("%s/generations/%d", state_dir, number);
}

static char *next_dir(const char *state_dir) { return xasprintf("%s/generations/next", state_dir); }

/* The document of a generation that is prepared. */
static int write_doc(struct sutra_config *config, const struct sutra_desired *d, const char *state_dir, const char *dir,
		     const char *cause, struct sutra_err *err)
{
	json_t *services = json_array(), *images = json_object(), *doc;
	char stamp[SUTRA_RFC3339_LEN], tag[SUTRA_TAG_LEN], *path = xasprintf("%s/generation.json", dir);
	int rc;

	sutra_clock_rfc3339(sutra_clock_wall_us(), stamp);
	for (size_t i = 0; i < d->n; i++) {
		json_array_append_new(services, json_string(d->units[i].name));
		if (d->units[i].image && !sutra_docker_tag(state_dir, d->units[i].image, tag))
			json_object_set_new(images, d->units[i].name, json_string(tag));
	}
	doc = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "schema", "sutra.generation/1", "deployed_at", stamp, "cause",
			cause, "runtime", d->rt->name, "settings", sutra_config_settings(config), "services", services,
			"images", images);
	rc = sutra_json_write(path, MAX_DOC, doc, err);
	json_decref(doc);
	sutra_free(path);
	return rc;
}

/* Tags the images: their names may mean other images when the generation starts again. */
static int keep_images(const struct sutra_desired *d, const char *state_dir, struct sutra_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < d->n && !rc; i++)
		rc = d->units[i].image ? sutra_docker_keep(state_dir, d->units[i].image, err) : 0;
	return rc;
}

/* Copies Sutra's own programs, each once. */
static int keep_programs(const struct sutra_desired *d, const char *dir, struct sutra_err *err)
{
	int rc = sutra_mkdirs(dir, 0755, err);

	for (size_t i = 0; i < d->n && !rc; i++) {
		const struct sutra_unit *u = &d->units[i];
		char *to = xasprintf("%s/%s", dir, u->program);

		if (sutra_str_starts(u->program, "sutra-") && !sutra_is_file(to))
			rc = sutra_copy_file(u->argv.items[0], to, err);
		sutra_free(to);
	}
	return rc;
}

static int newest_first(const void *a, const void *b) { return *(const int *)b - *(const int *)a; }

size_t sutra_generation_list(const char *state_dir, int **ret)
{
	char *path = xasprintf("%s/generations", state_dir);
	DIR *d = opendir(path);
	struct dirent *e;
	int *list = NULL;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		int64_t number;

		if (sutra_str_int(e->d_name, 1, MAX_NUMBER, &number))
			continue;
		list = xrealloc_array(list, n + 1, sizeof(*list));
		list[n++] = (int)number;
	}
	if (d)
		closedir(d);
	sutra_free(path);
	if (n)
		qsort(list, n, sizeof(*list), newest_first);
	*ret = list;
	return n;
}

/* Whether a running service was started from the generation's folder. */
static bool in_use(const struct sutra_record *record, const char *state_dir, int number)
{
	char *inside = xasprintf("%s/generations/%d/", state_dir, number);
	bool yes = sutra_record_uses(record, inside);

	sutra_free(inside);
	return yes;
}

int sutra_generation_prepare(const char *state_dir, struct sutra_config *config, const struct sutra_desired *d,
			     const char *data_dir, const char *cause, struct sutra_err *err)
{
	char *dir = next_dir(state_dir), *from = xasprintf("%s/compose", data_dir),
	     *to = xasprintf("%s/compose", dir), *bin = xasprintf("%s/bin", dir);
	int rc = sutra_remove_tree(dir, err);

	rc = rc ? rc : sutra_mkdirs(dir, 0755, err);	/* containers read the configuration in it */
	rc = rc ? rc : sutra_copy_tree(from, to, MAX_COMPOSE_FILE, err);
	rc = rc || d->rt == &sutra_docker ? rc : keep_programs(d, bin, err);
	rc = rc ? rc : write_doc(config, d, state_dir, dir, cause, err);
	rc = rc ? rc : keep_images(d, state_dir, err);
	sutra_free(dir);
	sutra_free(from);
	sutra_free(to);
	sutra_free(bin);
	return rc;
}

/* Removes the stack's image tags that no generation names, those of a failed deploy too. */
static void release_tags(const char *state_dir)
{
	json_t *named = json_object(), *image;
	int *list;
	size_t n = sutra_generation_list(state_dir, &list);
	const char *service;

	for (size_t i = 0; i < n; i++) {
		struct sutra_generation g;

		if (sutra_generation_open(state_dir, list[i], &g, NULL))
			continue;
		json_object_foreach (g.images, service, image)
			if (json_is_string(image))
				json_object_set_new(named, json_string_value(image), json_true());
		sutra_generation_release(&g);
	}
	sutra_docker_release(state_dir, named);
	json_decref(named);
	sutra_free(list);
}

/* Removes all but the newest and those in use. The next deploy removes those that this one cannot. */
static void prune(const char *state_dir, const struct sutra_record *record)
{
	int *list;
	size_t n = sutra_generation_list(state_dir, &list);

	for (size_t i = KEPT; i < n; i++) {
		char *dir = dir_of(state_dir, list[i]);

		if (!in_use(record, state_dir, list[i]))
			sutra_remove_tree(dir, NULL);
		sutra_free(dir);
	}
	sutra_free(list);
	if (record->runtime && !strcmp(record->runtime, sutra_docker.name))
		release_tags(state_dir);
}

int sutra_generation_commit(const char *state_dir, const struct sutra_record *record, int *ret_number,
			    struct sutra_err *err)
{
	char *next = next_dir(state_dir), *dir;
	int *list, rc = 0;
	size_t n = sutra_generation_list(state_dir, &list);

	*ret_number = n ? list[0] + 1 : 1;
	dir = dir_of(state_dir, *ret_number);
	if (rename(next, dir))
		rc = sutra_fail_errno(err, "cannot keep %s", dir);
	else
		prune(state_dir, record);
	sutra_free(list);
	sutra_free(next);
	sutra_free(dir);
	return rc;
}

int sutra_generation_forget_all(const char *state_dir, struct sutra_err *err)
{
	char *all = xasprintf("%s/generations", state_dir);
	int rc = sutra_remove_tree(all, err);

	if (!rc)
		release_tags(state_dir);
	sutra_free(all);
	return rc;
}

int sutra_generation_before(const char *state_dir, int current, int *ret_number, struct sutra_err *err)
{
	size_t n, i = 0;
	int *list, number;

	n = sutra_generation_list(state_dir, &list);
	while (i < n && current && list[i] >= current)
		i++;
	number = i < n ? list[i] : 0;
	sutra_free(list);
	if (number) {
		*ret_number = number;
		return 0;
	}
	if (current)
		sutra_fail(err, SUTRA_E_NOTFOUND, "there is no generation before %d", current);
	else
		sutra_fail(err, SUTRA_E_NOTFOUND, "no deploy has come to its end yet: there is no generation");
	return sutra_hint(err, "sutra rollback --list shows what is kept");
}

static int not_there(const char *state_dir, int number, struct sutra_err *err)
{
	struct sutra_buf text;
	int *list;
	size_t n = sutra_generation_list(state_dir, &list);

	sutra_buf_init(&text, 4096);
	for (size_t i = 0; i < n; i++)
		sutra_buf_addf(&text, "%s%d", i ? ", " : "", list[i]);
	sutra_fail(err, SUTRA_E_NOTFOUND, "there is no generation %d; kept are: %s", number,
		   n ? sutra_buf_str(&text) : "none");
	sutra_hint(err, "sutra rollback --list shows them");
	sutra_buf_release(&text);
	sutra_free(list);
	return SUTRA_E_NOTFOUND;
}

int sutra_generation_open(const char *state_dir, int number, struct sutra_generation *ret, struct sutra_err *err)
{
	struct sutra_generation g = { .number = number, .dir = dir_of(state_dir, number), .deployed_at = "-", .cause = "-" };
	char *path = xasprintf("%s/generation.json", g.dir);
	int rc = sutra_json_read(path, MAX_DOC, &g.doc, err);

	if (rc == SUTRA_E_NOTFOUND)
		not_there(state_dir, number, err);
	else if (!rc && (json_unpack(g.doc, "{s?s, s?s, s:s, s:o, s?o, s?o}", "deployed_at", &g.deployed_at, "cause", &g.cause,
				     "runtime", &g.runtime, "settings", &g.settings, "services", &g.services, "images",
				     &g.images) || !json_is_object(g.settings)))
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s is no generation", path);
	sutra_free(path);
	path = xasprintf("%s/bin", g.dir);
	if (sutra_is_dir(path))
		g.program_dir = path;
	else
		sutra_free(path);
	if (rc)
		sutra_generation_release(&g);
	else
		*ret = g;
	return rc;
}

void sutra_generation_release(struct sutra_generation *g)
{
	sutra_free(g->dir);
	sutra_free(g->program_dir);
	json_decref(g->doc);
	*g = (struct sutra_generation){ 0 };
}
