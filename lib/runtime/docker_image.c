/* Images of the container runtime: the id that a name stands for, and the tags that keep images. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "runtime/docker.h"
#include "runtime/engine_api.h"

/* An image's id; "": it does not exist. */
static void image_id(const char *name, char out[80])
{
	const char *id = NULL;
	json_t *o = NULL;

	if (!sutra_engine_call("GET", NULL, &o, NULL, "/images/%s/json", name))
		id = json_string_value(json_object_get(o, "Id"));
	snprintf(out, 80, "%s", id ? id : "");
	json_decref(o);
}

int sutra_docker_resolve(struct sutra_unit *units, size_t n, struct sutra_err *err)
{
	for (size_t i = 0; i < n; i++) {
		char id[80], *with_id;

		if (!units[i].image)
			return sutra_fail(err, SUTRA_E_SETTING, "service %s names no image", units[i].name);
		image_id(units[i].image, id);
		with_id = xasprintf("%s@%.19s", units[i].image, *id ? id : "missing");
		sutra_free(units[i].image);
		units[i].image = with_id;
	}
	return 0;
}

int sutra_docker_images(const struct sutra_unit *units, size_t n, struct sutra_err *err)
{
	for (size_t i = 0; i < n; i++)
		if (sutra_str_ends(units[i].image, "@missing"))
			return sutra_hint((sutra_fail(err, SUTRA_E_NOTFOUND, "the image %.*s of %s is not there",
						      (int)strcspn(units[i].image, "@"), units[i].image,
						      units[i].name), err),
					  "sutra build makes it");
	return 0;
}

/* The length of an image's name: up to its tag, not to the port of a registry. */
static int name_length(const char *image)
{
	size_t n = strcspn(image, "@"), at = n;

	while (at && image[at - 1] != '/' && image[at - 1] != ':')
		at--;
	return (int)(at && image[at - 1] == ':' ? at - 1 : n);
}

/* "g-<project>-0123456789ab"; *ret_id: the digits. */
static int kept_as(const char *state_dir, const char *image, char out[64], const char **ret_id)
{
	const char *id = strstr(image, "@sha256:");
	char project[SUTRA_PROJECT_LEN];

	if (!id)
		return SUTRA_E_NOTFOUND;
	sutra_docker_project(state_dir, project);
	*ret_id = id + strlen("@sha256:");
	snprintf(out, 64, "g-%s-%.12s", project, *ret_id);
	return 0;
}

int sutra_docker_tag(const char *state_dir, const char *image, char out[SUTRA_TAG_LEN])
{
	const char *id;
	char tag[64];
	int rc = kept_as(state_dir, image, tag, &id);

	if (!rc)
		snprintf(out, SUTRA_TAG_LEN, "%.*s:%s", name_length(image), image, tag);
	return rc;
}

int sutra_docker_keep(const char *state_dir, const char *image, struct sutra_err *err)
{
	const char *id;
	char tag[64];
	int rc = kept_as(state_dir, image, tag, &id);

	if (rc)
		return sutra_fail(err, rc, "the image %s is not there", image);
	return sutra_engine_call("POST", NULL, NULL, err, "/images/%s/tag?repo=%.*s&tag=%s", id, name_length(image), image,
				 tag);
}

/* "sutra/ml-base:g-<project>-0123456789ab" of this project and no other. */
static bool is_kept_tag(const char *name, const char *project)
{
	const char *tag = strrchr(name, ':');
	size_t n = strlen(project);

	return tag && sutra_str_starts(tag, ":g-") && !strncmp(tag + 3, project, n) && tag[3 + n] == '-' &&
	       !strchr(tag + 4 + n, '-');
}

void sutra_docker_release(const char *state_dir, const json_t *named)
{
	char project[SUTRA_PROJECT_LEN];
	const json_t *image, *name;
	json_t *images = NULL;
	size_t i, t;

	sutra_docker_project(state_dir, project);
	sutra_engine_call("GET", NULL, &images, NULL, "/images/json");
	json_array_foreach (images, i, image) {
		json_array_foreach (json_object_get(image, "RepoTags"), t, name) {
			const char *text = json_string_value(name);

			if (text && is_kept_tag(text, project) && !json_object_get(named, text))
				sutra_engine_call("DELETE", NULL, NULL, NULL, "/images/%s", text);
		}
	}
	json_decref(images);
}
