#include "model/prompt.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/jsonio.h"

/* Names of the same type in a row. */
static const char *const synonyms[][3] = {
	{ "search_query", "query", NULL },
	{ "search_document", "document", "passage" },
};

/* From the model card of nomic-embed-text. */
static const char *const nomic[] = { "search_query", "search_document", "clustering",
				     "classification" };

bool sutra_input_type_add(struct sutra_input_types *t, const char *name)
{
	if (t->n == SUTRA_MAX_PROMPTS || !*name || strlen(name) >= SUTRA_INPUT_TYPE_LEN)
		return false;
	snprintf(t->names[t->n++], SUTRA_INPUT_TYPE_LEN, "%s", name);
	return true;
}

static int add(struct sutra_prompts *p, const char *name, const char *text, struct sutra_err *err)
{
	size_t at = p->types.n;

	if (strlen(text) > SUTRA_MAX_PROMPT)
		return sutra_fail(err, SUTRA_E_INVALID, "the prompt \"%.40s\" has %zu bytes; the limit is %d",
				  name, strlen(text), SUTRA_MAX_PROMPT);
	if (!sutra_input_type_add(&p->types, name))
		return sutra_fail(err, SUTRA_E_INVALID,
				  "the prompt \"%.60s\" is one too many, or its name is too long or empty; the "
				  "limits are %d prompts, names of 1 to %d bytes", name, SUTRA_MAX_PROMPTS,
				  SUTRA_INPUT_TYPE_LEN - 1);
	p->texts[at] = sutra_strdup(text);
	return p->texts[at] ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the prompts");
}

static int add_nomic(struct sutra_prompts *p, struct sutra_err *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(nomic) / sizeof(nomic[0]); i++) {
		char text[SUTRA_INPUT_TYPE_LEN + 2];

		snprintf(text, sizeof(text), "%s: ", nomic[i]);
		rc = add(p, nomic[i], text, err);
	}
	return rc;
}

int sutra_prompts_read(const json_t *v, enum sutra_architecture architecture,
		       struct sutra_prompts *ret, struct sutra_err *err)
{
	json_t *prompts = json_object_get(v, "prompts"), *text;
	const char *name, *fallback = "";
	int rc;

	*ret = (struct sutra_prompts){ 0 };
	if (v && !json_is_object(v))
		return sutra_fail(err, SUTRA_E_INVALID, "it is %s, not an object", sutra_json_type_name(v));
	if (prompts && !json_is_object(prompts) && !json_is_null(prompts))
		return sutra_fail(err, SUTRA_E_INVALID, "field \"prompts\" must be an object, not %s",
				  sutra_json_type_name(prompts));
	json_object_foreach (prompts, name, text) {
		if (!json_is_string(text) || strlen(json_string_value(text)) != json_string_length(text))
			return sutra_fail(err, SUTRA_E_INVALID,
					  "the prompt \"%.60s\" must be a string without NUL", name);
		rc = add(ret, name, json_string_value(text), err);
		if (rc)
			return rc;
	}
	rc = !ret->types.n && architecture == SUTRA_ARCH_NOMIC_BERT ? add_nomic(ret, err) : 0;
	if (!rc)
		rc = sutra_json_get_string(v, "default_prompt_name", &fallback, err);
	if (!rc && *fallback) {
		size_t at;

		rc = sutra_input_type_find(&ret->types, "default_prompt_name", fallback, &at, err);
		if (!rc)
			snprintf(ret->fallback, sizeof(ret->fallback), "%s", ret->types.names[at]);
	}
	return rc;
}

void sutra_prompts_release(struct sutra_prompts *p)
{
	for (size_t i = 0; i < p->types.n; i++)
		sutra_free(p->texts[i]);
	*p = (struct sutra_prompts){ 0 };
}

static bool are_synonyms(const char *a, const char *b)
{
	for (size_t k = 0; k < sizeof(synonyms) / sizeof(synonyms[0]); k++) {
		bool has_a = false, has_b = false;

		for (size_t i = 0; i < 3 && synonyms[k][i]; i++) {
			has_a |= !strcmp(synonyms[k][i], a);
			has_b |= !strcmp(synonyms[k][i], b);
		}
		if (has_a && has_b)
			return true;
	}
	return false;
}

int sutra_input_type_find(const struct sutra_input_types *t, const char *field, const char *asked,
			  size_t *ret, struct sutra_err *err)
{
	char allowed[256] = "none: this model has no prompts";
	size_t len = 0, at = t->n;

	for (size_t i = t->n; i-- > 0;)		/* the first synonym, unless the name itself is there */
		if (are_synonyms(t->names[i], asked))
			at = i;
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->names[i], asked))
			at = i;
	if (at < t->n) {
		*ret = at;
		return 0;
	}
	for (size_t i = 0; i < t->n && len < sizeof(allowed); i++)
		len += (size_t)snprintf(allowed + len, sizeof(allowed) - len, "%s%s", i ? ", " : "",
					t->names[i]);
	return sutra_fail(err, SUTRA_E_INVALID, "field \"%s\" is \"%.60s\"; allowed is %s", field, asked,
			  allowed);
}
