/* Finds a model on disk. Separate from model.c, so that a program that only looks for a model links no encoder. */
#include <limits.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/setting.h"
#include "model/model.h"

char *sutra_model_dir(void)
{
	const char *own = sutra_setting_env("SUTRA_MODEL_DIR");
	char *data = own ? NULL : sutra_home_data();
	char *dir = own ? xstrdup(own) : xasprintf("%s/models", data);

	sutra_free(data);
	return dir;
}

char *sutra_model_folder(const char *path, const char *model)
{
	char *store, *folder;

	if (path && *path)
		return sutra_strdup(path);
	store = sutra_model_dir();
	folder = sutra_asprintf("%s/%s", store,
				model && *model ? model : sutra_setting_find("SUTRA_MODEL")->fallback);
	sutra_free(store);
	return folder;
}

const char *sutra_model_missing(const char *folder)
{
	static const char *const needed[] = { "config.json", "vocab.txt", "model.safetensors", NULL };
	const char *const *name = needed;
	char path[PATH_MAX];

	while (*name && snprintf(path, sizeof(path), "%s/%s", folder, *name) < PATH_MAX && sutra_is_file(path))
		name++;
	return *name;
}
