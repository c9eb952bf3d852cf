/* .env: any bytes give names with values or an error that shows no value, within the bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "compose/dotenv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *look_up(void *ctx, const char *name) { return strcmp(name, "B") ? NULL : "bee"; }

static int refuse_x(const char *name, const char *value, struct sutra_err *err)
{
	return *name == 'X' ? sutra_fail(err, SUTRA_E_SETTING, "%s is refused", name) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_strv unset = { 0 };
	struct sutra_env e = { 0 };
	struct sutra_err err = { 0 };
	const struct sutra_dotenv how = { .lookup = look_up, .check = refuse_x, .unset = &unset };
	int rc = sutra_dotenv_parse((const char *)data, size, "f", &how, &e, &err);

	if (rc && strncmp(err.message, "f:", 2) != 0 && rc != SUTRA_E_NOMEM)
		abort();
	for (size_t i = 0; i < e.n; i++)
		if (!*e.items[i].key || *e.items[i].key == 'X' || strlen(e.items[i].value) > SUTRA_MAX_VALUE ||
		    (i && strcmp(e.items[i - 1].key, e.items[i].key) >= 0))
			abort();
	sutra_env_release(&e);
	sutra_strv_release(&unset);
	return 0;
}
