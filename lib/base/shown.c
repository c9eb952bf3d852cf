#include "base/shown.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

enum { MAX_PRINTED = 64 << 20 };

/* The code point of a well-formed sequence of 1 to 3 bytes; no longer one is a control character. */
static uint32_t code_point(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;

	if (len == 2)
		return (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
	if (len == 3)
		return (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
	return len == 1 ? s[0] : 0xfffd;
}

static bool is_control(uint32_t c)
{
	return (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7f && c <= 0x9f) || c == 0x61c || c == 0x200e ||
	       c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void add(struct sutra_buf *b, const char *s, size_t n, bool json)
{
	size_t from = 0;

	for (size_t i = 0; i < n;) {
		size_t len = sutra_str_utf8_length(s + i, n - i), took = len ? len : 1;
		uint32_t c = len ? code_point(s + i, len) : (unsigned char)s[i];

		if (len ? is_control(c) && (!json || c >= 0x7f) : !json) {
			sutra_buf_add(b, s + from, i - from);
			sutra_buf_addf(b, json || c > 0xff || (len && c > 0x7f) ? "\\u%04x" : "\\x%02x", c);
			from = i + took;
		}
		i += took;
	}
	sutra_buf_add(b, s + from, n - from);
}

void sutra_shown_add(struct sutra_buf *b, const char *s, size_t n) { add(b, s, n, false); }

bool sutra_shown_is_text(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0, len; i < n; i += len) {
		len = sutra_str_utf8_length(s + i, n - i);
		if (!len || s[i] == '\t' || s[i] == '\n' || is_control(code_point(s + i, len)))
			return false;
	}
	return true;
}

void sutra_shown_json(struct sutra_buf *b, const char *s, size_t n) { add(b, s, n, true); }

void sutra_shown_printf(FILE *out, const char *fmt, ...)
{
	struct sutra_buf text, shown;
	va_list ap;

	sutra_buf_init(&text, MAX_PRINTED);
	sutra_buf_init(&shown, 6 * (size_t)MAX_PRINTED);
	va_start(ap, fmt);
	sutra_buf_vaddf(&text, fmt, ap);
	va_end(ap);
	sutra_shown_add(&shown, sutra_buf_str(&text), text.len);
	fwrite(sutra_buf_str(&shown), 1, shown.len, out);
	sutra_buf_release(&text);
	sutra_buf_release(&shown);
}
