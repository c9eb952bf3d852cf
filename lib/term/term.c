#include "term/term.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include "base/setting.h"

static const char *const on[] = {
	[SUTRA_ROLE_PLAIN] = "",	[SUTRA_ROLE_OK] = "\033[32m", [SUTRA_ROLE_WARN] = "\033[33m",
	[SUTRA_ROLE_BAD] = "\033[31m", [SUTRA_ROLE_DIM] = "\033[2m", [SUTRA_ROLE_HEAD] = "\033[1m",
	[SUTRA_ROLE_SELECT] = "\033[7m", [SUTRA_ROLE_TITLE] = "\033[1;36m", [SUTRA_ROLE_PART1] = "\033[32m",
	[SUTRA_ROLE_PART2] = "\033[36m", [SUTRA_ROLE_PART3] = "\033[33m",
};

static bool is_set(const char *name)
{
	const char *v = getenv(name);

	return v && *v;
}

static bool want_color(const char *flag, bool tty)
{
	const char *own = sutra_setting_env("SUTRA_COLOR"), *kind = getenv("TERM");

	for (int i = 0; i < 2; i++, flag = own) {
		if (flag && !strcmp(flag, "always"))
			return true;
		if (flag && !strcmp(flag, "never"))
			return false;
	}
	if (is_set("NO_COLOR"))
		return false;
	if (is_set("CLICOLOR_FORCE") && strcmp(getenv("CLICOLOR_FORCE"), "0"))
		return true;
	if (kind && !strcmp(kind, "dumb"))
		return false;
	return tty;
}

static bool charset_is_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < 3; i++) {
		if (is_set(names[i])) {
			const char *v = getenv(names[i]), *dot = strchr(v, '.');

			return dot && (!strncasecmp(dot + 1, "utf-8", 5) || !strncasecmp(dot + 1, "utf8", 4));
		}
	}
	return false;
}

void sutra_term_init(struct sutra_term *t, FILE *out, const char *color_flag)
{
	t->out = out;
	t->tty = isatty(fileno(out)) == 1;
	t->color = want_color(color_flag, t->tty);
	t->utf8 = charset_is_utf8();
}

unsigned sutra_term_columns(const struct sutra_term *t)
{
	struct winsize w;

	if (!t->tty)
		return 0;
	return ioctl(fileno(t->out), TIOCGWINSZ, &w) || !w.ws_col ? 80 : w.ws_col;
}

const char *sutra_term_on(const struct sutra_term *t, enum sutra_role role)
{
	return t->color ? on[role] : "";
}

const char *sutra_term_off(const struct sutra_term *t, enum sutra_role role)
{
	return t->color && role != SUTRA_ROLE_PLAIN ? "\033[0m" : "";
}

size_t sutra_text_next(const char *s, size_t n, size_t *ret_columns, bool *ret_plain)
{
	utf8proc_int32_t c;
	utf8proc_ssize_t len = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &c);
	utf8proc_category_t kind;

	*ret_plain = false;
	*ret_columns = 1;
	if (len <= 0)
		return 1;
	kind = utf8proc_category(c);
	/* Controls, and format characters such as the bidirectional overrides. */
	if (kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF ||
	    kind == UTF8PROC_CATEGORY_ZL || kind == UTF8PROC_CATEGORY_ZP)
		return (size_t)len;
	*ret_plain = true;
	*ret_columns = (size_t)utf8proc_charwidth(c);
	return (size_t)len;
}

size_t sutra_text_width(const char *s, size_t n)
{
	size_t total = 0, columns;
	bool plain;

	for (size_t i = 0; i < n; total += columns)
		i += sutra_text_next(s + i, n - i, &columns, &plain);
	return total;
}

void sutra_text_fit(struct sutra_buf *b, const char *s, size_t width, bool utf8)
{
	size_t n = strlen(s), room = width, columns;
	bool plain, cut = width && sutra_text_width(s, n) > width;
	const char *dots = utf8 ? "\u2026" : width >= 4 ? "..." : "";

	if (cut)
		room -= utf8 ? 1 : strlen(dots);
	for (size_t i = 0; i < n;) {
		size_t len = sutra_text_next(s + i, n - i, &columns, &plain);

		if (width && columns > room)
			break;
		room -= width ? columns : 0;
		if (plain)
			sutra_buf_add(b, s + i, len);
		else
			sutra_buf_addc(b, '?');
		i += len;
	}
	if (cut)
		sutra_buf_adds(b, dots);
}
