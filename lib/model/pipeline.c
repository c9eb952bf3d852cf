#include "model/pipeline.h"

#include <stdio.h>
#include <string.h>

#include "base/jsonio.h"

/* The modules, in the order in which they are allowed. */
enum { TRANSFORMER, POOLING, NORMALIZE, KINDS };

static const char *const kinds[KINDS] = { "Transformer", "Pooling", "Normalize" };

const char *sutra_pooling_name(enum sutra_pooling p) { return p == SUTRA_POOL_CLS ? "cls" : "mean"; }

/* The module that the last part of "sentence_transformers.models.Pooling" names, or KINDS. */
static int kind_of(const char *type)
{
	const char *dot = type ? strrchr(type, '.') : NULL;
	int k = 0;

	while (k < KINDS && !(dot && !strcmp(dot + 1, kinds[k])))
		k++;
	return k;
}

/* Whether the path stays within the model's folder. */
static bool is_inside(const char *path)
{
	return *path != '/' && !strstr(path, "..");
}

static int read_module(const json_t *item, size_t i, int *last, struct sutra_pipeline *p,
		       struct sutra_err *err)
{
	const char *type = NULL, *path = "";
	int kind, rc = sutra_json_get_string(item, "type", &type, err);

	if (!rc)
		rc = sutra_json_get_string(item, "path", &path, err);
	if (rc)
		return sutra_err_prefix(err, "module %zu", i);
	kind = kind_of(type);
	if (kind == KINDS)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "module %zu is \"%.80s\"; allowed are Transformer, Pooling, Normalize", i,
				  type ? type : "nothing");
	if (kind <= *last)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "module %zu is a %s; allowed are one Transformer, one Pooling, one "
				  "Normalize, in this order", i, kinds[kind]);
	if (kind == TRANSFORMER && *path)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "module %zu, the Transformer, lies in \"%.80s\"; its files must lie in the "
				  "model's folder itself", i, path);
	if (kind == POOLING) {
		if (!*path || !is_inside(path) || strlen(path) >= sizeof(p->pooling_folder))
			return sutra_fail(err, SUTRA_E_INVALID,
					  "module %zu, the Pooling, lies in \"%.80s\"; a folder of at most %zu "
					  "bytes within the model's is allowed", i, path,
					  sizeof(p->pooling_folder) - 1);
		snprintf(p->pooling_folder, sizeof(p->pooling_folder), "%s", path);
	}
	p->normalize |= kind == NORMALIZE;
	*last = kind;
	return 0;
}

int sutra_pipeline_read_modules(const json_t *v, struct sutra_pipeline *ret, struct sutra_err *err)
{
	struct sutra_pipeline p = { .pooling = SUTRA_POOL_MEAN, .pooling_folder = "1_Pooling",
				    .pooling_named = v != NULL };
	int last = -1, rc = 0;
	json_t *item;
	size_t i;

	if (v && !json_is_array(v))
		return sutra_fail(err, SUTRA_E_INVALID, "it is %s, not a list of modules",
				  sutra_json_type_name(v));
	json_array_foreach (v, i, item) {
		rc = read_module(item, i, &last, &p, err);
		if (rc)
			return rc;
		if (!i && last != TRANSFORMER)
			return sutra_fail(err, SUTRA_E_INVALID, "module 0 is a %s, not a Transformer",
					  kinds[last]);
		if (i == 1 && last != POOLING)
			return sutra_fail(err, SUTRA_E_INVALID, "module 1 is a %s, not a Pooling",
					  kinds[last]);
	}
	if (v && last < POOLING)
		return sutra_fail(err, SUTRA_E_INVALID, "no module is a Pooling");
	*ret = p;
	return 0;
}

static int unknown_pooling(const char *what, struct sutra_err *err)
{
	return sutra_fail(err, SUTRA_E_INVALID,
			  "%.80s is asked for; allowed is one of pooling_mode_mean_tokens and "
			  "pooling_mode_cls_token", what);
}

/* Old files have a boolean for each kind of pooling, newer ones its name. */
static int read_mode(json_t *v, enum sutra_pooling *ret, struct sutra_err *err)
{
	static const char prefix[] = "pooling_mode_";
	bool mean = true, cls = false;	/* the defaults of sentence-transformers */
	const char *key, *mode = NULL;
	json_t *item;
	int rc = sutra_json_get_string(v, "pooling_mode", &mode, err);

	if (rc)
		return rc;
	json_object_foreach (v, key, item) {
		if (strncmp(key, prefix, strlen(prefix)))
			continue;
		if (!strcmp(key, "pooling_mode_mean_tokens"))
			mean = json_is_true(item);
		else if (!strcmp(key, "pooling_mode_cls_token"))
			cls = json_is_true(item);
		else if (json_is_true(item))
			return unknown_pooling(key, err);
	}
	if (mode) {
		if (strcmp(mode, "mean") && strcmp(mode, "cls"))
			return unknown_pooling(mode, err);
		*ret = strcmp(mode, "cls") ? SUTRA_POOL_MEAN : SUTRA_POOL_CLS;
		return 0;
	}
	if (mean == cls)
		return unknown_pooling(mean ? "both" : "neither", err);
	*ret = cls ? SUTRA_POOL_CLS : SUTRA_POOL_MEAN;
	return 0;
}

int sutra_pipeline_read_pooling(json_t *v, size_t width, struct sutra_pipeline *p,
				struct sutra_err *err)
{
	int64_t said = (int64_t)width;
	bool prompt = true;
	int rc;

	if (v && !json_is_object(v))
		return sutra_fail(err, SUTRA_E_INVALID, "it is %s, not an object", sutra_json_type_name(v));
	rc = read_mode(v, &p->pooling, err);
	if (!rc)
		rc = sutra_json_get_int(v, "word_embedding_dimension", &said, err);
	if (!rc && said != (int64_t)width)
		rc = sutra_fail(err, SUTRA_E_INVALID,
				"\"word_embedding_dimension\" is %lld; config.json says %zu", (long long)said,
				width);
	if (!rc)
		rc = sutra_json_get_bool(v, "include_prompt", &prompt, err);
	if (!rc && !prompt)
		rc = sutra_fail(err, SUTRA_E_INVALID, "\"include_prompt\" is false; prompts can only be "
						      "pooled with their texts");
	return rc;
}
