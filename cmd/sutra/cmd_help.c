#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "sutra/command.h"
#include "sutra/values.h"

static int run(int n, char **argv)
{
	if (n > 1)
		return command_usage("help shows one COMMAND, got \"%s\" too", argv[2]);
	for (size_t i = 0; n && commands[i]; i++) {
		if (!strcmp(commands[i]->name, argv[1])) {
			command_help(commands[i], stdout);
			return EXIT_YES;
		}
	}
	if (n)
		return values_unknown("COMMAND", "command", argv[1]);
	puts("sutra " SUTRA_VERSION " - an embedding platform on plain CPUs\n\n"
	     "  sutra deploy                # start everything, wait until it is healthy\n"
	     "  sutra status                # what runs, and why something does not\n"
	     "  sutra validate-scaling      # prove the three phases, with figures\n\n"
	     "usage: sutra COMMAND [options]\n");
	for (size_t i = 0; commands[i]; i++)
		printf("  %-18s %s\n", commands[i]->name, commands[i]->summary);
	puts("\nsutra COMMAND -h shows a command's options; man sutra-COMMAND its manual.");
	return EXIT_YES;
}

const struct command cmd_help = {
	.name = "help",
	.summary = "list the commands, or show one",
	.synopsis = "[COMMAND]",
	.examples = "sutra help deploy\tshow the options of deploy\n",
	.formats = "table",
	.operands = true,
	.run = run,
};
