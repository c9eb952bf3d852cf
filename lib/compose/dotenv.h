/*
 * dotenv - .env and env_file, as Docker Compose 2 reads them.
 *
 * A file is UTF-8, with or without a byte-order mark. "#" begins a comment at the start of a
 * statement. A statement is [export] NAME=value, or NAME alone, which takes the value that the
 * lookup has, if any; blanks around "=" are ignored, ":" is the same as "=". A name is letters,
 * digits, "_", ".", "-", "[", "]". A value is one of
 *
 *	text	to the end of the line or to a blank followed by "#", without blanks at its end;
 *		variables are replaced
 *	'text'	literal, over several lines too; \' is a quote
 *	"text"	over several lines too; \" \\ \$ \a \b \f \n \r \t \v and \0NNN (octal) are replaced,
 *		then variables
 *
 * A variable has the value of the lookup, else of an earlier statement. Where Compose guesses,
 * sutra reports an error: text right after a closing quote, a blank in a name, invalid UTF-8,
 * a NUL.
 */
#ifndef SUTRA_COMPOSE_DOTENV_H
#define SUTRA_COMPOSE_DOTENV_H

#include "base/err.h"
#include "base/str.h"
#include "compose/compose.h"

/* How a file is read; every member may be NULL. */
struct sutra_dotenv {
	sutra_lookup *lookup;	/* NULL: the environment of this process */
	void *ctx;		/* of lookup */
	/* Checks a statement. value NULL: it is only a name, for which lookup has no value. */
	int (*check)(const char *name, const char *value, struct sutra_err *err);
	/* Receives, once each, the names of variables without value and default, which become empty. */
	struct sutra_strv *unset;
};

/* Adds the statements of the file to env. SUTRA_E_SETTING with "path:line: what", which holds no part of a
 * value unless check put it there; statements before that line are in env. */
int sutra_dotenv_read(const char *path, const struct sutra_dotenv *how, struct sutra_env *env,
		      struct sutra_err *err);
/* The same for n bytes; file is the name for errors. */
int sutra_dotenv_parse(const char *text, size_t n, const char *file, const struct sutra_dotenv *how,
		       struct sutra_env *env, struct sutra_err *err);

#endif
