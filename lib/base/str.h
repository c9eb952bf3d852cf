/* str - strict parsing of numbers, durations and lists; small string helpers. */
#ifndef SUTRA_BASE_STR_H
#define SUTRA_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whole string, decimal, within [min, max]; 0 or SUTRA_E_INVALID. */
int sutra_str_int(const char *s, int64_t min, int64_t max, int64_t *ret);
int64_t sutra_whole(double v);	/* truncated to a whole number between -9e18 and 9e18; NaN gives 0 */
int sutra_str_double(const char *s, double min, double max, double *ret);
/* true/false, yes/no, on/off, 1/0, any case. */
int sutra_str_bool(const char *s, bool *ret);
/* "250ms", "30s", "2m", "1h30m", "1d" to nanoseconds; the unit is required, 0 is
 * refused; "none" gives UINT64_MAX. 0 or SUTRA_E_INVALID. */
int sutra_str_duration(const char *s, uint64_t *ret_ns);
/* "512M", "2G", "1GiB", "1.5gb", "300" (bytes) to bytes. All units are binary. */
int sutra_str_size(const char *s, uint64_t *ret_bytes);
/* "340 B", "1.2 KiB", "96 MiB". */
void sutra_str_bytes(uint64_t bytes, char *out, size_t size);

bool sutra_str_starts(const char *s, const char *prefix);
bool sutra_str_ends(const char *s, const char *suffix);
/* Whether n bytes are well-formed UTF-8 (no surrogates, nothing above 10FFFF);
 * *ret_at (may be NULL) is the offset of the first bad byte. */
bool sutra_str_utf8(const char *s, size_t n, size_t *ret_at);
/* Length of the byte-order mark that some editors put before a UTF-8 text; 0: there is none. */
size_t sutra_str_bom(const char *s, size_t n);
/* Length of the well-formed sequence (Unicode 15, table 3-7) that n > 0 bytes begin with, or 0. */
size_t sutra_str_utf8_length(const char *s, size_t n);
/* Replaces NULs by '?', so that a reader of C strings sees the bytes after them. */
void sutra_str_no_nul(char *s, size_t n);
/* Whether word is one of the words of list, "a|b|c". */
bool sutra_str_is_choice(const char *list, const char *word);
/* Number of edits (insert, delete, replace a byte) between two words; 64 when one is longer than 63 bytes. */
size_t sutra_str_distance(const char *a, const char *b);
/* The entry of a NULL-terminated list that is nearest to word by edit distance
 * (at most a third of its length), or NULL: for "did you mean". */
const char *sutra_str_nearest(const char *word, const char *const *list);

/* Owned list of strings; items is NULL-terminated once it holds anything. */
struct sutra_strv {
	char **items;
	size_t n;
};
int sutra_strv_add(struct sutra_strv *v, const char *s);	/* copies */
int sutra_strv_addn(struct sutra_strv *v, const char *s, size_t n);
bool sutra_strv_has(const struct sutra_strv *v, const char *s);
/* Splits at any of seps, trims blanks, omits empty parts. */
int sutra_strv_split(struct sutra_strv *v, const char *s, const char *seps);
void sutra_strv_sort(struct sutra_strv *v);
void sutra_strv_release(struct sutra_strv *v);

#endif
