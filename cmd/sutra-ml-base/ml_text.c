/* The text that a model is given: a request's text, behind the prefix of its input_type. */
#include <string.h>

#include "base/jsonio.h"
#include "ml_base.h"

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
