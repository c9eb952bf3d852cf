/*
 * dotenv - .env and env_file, as Docker Compose 2 reads them.
 *
 * A file is UTF-8, with or without a byte-order mark. "#" begins a comment at the start of a
 * statement. A statement is [export] NAME=value, or NAME alone, which takes the value that the
 * lookup has, if any; blanks around "=" do not count, ":" stands for "=". A name is letters,
 * digits, "_", ".", "-", "[", "]". A value is one of
 *
 *	text	to the end of the line or to a blank with "#" behind it, without blanks at its end;
 *		variables are replaced
 *	'text'	as it stands, over lines too; \' is a quote
 *	"text"	over lines too; \" \\ \$ \a \b \f \n \r \t \v and \0NNN (octal) are replaced, then
 *		variables
 *
 * A variable has the value of the lookup, else of an earlier statement. Where Compose guesses,
 * this is an error: text right behind a closing quote, a blank in a name, bytes that are no
 * UTF-8, a NUL.
 */
#ifndef SUTRA_COMPOSE_DOTENV_H
#define SUTRA_COMPOSE_DOTENV_H

#include "base/err.h"
#include "base/str.h"
#include "compose/compose.h"

/* How a file is read; every part may be NULL. */
struct sutra_dotenv {
	sutra_lookup *lookup;	/* NULL: the environment of this process */
	void *ctx;		/* of lookup */
	/* Refuses a statement; value NULL: it is a name alone, for which lookup has none. */
	int (*check)(const char *name, const char *value, struct sutra_err *err);
	/* Gets, once each, the names of variables that have no value and no default: they are empty. */
	struct sutra_strv *unset;
};

/* Adds what the file says to env. SUTRA_E_SETTING with "path:line: what", never with a part of a
 * value but for what check says; what stands before that line is in env. */
int sutra_dotenv_read(const char *path, const struct sutra_dotenv *how, struct sutra_env *env,
		      struct sutra_err *err);
/* The same of n bytes; file is only named in errors. */
int sutra_dotenv_parse(const char *text, size_t n, const char *file, const struct sutra_dotenv *how,
		       struct sutra_env *env, struct sutra_err *err);

#endif
