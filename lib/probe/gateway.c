#include "probe/gateway.h"

#include <string.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "base/mask.h"
#include "base/str.h"
#include "net/fetch.h"

static const uint64_t CALL_NS = 30000000000u;

const struct sutra_deployed *sutra_gateway_service(const struct sutra_deployment *d)
{
	const struct sutra_deployed *s = sutra_deployment_find(d, "embedding-ha");

	for (size_t i = 0; !s && i < d->n; i++)
		if (!strcmp(d->services[i].unit->program, "sutra-embedding"))
			s = &d->services[i];
	return s;
}

static char *base_of(const struct sutra_deployed *s)
{
	return xasprintf("http://%s", s->unit->published ? s->unit->published : s->address);
}

/* The base URL that --url names: with http:// unless it has a scheme, without slashes at its end. */
static int flag_url(const char *flag, char **ret, struct sutra_err *err)
{
	const char *scheme = strstr(flag, "://"), *host = scheme ? scheme + 3 : flag, *at;
	struct sutra_buf shown;
	char *url;

	if ((scheme && !sutra_str_starts(flag, "http://") && !sutra_str_starts(flag, "https://")) ||
	    !host[strspn(host, "/")] || strpbrk(host, " \t\n")) {
		sutra_buf_init(&shown, 4096);
		at = strrchr(flag, '@');	/* credentials stand before it */
		at = at ? at : flag;
		sutra_mask_add(NULL, at, strnlen(at, 200), &shown);
		sutra_fail(err, SUTRA_E_USAGE, "--url is \"%s%s\"; it must name a gateway", at > flag ? "..." : "",
			   sutra_buf_str(&shown));
		sutra_buf_release(&shown);
		return sutra_hint(err, "as host:port or http://host:port");
	}
	url = xasprintf("%s%s", scheme ? "" : "http://", flag);
	for (size_t n = strlen(url); n && url[n - 1] == '/'; n--)
		url[n - 1] = '\0';
	*ret = url;
	return 0;
}

static int load(struct sutra_deployment **ret, struct sutra_err *err)
{
	char *dir = sutra_state_dir();
	int rc = sutra_deployment_load(dir, ret, err);

	sutra_free(dir);
	if (err && rc == SUTRA_E_NOTFOUND)
		err->code = SUTRA_E_UNAVAILABLE;
	if (!rc && !sutra_gateway_service(*ret)) {
		sutra_deployment_free(*ret);
		*ret = NULL;
		rc = sutra_fail(err, SUTRA_E_UNAVAILABLE, "no embedding gateway is deployed");
	}
	return rc;
}

int sutra_gateway_url(const char *flag, char **ret, struct sutra_err *err)
{
	struct sutra_deployment *d;
	int rc;

	if (flag)
		return flag_url(flag, ret, err);
	rc = load(&d, err);
	if (rc)
		return rc;
	*ret = base_of(sutra_gateway_service(d));
	sutra_deployment_free(d);
	return 0;
}

int sutra_gateway_urls(const char *flag, struct sutra_strv *ret, struct sutra_err *err)
{
	struct sutra_deployment *d = NULL;
	char *url = NULL;
	int rc = flag ? flag_url(flag, &url, err) : load(&d, err);

	if (url)
		sutra_strv_add(ret, url);
	for (size_t i = 0; d && i < d->n; i++) {
		if (strcmp(d->services[i].unit->program, "sutra-embedding") != 0)
			continue;
		sutra_free(url);
		url = base_of(&d->services[i]);
		sutra_strv_add(ret, url);
	}
	sutra_free(url);
	sutra_deployment_free(d);
	return rc;
}

/* Replaces the bare status by the message and hint of an error answer. */
static void read_error(const struct sutra_fetch *f, struct sutra_err *err)
{
	const char *message = NULL, *hint = NULL;
	json_t *doc = NULL;
	const json_t *e;

	if (sutra_json_parse(sutra_buf_str(&f->answer), f->answer.len, &doc, NULL))
		return;
	e = json_object_get(doc, "error");
	sutra_json_get_string(e, "message", &message, NULL);
	sutra_json_get_string(e, "hint", &hint, NULL);
	if (message)
		sutra_fail(err, f->status >= 500 ? SUTRA_E_UNAVAILABLE : SUTRA_E_INVALID, "%s (%d)", message,
			   f->status);
	if (message && hint)
		sutra_hint(err, "%s", hint);
	json_decref(doc);
}

int sutra_gateway_call(const char *base, const char *method, const char *path, const char *body,
		 json_t **ret, struct sutra_err *err)
{
	char *url = xasprintf("%s%s", base, path);
	struct sutra_err own;
	char shown[SUTRA_FETCH_SHOWN];
	struct sutra_fetch f;
	json_t *doc = NULL;
	int rc;

	sutra_fetch_init(&f);
	f.method = method;
	f.url = url;
	f.body = body;
	f.body_len = body ? strlen(body) : 0;
	f.timeout_ns = CALL_NS;
	rc = sutra_fetch_one(&f, &own);
	if (rc && f.reason == SUTRA_FETCH_OK)
		read_error(&f, &own);
	if (!rc) {
		rc = sutra_json_parse(sutra_buf_str(&f.answer), f.answer.len, &doc, &own);
		if (rc)
			sutra_err_prefix(&own, "%s", sutra_fetch_shown(url, shown, sizeof(shown)));
	}
	if (rc && err)
		*err = own;
	if (!rc && ret)
		*ret = doc;
	else
		json_decref(doc);
	sutra_fetch_release(&f);
	sutra_free(url);
	return rc;
}

int sutra_gateway_cache_document(const char *flag, json_t **ret, struct sutra_err *err)
{
	struct sutra_strv bases = { 0 };
	json_t *list = json_array(), *one = NULL;
	char shown[SUTRA_FETCH_SHOWN];
	int rc = sutra_gateway_urls(flag, &bases, err);

	for (size_t i = 0; i < bases.n && !rc; i++) {
		rc = sutra_gateway_call(bases.items[i], "GET", "/cache/stats", NULL, &one, err);
		if (rc)
			break;
		json_object_set_new(one, "schema", json_string("sutra.cache-stats/1"));
		json_object_set_new(one, "url", json_string(sutra_fetch_shown(bases.items[i], shown, sizeof(shown))));
		json_array_append_new(list, one);
	}
	if (!rc)
		*ret = bases.n == 1 ? json_incref(json_array_get(list, 0)) :
				      json_pack("{s:s, s:O}", "schema", "sutra.cache-stats/1", "gateways", list);
	json_decref(list);
	sutra_strv_release(&bases);
	return rc;
}
