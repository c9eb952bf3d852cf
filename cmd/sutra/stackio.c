#include "sutra/stackio.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/shown.h"
#include "probe/health.h"
#include "sutra/command.h"

enum { MAX_DOCUMENT = 256 << 20 };

/* Warns of two names of one setting with different values in the same source. */
static void warn_aliases(const struct sutra_config *c)
{
	for (int from = SUTRA_FROM_BUILTIN; from <= SUTRA_FROM_ENVIRONMENT && !common.quiet; from++)
		SUTRA_EACH_SETTING (s, SUTRA_OF_OPERATOR) {
			const char *used, *beaten;

			sutra_config_given(c, s->name, (enum sutra_source)from, &used, &beaten);
			if (beaten)
				sutra_shown_printf(stderr, "sutra: %s: %s and %s differ and mean the same; %s is used\n",
						   sutra_source_name((enum sutra_source)from), used, beaten, used);
		}
}

int stack_open(struct stack *ret, bool create, struct sutra_err *err)
{
	char *state_dir = sutra_state_dir();
	int rc = 0;

	*ret = (struct stack){ .data_dir = sutra_data_dir() };
	if (!ret->data_dir)
		rc = sutra_hint((sutra_fail(err, SUTRA_E_SETTING, "the folder with compose/ is not found"), err),
				"SUTRA_DATA_DIR=FOLDER names it");
	else if (strlen(state_dir) > 400)
		rc = sutra_fail(err, SUTRA_E_SETTING, "SUTRA_STATE_DIR is longer than 400 bytes");
	else if (sutra_str_starts(state_dir, ret->data_dir) &&
		 sutra_str_starts(state_dir + strlen(ret->data_dir), "/compose/"))
		rc = sutra_hint((sutra_fail(err, SUTRA_E_SETTING, "SUTRA_STATE_DIR is %s, inside the compose folder",
					    state_dir), err),
				"deploys keep copies of that folder in the state folder");
	else if (create)
		rc = sutra_mkdirs(state_dir, 0700, err);
	sutra_free(state_dir);
	if (rc)
		return rc;
	ret->state_dir = sutra_state_dir();	/* again: its links can be resolved now that it exists */
	rc = sutra_config_load(ret->data_dir, &ret->config, err);
	if (!rc) {
		warn_unset("compose/.env", sutra_config_unset(ret->config));
		warn_aliases(ret->config);
	}
	return rc;
}

void stack_release(struct stack *s)
{
	sutra_config_free(s->config);
	sutra_free(s->data_dir);
	sutra_free(s->state_dir);
}

void warn_unset(const char *file, const struct sutra_strv *names)
{
	for (size_t i = 0; i < names->n && !common.quiet; i++)
		sutra_shown_printf(stderr, "sutra: %s: the variable %s has no value and is taken as empty; $$ is a dollar\n", file,
			names->items[i]);
}

void print_document_as(json_t *o, size_t flags)
{
	struct sutra_buf b;

	sutra_buf_init(&b, MAX_DOCUMENT);
	sutra_json_dump(&b, o, flags);
	sutra_buf_addc(&b, '\n');
	fwrite(sutra_buf_str(&b), 1, b.len, stdout);
	sutra_buf_release(&b);
	json_decref(o);
}

void print_document(json_t *o) { print_document_as(o, JSON_INDENT(2) | JSON_REAL_PRECISION(12)); }

void print_causes(FILE *out, const struct sutra_term *term, const struct sutra_probe *p, size_t n)
{
	struct sutra_root_causes c;
	struct sutra_buf b;
	size_t said = 0;

	if (sutra_root_causes_find(p, n, &c, NULL))
		return;
	sutra_buf_init(&b, 65536);
	for (size_t i = 0; i < c.n; i++) {
		if (!c.items[i].n_affected)
			continue;
		sutra_buf_clear(&b);
		sutra_root_cause_say(p, &c.items[i], &b);
		fprintf(out, "%sroot cause:%s", sutra_term_on(term, SUTRA_ROLE_BAD),
			sutra_term_off(term, SUTRA_ROLE_BAD));
		sutra_shown_printf(out, " %s\n", sutra_buf_str(&b));
		said++;
	}
	if (said)
		fputc('\n', out);
	sutra_buf_release(&b);
	sutra_root_causes_release(&c);
}
