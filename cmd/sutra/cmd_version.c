#include <stdio.h>

#include "base/version.h"
#include "sutra/command.h"

static int run(int n, char **argv)
{
	if (common.json)
		puts("{\"schema\":\"sutra.version/1\",\"version\":\"" SUTRA_VERSION "\"}");
	else
		puts("sutra " SUTRA_VERSION);
	return EXIT_YES;
}

const struct command cmd_version = {
	.name = "version",
	.summary = "print the version",
	.synopsis = "",
	.examples = "sutra version --json\tas a document\n",
	.formats = "table|json",
	.run = run,
};
