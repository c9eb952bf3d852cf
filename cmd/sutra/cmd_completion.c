#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "sutra/command.h"
#include "sutra/complete.h"

/*
 * The scripts hold no lists: on Tab they run `sutra completion words -- WORD ...`, which reads the tables of
 * the parser and the current deployment. It prints lines of a word, a tab and its meaning; the line
 * ":files" means that paths are possible too.
 */
static const char bash_script[] =
	"# shellcheck shell=bash\n"
	"# bash completion for sutra(1), as sutra completion bash prints it\n"
	"_sutra() {\n"
	"  local cur=${COMP_WORDS[COMP_CWORD]} line\n"
	"  COMPREPLY=()\n"
	"  while IFS= read -r line; do\n"
	"    if [ \"$line\" = :files ]; then\n"
	"      compopt -o filenames 2>/dev/null || true # not under a test\n"
	"      while IFS= read -r line; do COMPREPLY+=(\"$line\"); done < <(compgen -f -- \"${cur#=}\")\n"
	"    else\n"
	"      COMPREPLY+=(\"${line%%$'\\t'*}\")\n"
	"    fi\n"
	"  done < <(\"${COMP_WORDS[0]/#~/$HOME}\" completion words -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
	"}\n"
	"complete -F _sutra sutra\n";

static const char zsh_script[] =
	"#compdef sutra\n"
	"# zsh completion for sutra(1), as sutra completion zsh prints it\n"
	"_sutra() {\n"
	"  local line\n"
	"  local -a lines found\n"
	"  lines=(\"${(@f)$(\"${words[1]/#\\~/$HOME}\" completion words -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
	"  for line in $lines; do\n"
	"    if [[ $line == :files ]]; then\n"
	"      _files\n"
	"    else\n"
	"      found+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
	"    fi\n"
	"  done\n"
	"  (( $#found )) && _describe -V sutra found\n"
	"}\n"
	"if [ \"$funcstack[1]\" = _sutra ]; then _sutra \"$@\"; else compdef _sutra sutra; fi\n";

static const char fish_script[] =
	"# fish completion for sutra(1), as sutra completion fish prints it\n"
	"function __sutra_words\n"
	"    set -l words (commandline -opc)\n"
	"    set -l now (commandline -ct)\n"
	"    for line in ($words[1] completion words -- $words[2..-1] \"$now\" 2>/dev/null)\n"
	"        if test \"$line\" = :files\n"
	"            __fish_complete_path \"$now\"\n"
	"        else\n"
	"            printf '%s\\n' $line\n"
	"        end\n"
	"    end\n"
	"end\n"
	"complete -c sutra -f -a '(__sutra_words)'\n";

static int print_words(size_t n, char **words)
{
	struct completion c;

	complete_line((const char *const *)words, n, &c);
	for (size_t i = 0; i < c.found.names.n; i++)
		printf("%s\t%s\n", c.found.names.items[i], c.found.helps.items[i]);
	if (c.files)
		puts(":files");
	values_release(&c.found);
	return EXIT_YES;
}

static int run(int n, char **argv)
{
	static const struct {
		const char *name, *script;
	} shells[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

	if (n && !strcmp(argv[1], "words"))
		return print_words((size_t)n - 1, argv + 2);
	for (size_t i = 0; n == 1 && i < sizeof(shells) / sizeof(*shells); i++) {
		if (!strcmp(shells[i].name, argv[1])) {
			fputs(shells[i].script, stdout);
			return EXIT_YES;
		}
	}
	return n ? command_usage("\"%s\" is no shell completion is for; bash, zsh and fish are", argv[n == 1 ? 1 : 2]) :
		   command_usage("for which shell? bash, zsh or fish");
}

const struct command cmd_completion = {
	.name = "completion",
	.summary = "print the completion of a shell",
	.synopsis = "bash | zsh | fish",
	.examples = "source <(sutra completion bash)\tin ~/.bashrc\n"
		    "sutra completion zsh >~/.zfunc/_sutra\ta folder of $fpath\n"
		    "sutra completion fish | source\tin ~/.config/fish/config.fish\n",
	.formats = "table",
	.operands = true,
	.run = run,
};
