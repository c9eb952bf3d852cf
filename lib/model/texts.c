#include "model/texts.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonio.h"

int sutra_ids_check(const json_t *v, const char *field, const struct sutra_ids_limits *limits,
		    struct sutra_err *err)
{
	size_t n = json_array_size(v), i;
	json_t *id;

	if (!n || n > limits->max_tokens)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "field \"%s\" holds %zu token ids; the model takes 1 to %zu", field, n,
				  limits->max_tokens);
	json_array_foreach (v, i, id) {
		if (json_is_integer(id) && json_integer_value(id) >= 0 &&
		    (uint64_t)json_integer_value(id) < limits->vocab)
			continue;
		if (!json_is_integer(id))
			sutra_fail(err, SUTRA_E_INVALID, "%s[%zu] is %s; it must be an integer, a token id", field, i,
				   sutra_json_type_name(id));
		else
			sutra_fail(err, SUTRA_E_INVALID,
				   "%s[%zu] is %lld; the model's vocabulary ends at %zu", field, i,
				   (long long)json_integer_value(id), limits->vocab - 1);
		return sutra_hint(err, "ids are those of the model's own tokenizer; or send the text");
	}
	return 0;
}

void sutra_ids_pack(const json_t *list, struct sutra_buf *b)
{
	size_t i;
	json_t *id;

	sutra_buf_addc(b, (char)SUTRA_TEXT_IDS);
	json_array_foreach (list, i, id) {
		uint32_t v = (uint32_t)json_integer_value(id);

		sutra_buf_add(b, &v, sizeof(v));
	}
}

void sutra_typed_pack(const char *type, const char *text, size_t n, struct sutra_buf *b)
{
	sutra_buf_addc(b, (char)SUTRA_TEXT_TYPED);
	sutra_buf_add(b, type, strlen(type) + 1);
	sutra_buf_add(b, text, n);
}

static void add_typed(const char *packed, size_t n, struct sutra_buf *b)
{
	const char *type = packed + 1, *text = type + strlen(type) + 1;

	sutra_buf_adds(b, "{\"input_type\":");
	sutra_json_add_string(b, type, strlen(type));
	sutra_buf_adds(b, ",\"text\":");
	sutra_json_add_string(b, text, n - (size_t)(text - packed));
	sutra_buf_addc(b, '}');
}

void sutra_text_add_json(const char *text, size_t n, struct sutra_buf *b)
{
	if ((unsigned char)*text == SUTRA_TEXT_TYPED) {
		add_typed(text, n, b);
		return;
	}
	if ((unsigned char)*text != SUTRA_TEXT_IDS) {
		sutra_json_add_string(b, text, n);
		return;
	}
	for (size_t at = 1; at + sizeof(uint32_t) <= n; at += sizeof(uint32_t)) {
		uint32_t id;

		memcpy(&id, text + at, sizeof(id));
		sutra_buf_addf(b, "%c%u", at == 1 ? '[' : ',', id);
	}
	sutra_buf_addc(b, ']');
}

/* limits: NULL: only strings are allowed. */
static int check_text(const json_t *v, const char *field, size_t i,
		      const struct sutra_ids_limits *limits, struct sutra_err *err)
{
	char name[48];

	snprintf(name, sizeof(name), field[4] ? "%s[%zu]" : "%s", field, i);
	if (limits && json_is_array(v))
		return sutra_ids_check(v, name, limits, err);
	if (limits && json_is_object(v)) {
		const char *type = NULL;
		int rc = sutra_json_get_string(v, "input_type", &type, err);

		if (rc)
			return sutra_err_prefix(err, "%s", name);
		v = json_object_get(v, "text");
	}
	if (!json_is_string(v)) {
		sutra_fail(err, SUTRA_E_INVALID, "field \"%s\" must be a string, not %s", name,
			   sutra_json_type_name(v));
		return sutra_hint(err, json_is_array(v) ? "a list goes into \"texts\"" : "texts are strings");
	}
	if (!json_string_length(v)) {
		sutra_fail(err, SUTRA_E_INVALID, "field \"%s\" is an empty text", name);
		return sutra_hint(err, "leave empty texts out");
	}
	return 0;
}

static int check_list(struct sutra_texts *t, const struct sutra_ids_limits *limits,
		      struct sutra_err *err)
{
	const char *field = t->single ? "text" : "texts";
	size_t n = json_array_size(t->list), i;
	json_t *v;

	if (!n)
		return sutra_fail(err, SUTRA_E_INVALID, "field \"texts\" is an empty list");
	if (n > SUTRA_MAX_TEXTS) {
		sutra_fail(err, SUTRA_E_INVALID, "field \"texts\" holds %zu texts; the limit is %d", n,
			   SUTRA_MAX_TEXTS);
		return sutra_hint(err, "send them in several requests");
	}
	json_array_foreach (t->list, i, v) {
		int rc = check_text(v, field, i, t->single ? NULL : limits, err);

		if (rc)
			return rc;
	}
	return 0;
}

static int find_list(struct sutra_texts *t, struct sutra_err *err)
{
	json_t *texts = json_object_get(t->body, "texts"), *text = json_object_get(t->body, "text");

	if (json_is_null(texts))
		texts = NULL;
	if (json_is_null(text))
		text = NULL;
	if (texts && text)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "fields \"texts\" and \"text\" exclude each other");
	if (!texts && !text) {
		sutra_fail(err, SUTRA_E_INVALID, "field \"texts\" is missing");
		return sutra_hint(err, "send {\"texts\":[\"...\"]}");
	}
	if (texts && !json_is_array(texts))
		return sutra_fail(err, SUTRA_E_INVALID,
				  "field \"texts\" must be a list of strings, not %s",
				  sutra_json_type_name(texts));
	t->single = text != NULL;
	t->list = text ? json_array() : json_incref(texts);
	if (!t->list || (text && json_array_append(t->list, text)))
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	return 0;
}

int sutra_texts_read(const char *body, size_t n, const struct sutra_ids_limits *limits,
		     struct sutra_texts *ret, struct sutra_err *err)
{
	struct sutra_texts t = { 0 };
	int rc = sutra_json_parse(body, n, &t.body, err);

	if (rc) {
		sutra_hint(err, "send {\"texts\":[\"...\"]} in UTF-8");
		return rc;
	}
	if (!json_is_object(t.body))
		rc = sutra_fail(err, SUTRA_E_SYNTAX, "the body must be a JSON object, not %s",
				sutra_json_type_name(t.body));
	if (!rc)
		rc = find_list(&t, err);
	if (!rc)
		rc = check_list(&t, limits, err);
	if (rc)
		sutra_texts_release(&t);
	else
		*ret = t;
	return rc;
}

void sutra_texts_release(struct sutra_texts *t)
{
	json_decref(t->list);
	json_decref(t->body);
	*t = (struct sutra_texts){ 0 };
}
