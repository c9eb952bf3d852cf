#include "runtime/engine_api.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonio.h"
#include "base/str.h"
#include "net/fetch.h"

enum { MAX_PATH = 2048 };

#define LIMIT_NS 60000000000u

static _Thread_local uint64_t limit_ns = LIMIT_NS;

void sutra_engine_limit(uint64_t ns) { limit_ns = ns ? ns : LIMIT_NS; }

static const char *socket_path(void)
{
	const char *host = getenv("DOCKER_HOST");

	return host && sutra_str_starts(host, "unix://") ? host + 7 : "/var/run/docker.sock";
}

/* An answer that reports an error, with the engine's message. */
static int refused(const struct sutra_fetch *f, const char *path, struct sutra_err *err)
{
	const char *words = NULL;
	json_t *o = NULL;
	int code = f->status == 404 ? SUTRA_E_NOTFOUND : f->status == 409 ? SUTRA_E_EXISTS : SUTRA_E_IO;

	if (!sutra_json_parse(sutra_buf_str(&f->answer), f->answer.len, &o, NULL))
		words = json_string_value(json_object_get(o, "message"));
	sutra_fail(err, code, "the Docker engine answered %d to %.*s: %s", f->status, (int)strcspn(path, "?"), path,
		   words ? words : "no reason given");
	json_decref(o);
	return code;
}

static int call(struct sutra_fetch *f, const char *path, struct sutra_err *err)
{
	char url[MAX_PATH + 32];
	int rc;

	snprintf(url, sizeof(url), "http://engine/v1.41%s", path);
	f->url = url;
	f->unix_socket = socket_path();
	f->timeout_ns = f->on_data ? UINT64_MAX : limit_ns;
	rc = sutra_fetch_one(f, NULL);
	f->url = NULL;
	if (!rc)
		return 0;
	if (f->status >= 400)
		return refused(f, path, err);
	rc = sutra_fail(err, SUTRA_E_UNAVAILABLE, "no Docker engine answers at %s: %s", f->unix_socket, f->detail);
	sutra_hint(err, "start it, or run the stack without one: sutra deploy --runtime native");
	return rc;	/* sutra_hint returns 0 if err is NULL */
}

int sutra_engine_call(const char *method, const char *body, json_t **ret_json, struct sutra_err *err,
		      const char *path, ...)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	char text[MAX_PATH];
	struct sutra_fetch f;
	va_list args;
	int rc;

	va_start(args, path);
	vsnprintf(text, sizeof(text), path, args);
	va_end(args);
	sutra_fetch_init(&f);
	f.method = method;
	f.body = body ? body : strcmp(method, "POST") ? NULL : "";
	f.body_len = body ? strlen(body) : 0;
	f.headers = headers;
	rc = call(&f, text, err);
	if (ret_json)
		*ret_json = NULL;
	if (!rc && ret_json && f.answer.len)
		rc = sutra_json_parse(sutra_buf_str(&f.answer), f.answer.len, ret_json, err);
	sutra_fetch_release(&f);
	return rc;
}

int sutra_engine_bytes(const char *path, struct sutra_buf *ret, struct sutra_err *err)
{
	struct sutra_fetch f;
	int rc;

	sutra_fetch_init(&f);
	rc = call(&f, path, err);
	if (!rc)
		sutra_buf_add(ret, f.answer.data, f.answer.len);
	sutra_fetch_release(&f);
	return rc;
}

int sutra_engine_stream(const char *path, bool (*on_data)(void *user, const char *data, size_t n), void *user,
			struct sutra_err *err)
{
	struct sutra_fetch f;
	int rc;

	sutra_fetch_init(&f);
	f.on_data = on_data;
	f.user = user;
	rc = call(&f, path, err);
	sutra_fetch_release(&f);
	return rc;
}
