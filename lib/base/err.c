#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *text;
	int exit_code, http_status;
} rows[] = {
#define X(sym, name, text, exit, http) { name, text, exit, http },
	SUTRA_ERRORS(X)
#undef X
};

static int row_of(int code)
{
	if (code <= SUTRA_E_FIRST_ || code >= SUTRA_E_END_)
		return SUTRA_E_INTERNAL - SUTRA_E_FIRST_ - 1;
	return code - SUTRA_E_FIRST_ - 1;
}

const char *sutra_err_name(int code) { return rows[row_of(code)].name; }
const char *sutra_err_text(int code) { return rows[row_of(code)].text; }
int sutra_err_exit(int code) { return code ? rows[row_of(code)].exit_code : 0; }
int sutra_err_http(int code) { return code ? rows[row_of(code)].http_status : 200; }

/* What sutra_hint and sutra_err_prefix return when err is NULL: the code of this thread's last failure. */
static _Thread_local int last_code = SUTRA_E_INTERNAL;

__attribute__((format(printf, 3, 0))) static int fill(struct sutra_err *err, int code, const char *fmt, va_list ap)
{
	last_code = code;
	if (!err)
		return code;
	err->code = code;
	err->hint[0] = '\0';
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	return code;
}

int sutra_fail(struct sutra_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	return code;
}

static int code_of_errno(int e)
{
	switch (e) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:	/* ulimit -f */
		return SUTRA_E_FULL;
	case EROFS:
		return SUTRA_E_READONLY;
	case ENOENT:
		return SUTRA_E_NOTFOUND;
	case ENOMEM:
		return SUTRA_E_NOMEM;
	default:
		return SUTRA_E_IO;
	}
}

int sutra_fail_errno(struct sutra_err *err, const char *fmt, ...)
{
	int saved = errno, code = code_of_errno(saved);
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	if (!err)
		return code;
	len = strlen(err->message);
	snprintf(err->message + len, sizeof(err->message) - len, ": %s", strerror(saved));
	return code;
}

int sutra_hint(struct sutra_err *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return last_code;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return err->code;
}

int sutra_err_prefix(struct sutra_err *err, const char *fmt, ...)
{
	char old[sizeof(err->message)];
	va_list ap;
	size_t len;

	if (!err)
		return last_code;
	memcpy(old, err->message, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	len = strlen(err->message);
	snprintf(err->message + len, sizeof(err->message) - len, ": %.400s", old);
	return err->code;
}
