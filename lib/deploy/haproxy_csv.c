/*
 * The dump, as HAProxy 2.6 writes it (management guide, 9.1):
 *
 *	"# " name "," name "," ... "," LF
 *	value "," value "," ... "," LF          one line a frontend, server, backend
 *
 * A value with a comma, a quote or a line feed is in double quotes, with quotes inside doubled. Every
 * line ends in a comma and LF. There is no other end mark, so the dump is whole when its last byte is LF,
 * every row has as many fields as the head, and there is at least one row.
 */
#include "deploy/haproxy_csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "net/fetch.h"

enum { MAX_COLUMNS = 256, MAX_ROWS = 4096, MAX_DUMP = 8 << 20 };

#define FIELD(member) offsetof(struct sutra_haproxy_row, member)
#define TEXT(name, member) { name, FIELD(member), sizeof(((struct sutra_haproxy_row *)0)->member) }
#define FIGURE(name, member) { name, FIELD(member), 0 }

static const struct known {
	const char *name;
	size_t offset;
	size_t size;	/* of a text; 0: a figure */
} known[] = {
	TEXT("pxname", proxy), TEXT("svname", name), TEXT("status", status), TEXT("algo", algorithm),
	TEXT("check_status", check_code), TEXT("last_chk", check_text), TEXT("check_desc", check_says),
	FIGURE("check_duration", check_ms), FIGURE("rtime", mean_ms), FIGURE("scur", sessions), FIGURE("smax", sessions_max),
	FIGURE("stot", total), FIGURE("qcur", queue), FIGURE("qmax", queue_max),
	FIGURE("econ", errors_connect), FIGURE("eresp", errors_response), FIGURE("wretr", retries),
	FIGURE("wredis", redispatches), FIGURE("chkfail", checks_failed),
	FIGURE("chkdown", times_down), FIGURE("lastchg", last_change_s),
};
enum { N_KNOWN = sizeof(known) / sizeof(*known), COL_TYPE = N_KNOWN, COL_OTHER };

struct reader {
	const char *at, *end;
	unsigned line;
	char *field;		/* room for the longest possible field */
};

/* Reads one field and the comma after it into r->field. */
static int read_field(struct reader *r, struct sutra_err *err)
{
	bool quoted = r->at < r->end && *r->at == '"';
	size_t n = 0;

	r->at += quoted;
	for (; r->at < r->end; r->at++) {
		if (quoted && *r->at == '"') {
			if (r->at + 1 >= r->end || r->at[1] != '"')
				break;
			r->at++;
		} else if (!quoted && (*r->at == ',' || *r->at == '\n')) {
			break;
		}
		r->field[n++] = *r->at;
	}
	r->field[n] = '\0';
	r->at += quoted && r->at < r->end;
	if (r->at >= r->end)
		return sutra_fail(err, SUTRA_E_CORRUPT,
				  "haproxy's statistics are cut off in line %u", r->line);
	if (*r->at != ',')
		return sutra_fail(err, SUTRA_E_SYNTAX,
				  "haproxy's statistics, line %u: field \"%.40s\" is not followed by a comma",
				  r->line, r->field);
	r->at++;
	return 0;
}

static int column_kind(const char *name)
{
	for (int i = 0; i < N_KNOWN; i++)
		if (!strcmp(known[i].name, name))
			return i;
	return strcmp(name, "type") ? COL_OTHER : COL_TYPE;
}

static int read_head(struct reader *r, int *kinds, size_t *ret_n, struct sutra_err *err)
{
	unsigned seen = 0;
	size_t n = 0;
	int rc;

	if (r->end - r->at < 2 || r->at[0] != '#' || r->at[1] != ' ')
		return sutra_fail(err, SUTRA_E_SYNTAX,
				  "haproxy's statistics do not begin with \"# pxname,svname,...\"");
	r->at += 2;
	while (r->at < r->end && *r->at != '\n') {
		if (n == MAX_COLUMNS)
			return sutra_fail(err, SUTRA_E_TOOBIG,
					  "haproxy's statistics have more than %d columns", MAX_COLUMNS);
		rc = read_field(r, err);
		if (rc)
			return rc;
		kinds[n] = column_kind(r->field);
		/* No row can be read without these columns. */
		seen |= (kinds[n] <= 2 ? 1u << kinds[n] : 0) | (kinds[n] == COL_TYPE ? 8u : 0);
		n++;
	}
	if (r->at >= r->end)
		return sutra_fail(err, SUTRA_E_CORRUPT, "haproxy's statistics are cut off in line 1");
	if (seen != 15)
		return sutra_fail(err, SUTRA_E_SYNTAX,
				  "haproxy's statistics lack one of the columns pxname, svname, status, type");
	r->at++;
	*ret_n = n;
	return 0;
}

