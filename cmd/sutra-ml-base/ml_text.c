/* Texts for the model: a prefix, chosen by the text, the request or the settings, and the text. */
#include <string.h>

#include "base/jsonio.h"
#include "ml_base.h"

int ml_choose_prompt(const struct ml_settings *s, struct sutra_model *m, struct sutra_err *err)
{
	const char *type = s->input_type, *prompt = s->prompt;
	size_t at;

	if (type && prompt)
		return sutra_fail(err, SUTRA_E_SETTING,
				  "SUTRA_INPUT_TYPE is \"%.60s\" and SUTRA_PROMPT \"%.60s\"; one of them "
				  "is allowed", type, prompt);
	if (prompt && strlen(prompt) > SUTRA_MAX_PROMPT)
		return sutra_fail(err, SUTRA_E_SETTING, "SUTRA_PROMPT has %zu bytes; %d are allowed",
				  strlen(prompt), SUTRA_MAX_PROMPT);
	if (prompt)
		return sutra_model_use_prompt(m, "", prompt, err);
	if (!type)
		return 0;
	if (sutra_input_type_find(&m->prompts.types, "SUTRA_INPUT_TYPE", type, &at, err))
		return err->code = SUTRA_E_SETTING;
	return sutra_model_use_prompt(m, m->prompts.types.names[at], m->prompts.texts[at], err);
}

int ml_read_prefix(const struct sutra_model *m, const json_t *o, const char **ret,
		   struct sutra_err *err)
{
	const char *type = NULL;
	size_t at;
	int rc = sutra_json_get_string(o, "input_type", &type, err);

	if (!rc && type)
		rc = sutra_input_type_find(&m->prompts.types, "input_type", type, &at, err);
	if (!rc && type)
		*ret = m->prompts.texts[at];
	return rc;
}

int ml_text(const struct sutra_model *m, const char *prefix, const json_t *item,
	    struct sutra_buf *room, const char **ret, size_t *ret_n, struct sutra_err *err)
{
	const json_t *text = json_is_object(item) ? json_object_get(item, "text") : item;
	int rc = json_is_object(item) ? ml_read_prefix(m, item, &prefix, err) : 0;

	if (rc)
		return rc;
	*ret = json_string_value(text);
	*ret_n = json_string_length(text);
	if (!*prefix)
		return 0;
	sutra_buf_clear(room);
	sutra_buf_adds(room, prefix);
	sutra_buf_add(room, *ret, *ret_n);
	*ret = room->data;
	*ret_n = room->len;
	return sutra_buf_error(room) ? sutra_fail(err, SUTRA_E_NOMEM, "out of memory for a text") : 0;
}
