#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/shown.h"

/* MAX_RAW exceeds MAX_FIELDS, so that show_on_one_line sees that text was cut, and marks it. */
enum { MAX_FIELDS = 3072, MAX_RAW = MAX_FIELDS + 64 };

static enum sutra_log_level threshold = SUTRA_INFO;
static bool as_json;

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static const char *const level_words[] = { "DEBUG", "INFO ", "WARN ", "ERROR" };

int sutra_log_setup(const char *level, const char *format)
{
	for (size_t i = 0; i < 4; i++) {
		if (strcmp(level, level_names[i]))
			continue;
		threshold = (enum sutra_log_level)i;
		as_json = format && !strcmp(format, "json");
		return 0;
	}
	return SUTRA_E_SETTING;
}

bool sutra_log_on(enum sutra_log_level level) { return level >= threshold; }

struct line {
	char text[16384];	/* JSON makes fields at most four times as long */
	size_t len;
};

static void put(struct line *l, char c)
{
	if (l->len < sizeof(l->text) - 8)
		l->text[l->len++] = c;
}

static void puts_json(struct line *l, const char *s, size_t n)
{
	put(l, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			put(l, '\\');
		put(l, (char)c);
	}
	put(l, '"');
}

static void put_all(struct line *l, const char *s)
{
	while (*s)
		put(l, *s++);
}

/* `a=1 b="two words"` becomes `,"a":"1","b":"two words"`. */
static void fields_json(struct line *l, const char *s)
{
	while (*s) {
		size_t key = strcspn(s, "= ");
		const char *value = s + key + (s[key] == '=');
		size_t n;

		put(l, ',');
		puts_json(l, s, key);
		put(l, ':');
		if (*value == '"') {
			const char *end = strrchr(value, '"'), *next = strstr(value + 1, "\" ");

			end = next ? next : end > value ? end : value + strlen(value);
			n = (size_t)(end - value) - 1;
			puts_json(l, value + 1, n);
			s = *end ? end + 1 : end;
		} else {
			n = strcspn(value, " ");
			puts_json(l, value, n);
			s = value + n;
		}
		while (*s == ' ')
			s++;
	}
}

/* Writes raw into fields as printable text on one line, whatever a client put into it. Longer text is cut
 * between two characters and ends in "...". */
static void show_on_one_line(char *raw, char *fields, size_t size)
{
	struct sutra_buf shown;
	const char *text;
	size_t n;

	for (char *c = raw; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	sutra_buf_init(&shown, 6 * MAX_RAW);
	sutra_shown_add(&shown, raw, strlen(raw));
	text = sutra_buf_str(&shown);
	n = strlen(text);
	if (n >= size)
		for (n = size - 4; n && (text[n] & 0xc0) == 0x80;)
			n--;
	snprintf(fields, size, "%.*s%s", (int)n, text, text[n] ? "..." : "");
	sutra_buf_release(&shown);
}

void sutra_log(enum sutra_log_level level, const char *subsystem, const char *message,
	       const char *fmt, ...)
{
	char stamp[SUTRA_RFC3339_LEN], raw[MAX_RAW] = "", fields[MAX_FIELDS];
	const char *const words[] = { stamp, level_words[level], subsystem, message, fields };
	struct line l = { .len = 0 };
	va_list ap;

	if (!sutra_log_on(level))
		return;
	if (fmt) {
		va_start(ap, fmt);
		vsnprintf(raw, sizeof(raw), fmt, ap);
		va_end(ap);
	}
	show_on_one_line(raw, fields, sizeof(fields));
	sutra_clock_rfc3339(sutra_clock_wall_us(), stamp);
	if (as_json) {
		l.len = (size_t)snprintf(l.text, MAX_FIELDS,
					 "{\"time\":\"%s\",\"level\":\"%s\",\"subsystem\":\"%s\",\"message\":",
					 stamp, level_names[level], subsystem);
		puts_json(&l, message, strlen(message));
		fields_json(&l, fields);
		put(&l, '}');
	}
	for (size_t i = 0; !as_json && i < 5; i++) {
		put_all(&l, i && *words[i] ? " " : "");
		put_all(&l, words[i]);
	}
	l.text[l.len++] = '\n';
	if (write(STDERR_FILENO, l.text, l.len) < 0)
		return;	/* no other place to report it */
}
