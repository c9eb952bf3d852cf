#include "base/weightsum.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

enum { MAX_FILE = 4096 };

/* The path of the record, which the caller frees. */
static char *record_path(const char *path)
{
	static const char suffix[] = ".safetensors";
	size_t n = strlen(path);

	if (sutra_str_ends(path, suffix))
		n -= strlen(suffix);
	return sutra_asprintf("%.*s.sha256", (int)n, path);
}

/* The comment line for the file as it is now, which the caller frees. */
static int stamp(const char *path, char **ret, struct sutra_err *err)
{
	struct stat st;

	if (stat(path, &st))
		return sutra_fail_errno(err, "cannot read %s", path);
	*ret = sutra_asprintf("# %s %lld %lld.%09ld\n", basename(path), (long long)st.st_size,
			      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return *ret ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
}

int sutra_weightsum_read(const char *path, char ret_hex[SUTRA_SHA256_HEX], struct sutra_err *err)
{
	char *record = record_path(path), *want = NULL, *text = NULL;
	uint8_t digest[SUTRA_SHA256_LEN];
	size_t len, skip;
	int rc;

	if (!record)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	rc = stamp(path, &want, err);
	if (!rc)
		rc = sutra_file_read(record, MAX_FILE, &text, &len, err);
	if (rc)
		goto out;
	skip = strlen(want);
	if (strncmp(text, want, skip) || len < skip + SUTRA_SHA256_HEX - 1) {
		rc = sutra_fail(err, SUTRA_E_NOTFOUND, "%s does not describe the file as it is now", record);
		goto out;
	}
	text[skip + SUTRA_SHA256_HEX - 1] = '\0';
	if (sutra_unhex(text + skip, digest, sizeof(digest)))
		rc = sutra_fail(err, SUTRA_E_NOTFOUND, "%s holds no digest", record);
	else
		sutra_hex(digest, sizeof(digest), ret_hex);
out:
	sutra_free(record);
	sutra_free(want);
	sutra_free(text);
	return rc;
}

int sutra_weightsum_write(const char *path, const char *hex, struct sutra_err *err)
{
	char *record = record_path(path), *first = NULL, *text = NULL;
	int rc = record ? stamp(path, &first, err) : SUTRA_E_NOMEM;

	if (!rc && (text = sutra_asprintf("%s%s  %s\n", first, hex, basename(path))))
		rc = sutra_file_write(record, text, strlen(text), 0644, err);
	else if (!rc)
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	sutra_free(record);
	sutra_free(first);
	sutra_free(text);
	return rc;
}

int sutra_weightsum(const char *path, char ret_hex[SUTRA_SHA256_HEX], struct sutra_err *err)
{
	uint8_t digest[SUTRA_SHA256_LEN];
	int rc;

	if (!sutra_weightsum_read(path, ret_hex, NULL))
		return 0;
	rc = sutra_sha256_file(path, digest, err);
	if (rc)
		return rc;
	sutra_hex(digest, sizeof(digest), ret_hex);
	sutra_weightsum_write(path, ret_hex, NULL);	/* in a read-only folder the next start computes it again */
	return 0;
}
