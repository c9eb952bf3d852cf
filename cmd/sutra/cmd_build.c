#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "deploy/deployment.h"
#include "hub/modelstore.h"
#include "sutra/command.h"
#include "sutra/prepare.h"
#include "sutra/stackio.h"

static bool with_model;

static const struct sutra_option rows[] = {
	{ 0, "model", SUTRA_OPT_FLAG, &with_model, NULL, "also ml-base with the model in it, for a cluster", 0, 0, NULL },
	{ 0 },
};

static const struct sutra_option *options(void) { return rows; }

/* The model must be there before minutes are spent. */
static int find_model(char **ret, struct sutra_err *err)
{
	struct sutra_config *config;
	char *data_dir, *state_dir;
	int rc = stack_open(&config, &data_dir, &state_dir, false, err);

	if (rc)
		return rc;
	rc = sutra_model_find(sutra_config_get(config, "MODEL_PATH"), sutra_config_get(config, "SUTRA_MODEL"), ret, err);
	sutra_free(data_dir);
	sutra_free(state_dir);
	sutra_config_free(config);
	return rc;
}

static int run(int n, char **argv)
{
	char *data_dir = sutra_data_dir(), *model = NULL;
	struct sutra_err err;
	int rc;

	if (n)
		return command_usage("build takes no operand, got \"%s\"", argv[1]);
	rc = data_dir ? 0 : sutra_fail(&err, SUTRA_E_SETTING, "the folder with compose/ is not found");
	if (!rc && with_model)
		rc = find_model(&model, &err);
	rc = rc ? rc : prepare_script(data_dir, "build-all", NULL, &err);
	if (!rc && with_model)
		rc = prepare_script(data_dir, "model-image", model, &err);
	sutra_free(model);
	sutra_free(data_dir);
	return rc ? command_fail(&err) : EXIT_YES;
}

const struct command cmd_build = {
	.name = "build",
	.summary = "build the images for the docker runtime",
	.synopsis = "[--model]",
	.examples = "sutra build\tevery image, from this source tree\n"
		    "sutra build --model\tand sutra/ml-base-NAME, which needs no volume\n",
	.options = options,
	.formats = "table",
	.run = run,
};
