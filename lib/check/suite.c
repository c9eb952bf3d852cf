#include "check/suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "check/kinds.h"

enum { MAX_FILE = 1 << 20, MAX_CHECKS = 200, MAX_NAMES = 64 };

#define KIND(name) &sutra_kind_##name,
static const struct sutra_check_kind *const kinds[] = { SUTRA_CHECK_KINDS(KIND) NULL };

/* Errors name the place: "checks[2] (phase1.warm)". */
static int bad(struct sutra_err *err, const char *place, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int bad(struct sutra_err *err, const char *place, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sutra_fail(err, SUTRA_E_INVALID, "%s: %s", place, text);
}

static int unknown(struct sutra_err *err, const char *place, const char *what, const char *word,
		   const char *const *names)
{
	const char *near = sutra_str_nearest(word, names);

	bad(err, place, "unknown %s \"%.60s\"", what, word);
	return near ? sutra_hint(err, "did you mean \"%s\"?", near) : SUTRA_E_INVALID;
}

/* Every member of an object must be one of names. */
static int only(const json_t *o, const char *const *names, const char *place, const char *what,
		struct sutra_err *err)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v) {
		size_t i = 0;

		while (names[i] && strcmp(names[i], key) != 0)
			i++;
		if (!names[i])
			return unknown(err, place, what, key, names);
	}
	return 0;
}

static int text_field(const json_t *o, const char *key, bool needed, const char *place, char **ret,
		      struct sutra_err *err)
{
	const char *s = NULL;
	int rc = sutra_json_get_string(o, key, &s, err);

	if (rc)
		return sutra_err_prefix(err, "%s", place);
	if (!s || !*s)
		return needed ? bad(err, place, "field \"%s\" is missing", key) : 0;
	*ret = sutra_strdup(s);
	return *ret ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the suite");
}

static int int_field(const json_t *o, const char *key, int64_t min, int64_t max, const char *place,
		     int64_t *ret, struct sutra_err *err)
{
	if (sutra_json_get_int(o, key, ret, err))
		return sutra_err_prefix(err, "%s", place);
	if (*ret < min || *ret > max)
		return bad(err, place, "\"%s\" is %lld; allowed are %lld to %lld", key, (long long)*ret,
			   (long long)min, (long long)max);
	return 0;
}

static int read_params(const json_t *o, struct sutra_check *c, const char *place,
		       struct sutra_err *err)
{
	const struct sutra_check_param *p = c->kind->params;
	const char *names[SUTRA_CHECK_MAX_PARAMS + 1] = { 0 };
	size_t n = 0;
	int rc;

	for (; p[n].name; n++) {
		names[n] = p[n].name;
		c->params[n] = p[n].fallback;
	}
	if (o && !json_is_object(o))
		return bad(err, place, "\"params\" must be an object, not %s", sutra_json_type_name(o));
	rc = only(o, names, place, "parameter", err);
	for (size_t i = 0; !rc && i < n; i++) {
		rc = sutra_json_get_double(o, p[i].name, &c->params[i], err);
		if (rc)
			return sutra_err_prefix(err, "%s", place);
		if (!(c->params[i] >= p[i].min && c->params[i] <= p[i].max) ||
		    (p[i].whole && c->params[i] != (double)(int64_t)c->params[i]))
			rc = bad(err, place, "parameter \"%s\" is %g; allowed are %s%g to %g", p[i].name,
				 c->params[i], p[i].whole ? "whole numbers from " : "", p[i].min, p[i].max);
	}
	return rc;
}

static int read_limit(const json_t *o, const char *name, struct sutra_limit *l, const char *place,
		      struct sutra_err *err)
{
	static const char *const fields[] = { "min", "max", "target", NULL };
	char where[160];
	int rc;

