#include "sutra/cmdline.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "compose/config.h"

enum { MAX_LINE = 1 << 20 };

static bool is_setting(const char *word)
{
	size_t n = 0;

	while (isalnum((unsigned char)word[n]) || word[n] == '_')
		n++;
	return n && !isdigit((unsigned char)word[0]) && word[n] == '=';
}

static void add_word(struct cmdline *c, const char *word)
{
	if (!c->words.n && is_setting(word))
		sutra_strv_add(&c->settings, word);
	else
		sutra_strv_add(&c->words, word);
}

/* One word into b; returns where it ends. *ret_open: the quote that is left open, or 0. */
static const char *take_word(const char *at, const char *end, struct sutra_buf *b, char *ret_open, char *ret_alien)
{
	char quote = 0;

	for (; at < end && (quote || !isspace((unsigned char)*at)); at++) {
		if (quote != '\'' && *at == '\\' && at + 1 < end) {
			sutra_buf_addc(b, *++at);
		} else if (quote ? *at == quote : *at == '\'' || *at == '"') {
			quote = quote ? 0 : *at;
		} else {
			if (!quote && strchr("|;&<>$`*", *at))
				*ret_alien = *at;
			sutra_buf_addc(b, *at);
		}
	}
	*ret_open = quote;
	return at;
}

/* Words up to the end or a comment; *ret_blank: the last byte separates. */
static void split(const char *line, const char *end, struct cmdline *c, char *ret_open, char *ret_alien,
		  bool *ret_blank)
{
	struct sutra_buf b;

	*ret_open = *ret_alien = 0;
	*ret_blank = true;
	sutra_buf_init(&b, MAX_LINE);
	for (const char *at = line; at < end;) {
		*ret_blank = isspace((unsigned char)*at);
		if (*ret_blank) {
			at++;
			continue;
		}
		if (*at == '#')
			break;
		sutra_buf_clear(&b);
		at = take_word(at, end, &b, ret_open, ret_alien);
		add_word(c, sutra_buf_str(&b));
	}
	sutra_buf_release(&b);
}

/* Lines are the same as in a shell: "sutra status" is "status". */
static void drop_name(struct cmdline *c)
{
	if (!c->words.n || strcmp(c->words.items[0], "sutra") != 0)
		return;
	sutra_free(c->words.items[0]);
	memmove(c->words.items, c->words.items + 1, c->words.n * sizeof(*c->words.items));
	c->words.n--;
}

int cmdline_split(const char *line, struct cmdline *ret, struct sutra_err *err)
{
	char open, alien;
	bool blank;

	*ret = (struct cmdline){ 0 };
	split(line, line + strlen(line), ret, &open, &alien, &blank);
	drop_name(ret);
	if (open)
		return sutra_fail(err, SUTRA_E_USAGE, "the quote %c is not closed", open);
	if (!alien)
		return 0;
	sutra_fail(err, SUTRA_E_USAGE, "%c is for a shell of the system; here a line is one command", alien);
	return sutra_hint(err, "'%c' is the character itself", alien);
}

void cmdline_typed(const char *line, size_t n, struct cmdline *ret)
{
	char open, alien;
	bool blank;

	*ret = (struct cmdline){ 0 };
	split(line, line + n, ret, &open, &alien, &blank);
	if (blank || !ret->words.n) {
		drop_name(ret);
		sutra_strv_add(&ret->words, "");
	} else if (ret->words.n > 1) {
		drop_name(ret);
	}
}

static bool names_secret(const char *name, size_t n)
{
	static const char *const parts[] = { "PASSWORD", "PASSWD", "TOKEN", "SECRET", "KEY", "CREDENTIAL", "AUTH" };
	char *copy = sutra_strndup(name, n);
	bool is = copy && sutra_config_is_secret(copy);

	for (size_t i = 0; copy && !is && i < sizeof(parts) / sizeof(*parts); i++)
		is = strcasestr(copy, parts[i]) != NULL;
	sutra_free(copy);
	return is;
}

/* NAME=VALUE of a secret's name, --name=VALUE likewise, scheme://user:password@host */
static bool word_has_secret(const char *word)
{
	const char *eq = strchr(word, '='), *url = strstr(word, "://");
	const char *at = url ? strchr(url, '@') : NULL;

	return (eq && names_secret(word, (size_t)(eq - word))) || at || strcasestr(word, "bearer") != NULL;
}

bool cmdline_has_secret(const struct cmdline *c)
{
	for (size_t i = 0; i < c->settings.n; i++)
		if (word_has_secret(c->settings.items[i]))
			return true;
	for (size_t i = 0; i < c->words.n; i++)
		if (word_has_secret(c->words.items[i]))
			return true;
	return false;
}

void cmdline_release(struct cmdline *c)
{
	sutra_strv_release(&c->settings);
	sutra_strv_release(&c->words);
}
