
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

/* Finds the model before the builds take minutes. */
static int find_model(char **ret, struct sutra_err *err)
{
	struct stack s;
	int rc = stack_open(&s, false, err);

	if (!rc)
		rc = sutra_model_find(sutra_config_get(s.config, "MODEL_PATH"), sutra_config_get(s.config, "SUTRA_MODEL"),
				      ret, err);
	stack_release(&s);
	return rc;
}

static int run(int n, char **argv)
{
	char *data_dir = sutra_data_dir(), *model = NULL;
	struct sutra_err err;
	int rc;

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
	.options = rows,
	.formats = "table",
	.run = run,
};
