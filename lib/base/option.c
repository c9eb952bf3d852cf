#include "base/option.h"

#include <string.h>

#include "base/str.h"

static const struct sutra_option *by_letter(const struct sutra_option *rows, char c)
{
	for (; rows->name || rows->letter; rows++)
		if (rows->letter == c)
			return rows;
	return NULL;
}

static const struct sutra_option *by_name(const struct sutra_option *rows, const char *s, size_t n)
{
	for (; rows->name || rows->letter; rows++)
		if (rows->name && strlen(rows->name) == n && !strncmp(rows->name, s, n))
			return rows;
	return NULL;
}

const struct sutra_option *sutra_option_of(const struct sutra_option *rows, const char *word)
{
	return word[1] == '-' ? by_name(rows, word + 2, strcspn(word + 2, "=")) :
	       word[1]	      ? by_letter(rows, word[strlen(word) - 1]) :
				NULL;
}

bool sutra_option_takes_value(const struct sutra_option *o)
{
	return o->type != SUTRA_OPT_FLAG && o->type != SUTRA_OPT_COUNT;
}

static int set_value(const struct sutra_option *o, const char *value, struct sutra_err *err)
{
	switch (o->type) {
	case SUTRA_OPT_FLAG:
		*(bool *)o->value = true;
		return 0;
	case SUTRA_OPT_COUNT:
		++*(int *)o->value;
		return 0;
	case SUTRA_OPT_INT:
		if (sutra_str_int(value, o->min, o->max, o->value))
			return sutra_fail(err, SUTRA_E_USAGE,
					  "--%s is \"%s\"; allowed are whole numbers from %lld to %lld",
					  o->name, value, (long long)o->min, (long long)o->max);
		return 0;
	case SUTRA_OPT_PERIOD:
		if (!value) {
			*(uint64_t *)o->value = (uint64_t)o->min;
			return 0;
		}
		/* fallthrough */
	case SUTRA_OPT_DURATION:
		if (sutra_str_duration(value, o->value))
			return sutra_fail(err, SUTRA_E_USAGE,
					  "--%s is \"%s\"; allowed are times with a unit (500ms, 30s, 2m, 1h) and none",
					  o->name, value);
		return 0;
	case SUTRA_OPT_CHOICE:
		if (!sutra_str_is_choice(o->choices, value))
			return sutra_fail(err, SUTRA_E_USAGE, "--%s is \"%s\"; allowed are %s",
					  o->name, value, o->choices);
		*(const char **)o->value = value;
		return 0;
	default:
		*(const char **)o->value = value;
		return 0;
	}
}

static int unknown(const struct sutra_option *rows, const char *arg, struct sutra_err *err)
{
	const char *names[128], *near;
	char word[64];
	size_t n = 0;

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(arg, "="), arg);
	for (; (rows->name || rows->letter) && n < 127; rows++)
		if (rows->name)
			names[n++] = rows->name;
	names[n] = NULL;
	sutra_fail(err, SUTRA_E_USAGE, "unknown option %s", word);
	near = sutra_str_starts(word, "--") ? sutra_str_nearest(word + 2, names) : NULL;
	return near ? sutra_hint(err, "did you mean --%s?", near) :
		      sutra_hint(err, "-h lists the options");
}

static int parse_long(const struct sutra_option *rows, char **argv, int argc, int *i,
		      struct sutra_err *err)
{
	const char *arg = argv[*i] + 2, *eq = strchr(arg, '=');
	const struct sutra_option *o = by_name(rows, arg, eq ? (size_t)(eq - arg) : strlen(arg));

	if (!o)
		return unknown(rows, argv[*i], err);
	if (!sutra_option_takes_value(o)) {
		if (eq)
			return sutra_fail(err, SUTRA_E_USAGE, "--%s takes no value", o->name);
		return set_value(o, NULL, err);
	}
	if (eq)
		return set_value(o, eq + 1, err);
	if (o->type == SUTRA_OPT_PERIOD && (*i + 1 >= argc || argv[*i + 1][0] < '0' || argv[*i + 1][0] > '9'))
		return set_value(o, NULL, err);
	if (*i + 1 >= argc)
		return sutra_fail(err, SUTRA_E_USAGE, "--%s needs %s", o->name, o->arg);
	return set_value(o, argv[++*i], err);
}

static int parse_letters(const struct sutra_option *rows, char **argv, int argc, int *i,
			 struct sutra_err *err)
{
	for (const char *c = argv[*i] + 1; *c; c++) {
		const struct sutra_option *o = by_letter(rows, *c);
		int rc;

		if (!o)
			return unknown(rows, argv[*i], err);
		if (sutra_option_takes_value(o)) {
			if (c[1])
				return set_value(o, c + 1, err);
			if (*i + 1 >= argc)
				return sutra_fail(err, SUTRA_E_USAGE, "-%c needs %s", *c, o->arg);
			return set_value(o, argv[++*i], err);
		}
		rc = set_value(o, NULL, err);
		if (rc)
			return rc;
	}
	return 0;
}

int sutra_options_parse(const struct sutra_option *rows, int argc, char **argv, int *ret_operands,
			struct sutra_err *err)
{
	int operands = 0;
	bool ended = false;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		int rc = 0;

		if (ended || arg[0] != '-' || !arg[1])
			argv[++operands] = argv[i];
		else if (!strcmp(arg, "--"))
			ended = true;
		else if (arg[1] == '-')
			rc = parse_long(rows, argv, argc, &i, err);
		else
			rc = parse_letters(rows, argv, argc, &i, err);
		if (rc)
			return rc;
	}
	*ret_operands = operands;
	return 0;
}

void sutra_options_help(const struct sutra_option *rows, FILE *out)
{
	for (; rows->name || rows->letter; rows++) {
		char left[64];
		int n = rows->letter ? snprintf(left, sizeof(left), "-%c", rows->letter) :
				       snprintf(left, sizeof(left), "   ");

		if (rows->name)
			n += snprintf(left + n, sizeof(left) - (size_t)n, "%s--%s",
				      rows->letter ? ", " : " ", rows->name);
		if (rows->arg)
			snprintf(left + n, sizeof(left) - (size_t)n, " %s", rows->arg);
		fprintf(out, "  %-26s %s%s%s%s\n", left, rows->help,
			rows->choices ? " (" : "", rows->choices ? rows->choices : "",
			rows->choices ? ")" : "");
	}
}
