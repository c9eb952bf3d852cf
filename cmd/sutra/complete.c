#include "sutra/complete.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "sutra/command.h"

struct line {
	const struct command *command;
	struct sutra_option rows[COMMAND_MAX_ROWS];
	const struct sutra_option *pending;	/* the next word is its value */
	const char *first;			/* first operand */
	size_t operands;
	bool ended;				/* after "--" */
	const char *prefix;			/* what the last word must begin with */
};

static void take_word(struct line *l, const char *word)
{
	if (!strcmp(word, "="))
		return;
	if (l->pending) {
		l->pending = NULL;
	} else if (!l->ended && word[0] == '-' && word[1]) {
		const struct sutra_option *o = sutra_option_of(l->rows, word);

		l->ended = !strcmp(word, "--");
		l->pending = o && sutra_option_takes_value(o) && !strchr(word, '=') ? o : NULL;
	} else if (!l->command) {
		for (size_t i = 0; commands[i]; i++)
			if (!strcmp(commands[i]->name, word))
				l->command = commands[i];
		if (l->command)
			command_rows(l->command, l->rows);
	} else {
		l->first = l->operands++ ? l->first : word;
	}
}

static void offer(struct completion *ret, const struct line *l, const char *before, const char *word, const char *help)
{
	char *whole = xasprintf("%s%s", before, word);

	if (sutra_str_starts(whole, l->prefix) && !sutra_strv_has(&ret->found.names, whole))
		values_put(&ret->found, whole, help);
	sutra_free(whole);
}

static void offer_kind(struct completion *ret, const struct line *l, const char *before, const char *kind)
{
	struct values v = { 0 };

	values_add(&v, kind);
	for (size_t i = 0; i < v.names.n; i++)
		offer(ret, l, before, v.names.items[i], v.helps.items[i]);
	ret->files |= values_is_path(kind) || (!strcmp(kind, "SUITE") && strchr(l->prefix, '/'));
	values_release(&v);
}

/* The values of an option; before: "--name=" when both are one word, else "". */
static void offer_values(struct completion *ret, const struct line *l, const struct sutra_option *o,
			 const char *before)
{
	struct sutra_strv choices = { 0 };

	if (o->choices)
		sutra_strv_split(&choices, o->choices, "|");
	for (size_t i = 0; i < choices.n; i++)
		offer(ret, l, before, choices.items[i], o->help);
	if (!o->choices && o->arg)
		offer_kind(ret, l, before, o->arg);
	sutra_strv_release(&choices);
}

static void offer_options(struct completion *ret, const struct line *l)
{
	for (const struct sutra_option *o = l->rows; o->name || o->letter; o++)
		if (o->name)
			offer(ret, l, "--", o->name, o->help);
	for (const struct sutra_option *o = l->rows; o->name || o->letter; o++)
		if (o->letter && !l->prefix[1])
			offer(ret, l, "-", (char[]){ o->letter, '\0' }, o->help);
}

/* The operands of one alternative of the synopsis ("warm FILE") at position l->operands. */
static void offer_alternative(struct completion *ret, const struct line *l, const struct sutra_strv *a)
{
	bool repeats = a->n && !strcmp(a->items[a->n - 1], "...");
	size_t n = a->n - repeats, at = repeats && l->operands >= n ? n - 1 : l->operands;
	const char *word = at < n ? a->items[at] : NULL;

	if (!word || (l->operands && islower((unsigned char)*a->items[0]) && strcmp(a->items[0], l->first) != 0))
		return;
	if (islower((unsigned char)*word))
		offer(ret, l, "", word, "");
	else
		offer_kind(ret, l, "", word);
}

/* "[--url URL] clear | warm FILE": options and their arguments are skipped, the rest are operands. */
static void offer_operands(struct completion *ret, const struct line *l)
{
	struct sutra_strv tokens = { 0 }, alternative = { 0 };
	bool argument = false;

	sutra_strv_split(&tokens, l->command->synopsis, " ");
	for (size_t i = 0; i < tokens.n; i++) {
		const char *t = tokens.items[i] + strspn(tokens.items[i], "[");
		size_t n = strcspn(t, "]");

		if (*t == '|') {
			offer_alternative(ret, l, &alternative);
			sutra_strv_release(&alternative);
		} else if (*t != '-' && !(argument && isupper((unsigned char)*t))) {
			sutra_strv_addn(&alternative, t, n);
		}
		argument = *t == '-' && !t[n];
	}
	offer_alternative(ret, l, &alternative);
	sutra_strv_release(&alternative);
	sutra_strv_release(&tokens);
}

static void offer_commands(struct completion *ret, const struct line *l)
{
	for (size_t i = 0; commands[i]; i++)
		offer(ret, l, "", commands[i]->name, commands[i]->summary);
}

void complete_line(const char *const *words, size_t n, struct completion *ret)
{
	struct line *l = xcalloc(1, sizeof(*l));
	const char *last = n ? words[n - 1] : "", *eq = strchr(last, '=');

	*ret = (struct completion){ 0 };
	command_rows(NULL, l->rows);
	for (size_t i = 0; i + 1 < n; i++)
		take_word(l, words[i]);
	l->prefix = !strcmp(last, "=") ? "" : last;
	if (!l->ended && !l->pending && last[0] == '-' && last[1] == '-' && eq) {
		char *before = xasprintf("%.*s", (int)(eq + 1 - last), last);
		const struct sutra_option *o = sutra_option_of(l->rows, last);

		if (o && sutra_option_takes_value(o))
			offer_values(ret, l, o, before);
		sutra_free(before);
	} else if (l->pending) {
		offer_values(ret, l, l->pending, "");
	} else if (!l->ended && last[0] == '-') {
		offer_options(ret, l);
	} else if (l->command) {
		offer_operands(ret, l);
		if (!*last && !l->ended && !ret->found.names.n && !ret->files)
			offer_options(ret, l);
	} else {
		offer_commands(ret, l);
	}
	sutra_free(l);
}