static void store(struct sutra_haproxy_row *row, int kind, const char *text)
{
	char *to;

	if (kind == COL_TYPE)
		row->type = !strcmp(text, "0") ? SUTRA_HAPROXY_FRONTEND :
			    !strcmp(text, "1") ? SUTRA_HAPROXY_BACKEND : SUTRA_HAPROXY_SERVER;
	if (kind >= N_KNOWN)
		return;
	to = (char *)row + known[kind].offset;
	if (known[kind].size)
		snprintf(to, known[kind].size, "%s", text);
	else if (sutra_str_int(text, 0, INT64_MAX, (int64_t *)(void *)to))
		*(int64_t *)(void *)to = -1;
}

static int read_row(struct reader *r, const int *kinds, size_t n, struct sutra_haproxy_row *row,
		    struct sutra_err *err)
{
	memset(row, 0, sizeof(*row));
	for (int i = 0; i < N_KNOWN; i++)
		store(row, i, "");
	for (size_t c = 0; c < n; c++) {
		int rc;

		if (r->at < r->end && *r->at == '\n')
			return sutra_fail(err, SUTRA_E_CORRUPT,
					  "haproxy's statistics, line %u: %zu fields where the head has %zu",
					  r->line, c, n);
		rc = read_field(r, err);
		if (rc)
			return rc;
		store(row, kinds[c], r->field);
	}
	if (r->at >= r->end)
		return sutra_fail(err, SUTRA_E_CORRUPT, "haproxy's statistics are cut off in line %u",
				  r->line);
	if (*r->at != '\n')
		return sutra_fail(err, SUTRA_E_SYNTAX,
				  "haproxy's statistics, line %u: more fields than the head's %zu",
				  r->line, n);
	r->at++;
	return 0;
}

/* The dump may end with an empty line. */
static bool at_end(struct reader *r)
{
	while (r->at < r->end && *r->at == '\n')
		r->at++;
	return r->at >= r->end;
}

int sutra_haproxy_parse(const char *csv, size_t n, struct sutra_haproxy_stats *ret,
			struct sutra_err *err)
{
	struct reader r = { csv, csv + n, 1, xalloc(n + 1) };
	struct sutra_haproxy_stats s = { 0 };
	int kinds[MAX_COLUMNS], rc;
	size_t columns = 0;

	rc = read_head(&r, kinds, &columns, err);
	while (!rc && !at_end(&r)) {
		if (s.n == MAX_ROWS) {
			rc = sutra_fail(err, SUTRA_E_TOOBIG, "haproxy's statistics have more than %d rows",
					MAX_ROWS);
			break;
		}
		if (!(s.n & (s.n - 1)))
			s.rows = xrealloc_array(s.rows, s.n ? 2 * s.n : 1, sizeof(*s.rows));
		r.line++;
		rc = read_row(&r, kinds, columns, &s.rows[s.n], err);
		s.n += !rc;
	}
	if (!rc && !s.n)
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "haproxy's statistics hold a head and no row");
	if (rc)
		sutra_haproxy_release(&s);
	else
		*ret = s;
	sutra_free(r.field);
	return rc;
}

int sutra_haproxy_fetch(const char *url, uint64_t timeout_ns, struct sutra_haproxy_stats *ret,
			struct sutra_err *err)
{
	struct sutra_fetch f;
	int rc;

	sutra_fetch_init(&f);
	f.url = url;
	f.timeout_ns = timeout_ns;
	f.max_answer = MAX_DUMP;
	rc = sutra_fetch_one(&f, err);
	if (!rc)
		rc = sutra_haproxy_parse(sutra_buf_str(&f.answer), f.answer.len, ret, err);
	sutra_fetch_release(&f);
	return rc;
}

void sutra_haproxy_release(struct sutra_haproxy_stats *s)
{
	sutra_free(s->rows);
	*s = (struct sutra_haproxy_stats){ 0 };
}

const struct sutra_haproxy_row *sutra_haproxy_server(const struct sutra_haproxy_stats *s,
						     const char *proxy, size_t i)
{
	for (size_t r = 0; r < s->n; r++)
		if (s->rows[r].type == SUTRA_HAPROXY_SERVER &&
		    (!proxy || !strcmp(s->rows[r].proxy, proxy)) && !i--)
			return &s->rows[r];
	return NULL;
}

const struct sutra_haproxy_row *sutra_haproxy_find(const struct sutra_haproxy_stats *s,
						   const char *proxy, const char *name)
{
	for (size_t r = 0; r < s->n; r++)
		if (!strcmp(s->rows[r].proxy, proxy) && !strcmp(s->rows[r].name, name))
			return &s->rows[r];
	return NULL;
}

bool sutra_haproxy_is_up(const struct sutra_haproxy_row *r)
{
	return sutra_str_starts(r->status, "UP") || !strcmp(r->status, "no check");
}
