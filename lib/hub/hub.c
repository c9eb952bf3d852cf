#include "hub/hub.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/setting.h"
#include "base/str.h"
#include "net/download.h"

enum { MAX_LISTING = 16 << 20, MAX_REPO_PART = 96 };

/* The first N_NEEDED are required. */
static const char *const wanted[] = {
	"config.json", "vocab.txt", "model.safetensors", "tokenizer_config.json",
	"sentence_bert_config.json", "modules.json", "1_Pooling/config.json", "special_tokens_map.json",
	"config_sentence_transformers.json",
};
enum { N_NEEDED = 3, N_WANTED = sizeof(wanted) / sizeof(*wanted) };

static bool is_part(const char *s, size_t n)
{
	size_t dots = 0;

	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr("._-", s[i]))
			return false;
		dots += s[i] == '.';
	}
	return n >= 1 && n <= MAX_REPO_PART && dots < n;
}

bool sutra_hub_is_repo(const char *name)
{
	const char *slash = strchr(name, '/');

	return slash && is_part(name, (size_t)(slash - name)) && is_part(slash + 1, strlen(slash + 1));
}

static bool is_hex(const char *s, size_t n)
{
	return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

static int add_file(const json_t *o, struct sutra_hub_listing *l, struct sutra_err *err)
{
	const char *name = NULL, *sha = NULL;
	const json_t *lfs = json_object_get(o, "lfs");
	struct sutra_hub_file *f;
	int64_t size = -1;
	size_t at = 0;
	int rc = sutra_json_get_string(o, "rfilename", &name, err);

	while (!rc && name && at < N_WANTED && strcmp(wanted[at], name) != 0)
		at++;
	if (rc || !name || at == N_WANTED)
		return rc;
	if (l->n == SUTRA_HUB_MAX_FILES)
		return sutra_fail(err, SUTRA_E_CORRUPT,
				  "the hub lists more than %d files of a model; %s is one too many",
				  SUTRA_HUB_MAX_FILES, name);
	rc = sutra_json_get_int(o, "size", &size, err);
	if (!rc && json_is_object(lfs)) {
		rc = sutra_json_get_string(lfs, "sha256", &sha, err);
		rc = rc ? rc : sutra_json_get_int(lfs, "size", &size, err);
	}
	if (rc)
		return rc;
	if (size < 0 || (sha && !is_hex(sha, SUTRA_SHA256_HEX - 1)))
		return sutra_fail(err, SUTRA_E_CORRUPT, "the hub gives no valid %s of %s", sha ? "SHA-256" : "size",
				  name);
	f = &l->files[l->n++];
	f->name = wanted[at];
	f->size = (uint64_t)size;
	snprintf(f->sha256, sizeof(f->sha256), "%s", sha ? sha : "");
	return 0;
}

static const struct sutra_hub_file *listed(const struct sutra_hub_listing *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->files[i].name, name))
			return &l->files[i];
	return NULL;
}

int sutra_hub_parse(const char *json, size_t n, struct sutra_hub_listing *ret, struct sutra_err *err)
{
	struct sutra_hub_listing l = { .n = 0 };
	const char *commit = NULL;
	const json_t *o, *files;
	json_t *root = NULL;
	size_t i;
	int rc = sutra_json_parse(json, n, &root, err);

	rc = rc ? rc : sutra_json_get_string(root, "sha", &commit, err);
	files = json_object_get(root, "siblings");
	if (!rc && (!commit || !is_hex(commit, 40) || !json_is_array(files)))
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "the hub's answer has no commit (sha) or no files (siblings)");
	if (rc)
		goto out;
	snprintf(l.commit, sizeof(l.commit), "%s", commit);
	json_array_foreach(files, i, o)
		if ((rc = add_file(o, &l, err)))
			goto out;
	for (i = 0; i < N_NEEDED && !rc; i++)
		if (!listed(&l, wanted[i]))
			rc = sutra_fail(err, SUTRA_E_INVALID, "the repository has no %s", wanted[i]);
	if (!rc && !listed(&l, "model.safetensors")->sha256[0])
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "the hub gives no SHA-256 of model.safetensors");
	if (!rc)
		*ret = l;
out:
	json_decref(root);
	return rc;
}

static const char *hub_url(void)
{
	const char *url = sutra_setting_env("SUTRA_HUB_URL");

	return url ? url : sutra_setting_find("SUTRA_HUB_URL")->fallback;
}

/* $HF_TOKEN, unless it would be sent to another machine without TLS. */
static const char *token(void)
{
	const char *t = sutra_setting_env("HF_TOKEN"), *url = hub_url();

	if (!t)
		return NULL;
	return sutra_str_starts(url, "https://") || sutra_str_starts(url, "http://127.0.0.1:") ||
			       sutra_str_starts(url, "http://localhost:") ?
		       t :
		       NULL;
}

struct report {
	sutra_model_progress *progress;
	const char *what;
	uint64_t total;
};

static int on_bytes(void *user, uint64_t done, uint64_t total)
{
	struct report *r = user;

	return r->progress ? r->progress(r->what, done, r->total ? r->total : total) : 0;
}