	snprintf(where, sizeof(where), "%.100s: expect.%.40s", place, name);
	if (!json_is_object(o))
		return bad(err, where, "must be an object, not %s", sutra_json_type_name(o));
	rc = only(o, fields, where, "field", err);
	rc = rc ? rc : sutra_json_get_double(o, "min", &l->min, err);
	rc = rc ? rc : sutra_json_get_double(o, "max", &l->max, err);
	rc = rc ? rc : sutra_json_get_double(o, "target", &l->target, err);
	l->has_min = json_object_get(o, "min") != NULL;
	l->has_max = json_object_get(o, "max") != NULL;
	l->has_target = json_object_get(o, "target") != NULL;
	if (!rc && l->has_min && l->has_max && l->min > l->max)
		rc = bad(err, where, "min %g is above max %g", l->min, l->max);
	return rc;
}

static int read_limits(const json_t *o, struct sutra_check *c, const char *place,
		       struct sutra_err *err)
{
	const char *names[SUTRA_CHECK_MAX_VALUES + 1] = { 0 };
	size_t n = 0;
	int rc;

	for (; c->kind->values[n].name; n++)
		names[n] = c->kind->values[n].name;
	if (o && !json_is_object(o))
		return bad(err, place, "\"expect\" must be an object, not %s", sutra_json_type_name(o));
	rc = only(o, names, place, "value", err);
	for (size_t i = 0; !rc && i < n; i++) {
		const json_t *l = json_object_get(o, names[i]);

		rc = l ? read_limit(l, names[i], &c->limits[i], place, err) : 0;
	}
	return rc;
}

/* The ids in "needs" must stand earlier in the file. */
static int read_needs(const json_t *list, const struct sutra_suite *s, struct sutra_check *c,
		      const char *place, struct sutra_err *err)
{
	if (list && !json_is_array(list))
		return bad(err, place, "\"needs\" must be an array, not %s", sutra_json_type_name(list));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = json_string_value(json_array_get(list, i));
		bool earlier = false;

		for (size_t k = 0; id && k < s->n; k++)
			earlier |= !strcmp(s->checks[k].id, id);
		if (!earlier)
			return bad(err, place, "\"needs\" names %.60s%s", id ? id : "something that is no string",
				   id ? ", which no earlier check is called" : "");
		if (sutra_strv_add(&c->needs, id))
			return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the suite");
	}
	return 0;
}

static int read_kind(const json_t *o, struct sutra_check *c, const char *place, struct sutra_err *err)
{
	const char *names[MAX_NAMES] = { 0 }, *word = NULL;
	size_t n = 0;

	if (sutra_json_get_string(o, "kind", &word, err))
		return sutra_err_prefix(err, "%s", place);
	if (!word)
		return bad(err, place, "field \"kind\" is missing");
	for (; kinds[n] && n < MAX_NAMES - 1; n++) {
		names[n] = kinds[n]->name;
		if (!strcmp(names[n], word))
			c->kind = kinds[n];
	}
	return c->kind ? 0 : unknown(err, place, "kind", word, names);
}

static int read_check(const json_t *o, struct sutra_suite *s, struct sutra_err *err)
{
	static const char *const fields[] = { "id",	  "title", "kind",   "params", "expect",
					      "attempts", "hint",  "needs", "service", NULL };
	struct sutra_check *c = &s->checks[s->n];
	int64_t attempts = 1;
	char place[128];
	int rc;

	snprintf(place, sizeof(place), "checks[%zu]", s->n);
	if (!json_is_object(o))
		return bad(err, place, "must be an object, not %s", sutra_json_type_name(o));
	rc = text_field(o, "id", true, place, &c->id, err);
	if (rc)
		return rc;
	snprintf(place, sizeof(place), "checks[%zu] (%.60s)", s->n, c->id);
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->checks[i].id, c->id))
			return bad(err, place, "checks[%zu] has the same id", i);
	c->suite = s->name;
	c->phase = s->phase;
	rc = only(o, fields, place, "field", err);
	rc = rc ? rc : text_field(o, "title", true, place, &c->title, err);
	rc = rc ? rc : text_field(o, "hint", false, place, &c->hint, err);
	rc = rc ? rc : int_field(o, "attempts", 1, SUTRA_CHECK_MAX_ATTEMPTS, place, &attempts, err);
	rc = rc ? rc : read_kind(o, c, place, err);
	rc = rc ? rc : text_field(o, "service", false, place, &c->service, err);
	if (!rc && c->service && !c->kind->one_service)
		rc = bad(err, place, "a check of kind %s is about no single \"service\"", c->kind->name);
	rc = rc ? rc : read_params(json_object_get(o, "params"), c, place, err);
	rc = rc ? rc : read_limits(json_object_get(o, "expect"), c, place, err);
	rc = rc ? rc : read_needs(json_object_get(o, "needs"), s, c, place, err);
	c->attempts = (unsigned)attempts;
	return rc;
}

