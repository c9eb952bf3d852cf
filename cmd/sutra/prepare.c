#include "sutra/prepare.h"

#include <dirent.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"
#include "sutra/command.h"
#include "term/progress.h"

enum { MAX_SAID = 65536 };
#define LIMIT_NS 120000000000u

static bool is_packed(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d)))
		found = sutra_str_starts(e->d_name, "packed-") && sutra_str_ends(e->d_name, ".bin");
	if (d)
		closedir(d);
	return found;
}

void prepare_weights(const char *folder, const char *precision)
{
	char *dir, *program, *path, *as;
	struct sutra_progress progress;
	struct sutra_buf said;
	struct sutra_err err;
	int status;

	if (is_packed(folder))
		return;
	dir = sutra_program_dir();
	program = xasprintf("%s/sutra-ml-base", dir);
	path = xasprintf("MODEL_PATH=%s", folder);
	as = xasprintf("SUTRA_PRECISION=%s", precision ? precision : "auto");
	sutra_buf_init(&said, MAX_SAID);
	sutra_progress_init(&progress, common.color, common.quiet);
	sutra_progress_busy(&progress, "packing weights");
	sutra_proc_run((const char *const[]){ "env", path, as, program, "--pack", NULL }, &said, LIMIT_NS,
		       &status, &err);
	sutra_progress_clear(&progress);
	sutra_buf_release(&said);
	sutra_free(as);
	sutra_free(path);
	sutra_free(program);
	sutra_free(dir);
}

int prepare_script(const char *data_dir, const char *name, const char *operand, struct sutra_err *err)
{
	char *script = xasprintf("%s/scripts/%s", data_dir, name);
	const char *argv[] = { "sh", "-c", "exec \"$0\" \"$@\" >&2", script, operand, NULL };
	int status = 0, rc;

	if (!sutra_is_file(script))
		rc = sutra_hint((sutra_fail(err, SUTRA_E_NOTFOUND, "images are built from a source tree; %s is not there",
					    script), err),
				"run it there, or load the images with docker load");
	else
		rc = sutra_proc_run(argv, NULL, UINT64_MAX, &status, err);
	if (!rc && status)
		rc = sutra_fail(err, SUTRA_E_IO, "building the images ended with %d", status);
	sutra_free(script);
	return rc;
}