static int explain(int rc, int status, const char *repo, struct sutra_err *err)
{
	if (status == 401 || status == 403)
		return sutra_hint(err, "%s is private, gated or misspelt; HF_TOKEN=... gives access", repo);
	if (rc == SUTRA_E_NOTFOUND)
		return sutra_hint(err, "check the name: %s/%s", hub_url(), repo);
	if (rc == SUTRA_E_BUSY)
		return sutra_hint(err, "the hub limits requests; what has arrived is kept, fetch again later");
	if (rc == SUTRA_E_UNAVAILABLE || rc == SUTRA_E_TIMEOUT)
		return sutra_hint(err, "what has arrived is kept; the same command again continues it; SUTRA_HUB_URL names a mirror");
	return rc;
}

int sutra_hub_list(const char *repo, const char *work, sutra_model_progress *progress,
		   struct sutra_hub_listing *ret, struct sutra_err *err)
{
	char *url = xasprintf("%s/api/models/%s/revision/main?blobs=true", hub_url(), repo);
	char *path = xasprintf("%s/listing.json", work), *json = NULL;
	struct report r = { progress, "asking the hub", 0 };
	struct sutra_download d = { .url = url, .path = path, .bearer = token(), .max_bytes = MAX_LISTING,
				    .progress = on_bytes, .user = &r };
	size_t n = 0;
	int rc;

	unlink(path);
	rc = sutra_download(&d, err);
	if (rc)
		explain(rc, d.status, repo, err);
	rc = rc ? rc : sutra_file_read(path, MAX_LISTING, &json, &n, err);
	if (!rc && (rc = sutra_hub_parse(json, n, ret, err)))
		sutra_err_prefix(err, "%s", repo);
	sutra_free(json);
	sutra_free(path);
	sutra_free(url);
	return rc;
}

static int check_file(const struct sutra_hub_file *f, const char *path, struct sutra_err *err)
{
	uint8_t digest[SUTRA_SHA256_LEN];
	char hex[SUTRA_SHA256_HEX];
	struct stat st;
	int rc = 0;

	if (stat(path, &st))
		return sutra_fail_errno(err, "cannot read %s", path);
	if ((uint64_t)st.st_size != f->size)
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s came with %lld bytes, the hub says %llu", f->name,
				(long long)st.st_size, (unsigned long long)f->size);
	if (rc || !f->sha256[0])
		return rc;
	rc = sutra_sha256_file(path, digest, err);
	sutra_hex(digest, sizeof(digest), hex);
	if (!rc && strcmp(hex, f->sha256) != 0)
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s came with SHA-256 %s, the hub says %s", f->name, hex,
				f->sha256);
	return rc;
}

/* A file has ".partial" after its name until it is complete and checked. */
static int get_file(const char *repo, const struct sutra_hub_listing *l, const struct sutra_hub_file *f,
		    const char *folder, sutra_model_progress *progress, struct sutra_err *err)
{
	char *path = xasprintf("%s/%s", folder, f->name), *partial = xasprintf("%s.partial", path);
	char *url = xasprintf("%s/%s/resolve/%s/%s", hub_url(), repo, l->commit, f->name);
	char *etag = xasprintf("%s.etag", partial);
	struct report r = { progress, f->name, f->size };
	struct sutra_download d = { .url = url, .path = partial, .bearer = token(),
				    .max_bytes = f->size ? f->size : 1,
				    .progress = on_bytes, .user = &r };
	struct stat st;
	int rc = 0;

	if (sutra_is_file(path))
		goto out;
	if (stat(partial, &st) || (uint64_t)st.st_size != f->size || !f->size) {
		rc = sutra_download(&d, err);
		if (rc)
			explain(rc, d.status, repo, err);
	}
	if (!rc && (rc = check_file(f, partial, err))) {
		sutra_hint(err, "it was removed; fetch again; if that fails too, the mirror may be wrong");
		unlink(partial);
	}
	if (rc == SUTRA_E_TOOBIG)
		unlink(partial);
	if (!rc && rename(partial, path))
		rc = sutra_fail_errno(err, "cannot rename %s", partial);
	if (!rc || rc == SUTRA_E_CORRUPT || rc == SUTRA_E_TOOBIG)
		unlink(etag);
out:
	sutra_free(path);
	sutra_free(partial);
	sutra_free(url);
	sutra_free(etag);
	return rc;
}

int sutra_hub_get(const char *repo, const struct sutra_hub_listing *l, const char *work,
		  sutra_model_progress *progress, struct sutra_err *err)
{
	char *folder = xasprintf("%s/%s", work, l->commit), *pooling = xasprintf("%s/1_Pooling", folder);
	int rc = sutra_mkdirs(listed(l, "1_Pooling/config.json") ? pooling : folder, 0755, err);

	for (size_t i = 0; i < l->n && !rc; i++)
		rc = get_file(repo, l, &l->files[i], folder, progress, err);
	sutra_free(pooling);
	sutra_free(folder);
	return rc;
}
