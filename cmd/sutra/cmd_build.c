#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/proc.h"
#include "stack/deployment.h"
#include "sutra/command.h"
#include "sutra/images.h"

static const struct sutra_option rows[] = { { 0 } };

static const struct sutra_option *options(void) { return rows; }

int build_images(const char *data_dir, struct sutra_err *err)
{
	char *script = xasprintf("%s/scripts/build-all", data_dir);
	const char *argv[] = { "sh", "-c", "exec \"$0\" >&2", script, NULL };
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

static int run(int n, char **argv)
{
	char *data_dir = sutra_data_dir();
	struct sutra_err err;
	int rc;

	if (n)
		return command_usage("build takes no operand, got \"%s\"", argv[1]);
	rc = data_dir ? build_images(data_dir, &err) :
			sutra_fail(&err, SUTRA_E_SETTING, "the folder with compose/ is not found");
	sutra_free(data_dir);
	return rc ? command_fail(&err) : EXIT_YES;
}

const struct command cmd_build = {
	.name = "build",
	.summary = "build the images for the docker runtime",
	.synopsis = "",
	.examples = "sutra build\tevery image, from this source tree\n",
	.options = options,
	.formats = "table",
	.run = run,
};
