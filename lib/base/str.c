#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/err.h"

int sutra_str_int(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	char *end;
	long long v;

	if (!isdigit((unsigned char)s[0]) && s[0] != '-')
		return SUTRA_E_INVALID;
	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno || *end || end == s || v < min || v > max)
		return SUTRA_E_INVALID;
	*ret = v;
	return 0;
}

int64_t sutra_whole(double v)
{
	return isnan(v) ? 0 : (int64_t)fmax(-9e18, fmin(v, 9e18));
}

int sutra_str_double(const char *s, double min, double max, double *ret)
{
	char *end;
	double v;

	if (!isdigit((unsigned char)s[0]) && s[0] != '-' && s[0] != '.')
		return SUTRA_E_INVALID;
	errno = 0;
	v = strtod(s, &end);
	if (errno || *end || end == s || !(v >= min && v <= max))
		return SUTRA_E_INVALID;
	*ret = v;
	return 0;
}

int sutra_str_bool(const char *s, bool *ret)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };

	for (size_t i = 0; i < 4; i++) {
		if (!strcasecmp(s, yes[i]) || !strcasecmp(s, no[i])) {
			*ret = !strcasecmp(s, yes[i]);
			return 0;
		}
	}
	return SUTRA_E_INVALID;
}

int sutra_str_duration(const char *s, uint64_t *ret_ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = { { "ns", 1 },     { "us", 1e3 },   { "ms", 1e6 }, { "s", 1e9 },
		      { "m", 60e9 },   { "min", 60e9 }, { "h", 3600e9 }, { "d", 86400e9 } };
	double total = 0;

	if (!strcmp(s, "none")) {
		*ret_ns = UINT64_MAX;
		return 0;
	}
	do {
		char *unit;
		size_t len, i;
		double v;

		if (!isdigit((unsigned char)*s))
			return SUTRA_E_INVALID;
		v = strtod(s, &unit);
		len = strspn(unit, "abcdefghijklmnopqrstuvwxyz");
		for (i = 0; i < sizeof(units) / sizeof(*units); i++)
			if (strlen(units[i].unit) == len && !strncmp(units[i].unit, unit, len))
				break;
		if (i == sizeof(units) / sizeof(*units))
			return SUTRA_E_INVALID;
		total += v * units[i].ns;
		s = unit + len;
	} while (*s);
	if (!(total >= 1 && total < 9e18))
		return SUTRA_E_INVALID;
	*ret_ns = (uint64_t)total;
	return 0;
}

int sutra_str_size(const char *s, uint64_t *ret_bytes)
{
	static const char letters[] = "bkmgt";
	char *end;
	const char *at;
	double v;

	if (!isdigit((unsigned char)s[0]))
		return SUTRA_E_INVALID;
	v = strtod(s, &end);
	if (*end) {
		at = strchr(letters, tolower((unsigned char)*end));
		if (!at)
			return SUTRA_E_INVALID;
		v = ldexp(v, 10 * (int)(at - letters));
		end++;
		if (at != letters && !strcasecmp(end, "ib"))
			end += 2;
		else if (at != letters && !strcasecmp(end, "b"))
			end += 1;
	}
	if (*end || !(v >= 0 && v < 9e18))
		return SUTRA_E_INVALID;
	*ret_bytes = (uint64_t)v;
	return 0;
}

void sutra_str_bytes(uint64_t bytes, char *out, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u < 4) {
		v /= 1024;
		u++;
	}
	snprintf(out, size, u && v < 10 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

bool sutra_str_starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool sutra_str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && !strcmp(s + n - m, suffix);
}

size_t sutra_str_utf8_length(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char lo = 0x80, hi = 0xBF;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xC2 && s[0] <= 0xDF)
		len = 2;
	else if (s[0] >= 0xE0 && s[0] <= 0xEF)
		len = 3;
	else if (s[0] >= 0xF0 && s[0] <= 0xF4)
		len = 4;
	else
		return 0;
	if (s[0] == 0xE0)
		lo = 0xA0;
	else if (s[0] == 0xED)
		hi = 0x9F;
	else if (s[0] == 0xF0)
		lo = 0x90;
	else if (s[0] == 0xF4)
		hi = 0x8F;
	if (n < len || s[1] < lo || s[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	return len;
}

bool sutra_str_utf8(const char *s, size_t n, size_t *ret_at)
{
	size_t i = 0;

	while (i < n) {
		size_t len;

		if ((unsigned char)s[i] < 0x80) {
			i++;
			continue;
		}
		len = sutra_str_utf8_length(s + i, n - i);
		if (!len) {
			if (ret_at)
				*ret_at = i;
			return false;
		}
		i += len;
	}
	return true;
}

size_t sutra_str_bom(const char *s, size_t n) { return n >= 3 && !memcmp(s, "\xef\xbb\xbf", 3) ? 3 : 0; }

void sutra_str_no_nul(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s[i] = s[i] ? s[i] : '?';
}

bool sutra_str_is_choice(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; n && (at = strstr(at, word)); at += n)
		if ((at == list || at[-1] == '|') && (at[n] == '|' || !at[n]))
			return true;
	return false;
}

/* Levenshtein. */
size_t sutra_str_distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(a), m = strlen(b);

	if (n > 63 || m > 63)
		return 64;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[m];
}

const char *sutra_str_nearest(const char *word, const char *const *list)
{
	size_t limit = strlen(word) / 3 + 1, best = limit + 1;
	const char *found = NULL;

	for (; *list; list++) {
		size_t d = sutra_str_distance(word, *list);

		if (d < best) {
			best = d;
			found = *list;
		}
	}
	return found;
}

int sutra_strv_addn(struct sutra_strv *v, const char *s, size_t n)
{
	char **items = sutra_realloc_array(v->items, v->n + 2, sizeof(*items));

	if (!items)
		return SUTRA_E_NOMEM;
	v->items = items;
	items[v->n] = sutra_strndup(s, n);
	if (!items[v->n])
		return SUTRA_E_NOMEM;
	items[++v->n] = NULL;
	return 0;
}

int sutra_strv_add(struct sutra_strv *v, const char *s)
{
	return sutra_strv_addn(v, s, strlen(s));
}

bool sutra_strv_has(const struct sutra_strv *v, const char *s)
{
	for (size_t i = 0; i < v->n; i++)
		if (!strcmp(v->items[i], s))
			return true;
	return false;
}

int sutra_strv_split(struct sutra_strv *v, const char *s, const char *seps)
{
	while (*s) {
		size_t len = strcspn(s, seps), from = 0, to = len;
		int rc;

		while (from < to && isspace((unsigned char)s[from]))
			from++;
		while (to > from && isspace((unsigned char)s[to - 1]))
			to--;
		if (to > from && (rc = sutra_strv_addn(v, s + from, to - from)))
			return rc;
		s += len + (s[len] != '\0');
	}
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void sutra_strv_sort(struct sutra_strv *v)
{
	if (v->n > 1)
		qsort(v->items, v->n, sizeof(*v->items), by_bytes);
}

void sutra_strv_release(struct sutra_strv *v)
{
	for (size_t i = 0; i < v->n; i++)
		sutra_free(v->items[i]);
	sutra_free(v->items);
	*v = (struct sutra_strv){ 0 };
}
