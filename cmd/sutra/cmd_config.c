#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "base/shown.h"
#include "base/str.h"
#include "sutra/command.h"
#include "sutra/habits.h"
#include "sutra/stackio.h"
#include "sutra/values.h"
#include "term/table.h"

static const char *explain;

static const struct sutra_option rows[] = {
	{ 0, "explain", SUTRA_OPT_STRING, &explain, "KEY",
	  "every source of one setting, and which one won", 0, 0, NULL },
	{ 0 },
};

static const char *shown(const char *key, const char *value)
{
	return !value ? "-" : sutra_config_is_secret(key) ? "********" : value;
}

static json_t *aliases_of(const struct sutra_setting *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < SUTRA_SETTING_ALIASES && s->aliases[i]; i++)
		json_array_append_new(list, json_string(s->aliases[i]));
	return list;
}

static json_t *document_of(struct sutra_config *c, const struct sutra_setting *s)
{
	const char *value = sutra_config_get(c, s->name);
	char allowed[80];

	sutra_setting_allowed(s, allowed, sizeof(allowed));
	return json_pack("{s:s, s:o, s:s, s:s, s:s?, s:s?, s:o}", "name", s->name, "value",
			 value ? sutra_json_text(shown(s->name, value)) : json_null(), "source",
			 value ? sutra_source_name(sutra_config_winner(c, s->name)) : "unset",
			 "help", s->help, "default", s->fallback, "allowed",
			 *allowed ? allowed : NULL, "aliases", aliases_of(s));
}

static void print_all(struct sutra_config *c)
{
	static const struct sutra_column columns[] = {
		{ "SETTING", false, 0 }, { "VALUE", false, 12 }, { "FROM", false, 0 },
		{ "WHAT", false, 12 },   { NULL, false, 0 },
	};
	struct sutra_table *t = sutra_table_new(columns);
	struct sutra_term term;

	SUTRA_EACH_SETTING (s, SUTRA_OF_OPERATOR) {
		const char *value = sutra_config_get(c, s->name);

		sutra_table_cell(t, SUTRA_ROLE_PLAIN, s->name);
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, shown(s->name, value));
		sutra_table_cell(t, SUTRA_ROLE_DIM,
				 value ? sutra_source_name(sutra_config_winner(c, s->name))
				       : "unset");
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, s->help);
	}
	sutra_term_init(&term, stdout, common.color);
	sutra_table_print(t, &term, 0);
	sutra_table_free(t);
}

static void print_all_json(struct sutra_config *c)
{
	json_t *list = json_array();

	SUTRA_EACH_SETTING (s, SUTRA_OF_OPERATOR)
		json_array_append_new(list, document_of(c, s));
	print_document(json_pack("{s:s, s:o}", "schema", "sutra.config/1", "settings", list));
}

/* Explains a setting that is not the operator's, such as that of a service. Several settings can share an
 * alias. */
static int explain_others(const char *key)
{
	const struct sutra_setting *first = sutra_setting_find(key);
	json_t *names = json_array();

	for (const struct sutra_setting *s = sutra_settings; s->name; s++) {
		bool alias = sutra_setting_has_alias(s, key);

		if (!alias && s != first)
			continue;
		json_array_append_new(names, json_string(alias ? s->name : key));
		if (!common.json)
			printf("%s%s%s: %s; it is %s\n", alias ? key : "",
			       alias ? " stands for " : "", alias ? s->name : key, s->help,
			       sutra_config_whose(s));
	}
	if (first && common.json)
		print_document(json_pack("{s:s, s:s, s:s, s:[], s:o, s:O}", "schema",
					 "sutra.config-explain/1", "name", key, "help", first->help,
					 "sources", "aliases", aliases_of(first), "stands_for",
					 names));
	json_decref(names);
	return first ? EXIT_YES : values_unknown("KEY", "setting", key);
}

static void print_source(struct sutra_config *c, const char *key, enum sutra_source source,
			 json_t *list)
{
	const char *from, *beaten, *value = sutra_config_given(c, key, source, &from, &beaten);
	bool won = value && sutra_config_winner(c, key) == source,
	     alias = value && strcmp(from, key) != 0;
	json_t *o = json_pack("{s:s, s:o, s:b}", "source", sutra_source_name(source), "value",
			      value ? sutra_json_text(shown(key, value)) : json_null(), "won", won);

	if (!common.json)
		sutra_shown_printf(stdout, "%s %-14s %s%s%s%s\n", won ? "*" : " ",
				   sutra_source_name(source), shown(key, value),
				   alias ? "  (as " : "", alias ? from : "", alias ? ")" : "");
	if (alias)
		json_object_set_new(o, "alias", json_string(from));
	json_array_append_new(list, o);
}

static int print_one(struct sutra_config *c, const char *key)
{
	const struct sutra_setting *s = sutra_setting_find(key);
	json_t *list;

	if (!s || s->scope != SUTRA_OF_OPERATOR)
		return explain_others(key);
	list = json_array();
	for (int from = SUTRA_FROM_FLAG; from >= 0; from--)
		print_source(c, s->name, (enum sutra_source)from, list);
	if (common.json) {
		print_document(json_pack("{s:s, s:s, s:s, s:o, s:o}", "schema",
					 "sutra.config-explain/1", "name", s->name, "help", s->help,
					 "sources", list, "aliases", aliases_of(s)));
		return EXIT_YES;
	}
	json_decref(list);
	printf("%s: %s\n", s->name, s->help);
	for (size_t i = 0; i < SUTRA_SETTING_ALIASES && s->aliases[i]; i++)
		printf("%s stands for %s where that is unset\n", s->aliases[i], s->name);
	return EXIT_YES;
}

static int run(int n, char **argv)
{
	struct stack s;
	struct sutra_err err;
	int code = EXIT_YES;

	habits_environment();
	if (stack_open(&s, false, &err))
		code = command_fail(&err);
	else if (explain)
		code = print_one(s.config, explain);
	else if (common.json)
		print_all_json(s.config);
	else
		print_all(s.config);
	stack_release(&s);
	return code;
}

const struct command cmd_config = {
	.name = "config",
	.summary = "print the settings, and where each value came from",
	.synopsis = "[--explain KEY]",
	.examples =
		"sutra config\tall settings\n"
		"sutra config --explain MATRYOSHKA_DIM\tevery source of one, the winner marked\n",
	.options = rows,
	.formats = "table|json",
	.run = run,
};