static int read_suite(const json_t *doc, struct sutra_suite *s, struct sutra_err *err)
{
	static const char *const fields[] = { "schema", "suite", "title", "phase", "description",
					      "checks", NULL };
	const json_t *checks = json_object_get(doc, "checks");
	const char *schema = NULL;
	int64_t phase = 0;
	int rc;

	if (!json_is_object(doc))
		return bad(err, "suite", "must be an object, not %s", sutra_json_type_name(doc));
	rc = only(doc, fields, "suite", "field", err);
	rc = rc ? rc : sutra_json_get_string(doc, "schema", &schema, err);
	if (!rc && (!schema || strcmp(schema, "sutra.suite/1") != 0))
		rc = bad(err, "suite", "\"schema\" is \"%.60s\"; this program reads sutra.suite/1",
			 schema ? schema : "");
	rc = rc ? rc : text_field(doc, "suite", true, "suite", &s->name, err);
	rc = rc ? rc : text_field(doc, "title", true, "suite", &s->title, err);
	rc = rc ? rc : int_field(doc, "phase", 0, 99, "suite", &phase, err);
	if (!rc && (!json_array_size(checks) || json_array_size(checks) > MAX_CHECKS))
		rc = bad(err, "suite", "\"checks\" must be an array of 1 to %d checks", MAX_CHECKS);
	if (rc)
		return rc;
	s->phase = (int)phase;
	s->checks = sutra_calloc(json_array_size(checks), sizeof(*s->checks));
	if (!s->checks)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the suite");
	for (; !rc && s->n < json_array_size(checks); s->n++)
		rc = read_check(json_array_get(checks, s->n), s, err);
	return rc;
}

int sutra_suite_parse(const char *json, size_t n, struct sutra_suite **ret, struct sutra_err *err)
{
	struct sutra_suite *s = sutra_calloc(1, sizeof(*s));
	json_t *doc = NULL;
	int rc;

	if (!s)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the suite");
	rc = sutra_json_parse(json, n, &doc, err);
	rc = rc ? rc : read_suite(doc, s, err);
	json_decref(doc);
	if (rc)
		sutra_suite_free(s);
	else
		*ret = s;
	return rc;
}

int sutra_suite_read(const char *path, struct sutra_suite **ret, struct sutra_err *err)
{
	char *text;
	size_t n;
	int rc = sutra_file_read_text(path, MAX_FILE, &text, &n, err);

	if (rc)
		return rc;
	rc = sutra_suite_parse(text, n, ret, err);
	if (rc)
		sutra_err_prefix(err, "%s", path);
	sutra_free(text);
	return rc;
}

void sutra_suite_free(struct sutra_suite *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		sutra_free(s->checks[i].id);
		sutra_free(s->checks[i].title);
		sutra_free(s->checks[i].hint);
		sutra_free(s->checks[i].service);
		sutra_strv_release(&s->checks[i].needs);
	}
	sutra_free(s->checks);
	sutra_free(s->name);
	sutra_free(s->title);
	sutra_free(s);
}
