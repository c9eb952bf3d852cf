/*
 * sutra shell. A command is a child process of the same program: the option tables write into static
 * variables, which a second command in one process would find set. Ctrl-C reaches the child, which is
 * in the terminal's foreground group; the shell itself only waits.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/shown.h"
#include "deploy/deployment.h"
#include "sutra/cmdline.h"
#include "sutra/command.h"
#include "sutra/complete.h"
#include "probe/health.h"
#include "term/lineedit.h"
#include "term/term.h"

static const uint64_t PROMPT_NS = 300000000;

static bool keep_going;

static const struct sutra_option rows[] = {
	{ 0, "keep-going", SUTRA_OPT_FLAG, &keep_going, NULL, "in a script: go on after a command that failed", 0, 0,
	  NULL },
	{ 0 },
};

enum { LEAVE = -1, MAX_LINE = 1 << 20 };

static void be_command(const struct cmdline *c, bool script)
{
	char **argv = xcalloc(c->words.n + 2, sizeof(*argv));

	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	if (script && !freopen("/dev/null", "r", stdin))	/* the rest of the script is not its input */
		_exit(127);
	for (size_t i = 0; i < c->settings.n; i++)
		putenv(c->settings.items[i]);
	argv[0] = xstrdup("sutra");
	memcpy(argv + 1, c->words.items, c->words.n * sizeof(*argv));
	execv("/proc/self/exe", argv);
	sutra_shown_printf(stderr, "sutra shell: cannot run itself: %s\n", strerror(errno));
	_exit(127);
}

static int run_child(const struct cmdline *c, bool script)
{
	struct sigaction before_int, before_quit, ignore = { .sa_handler = SIG_IGN };
	int status = 0;
	pid_t pid;

	fflush(stdout);
	sigaction(SIGINT, &ignore, &before_int);
	sigaction(SIGQUIT, &ignore, &before_quit);
	pid = fork();
	if (!pid)
		be_command(c, script);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &before_int, NULL);
	sigaction(SIGQUIT, &before_quit, NULL);
	if (pid < 0)
		return command_usage("cannot start a process: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What the shell itself does; *ret is the code. False: it is a command. */
static bool own_word(const struct cmdline *c, int *ret)
{
	const char *word = c->words.n ? c->words.items[0] : "";

	if (!*word)
		*ret = c->settings.n ? command_usage("a setting stands before a command, as in NAME=VALUE deploy") :
				       EXIT_YES;
	else if (!strcmp(word, "exit") || !strcmp(word, "quit"))
		*ret = c->words.n > 1 ? command_usage("%s takes no operand", word) : LEAVE;
	else if (!strcmp(word, "shell"))
		*ret = command_usage("this is the shell already");
	else
		return false;
	return true;
}

/* Runs one line; LEAVE for exit. */
static int run_line(const struct cmdline *c, bool script)
{
	int code;

	if (own_word(c, &code))
		return code;
	code = run_child(c, script);
	if (!script && c->words.n == 1 && !strcmp(c->words.items[0], "help"))
		puts("In the shell: Tab completes, exit or Ctrl-D leaves, Ctrl-C ends a running command.");
	return code;
}

/* The code that stands for several (CONTRACT section 9). */
static int worse(int a, int b)
{
	static const int order[] = { EXIT_USAGE, EXIT_LOCK, EXIT_INCONCLUSIVE, EXIT_ROLLED_BACK, EXIT_TIME, EXIT_NO,
				     EXIT_QUALIFIED };

	if (a > EXIT_LOCK || b > EXIT_LOCK)
		return a > b ? a : b;
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return EXIT_YES;
}

static int run_script(void)
{
	size_t number = 0;
	int worst = EXIT_YES, code = EXIT_YES, got = 0;
	struct sutra_buf line;

	sutra_buf_init(&line, MAX_LINE);
	while (code != LEAVE && (got = sutra_file_line(stdin, &line, &number)) > 0) {
		struct cmdline c;
		struct sutra_err err;

		code = cmdline_split(sutra_buf_str(&line), &c, &err) ? command_fail(&err) : run_line(&c, true);
		if (code > 0) {
			fprintf(stderr, "sutra shell: line %zu ended with %d%s%s\n", number, code,
				c.words.n ? ": " : "", c.words.n ? c.words.items[0] : "");
			worst = worse(worst, code);
		}
		cmdline_release(&c);
		if (code > 0 && (!keep_going || code > 128))
			break;
	}
	if (got < 0) {
		fprintf(stderr, "sutra shell: line %zu: %s; a line has at most %d bytes\n", number + 1, sutra_err_text(got),
			MAX_LINE);
		worst = worse(worst, EXIT_USAGE);
	}
	sutra_buf_release(&line);
	return worst;
}

/* "sutra community 6/6> ": the edition, and how many services are well. */
static char *make_prompt(const char *state_dir, const struct sutra_term *term)
{
	struct sutra_deployment *d;
	char *prompt, *count, *colored;
	struct sutra_probe *p;
	size_t up = 0;
	bool well;

	if (sutra_deployment_load(state_dir, &d, NULL))
		return xstrdup("sutra (nothing deployed)> ");
	p = xcalloc(d->n + 1, sizeof(*p));
	if (!sutra_health_probe(d, PROMPT_NS, p, NULL))
		for (size_t i = 0; i < d->n; i++)
			up += p[i].state == SUTRA_UP;
	well = up == d->n;
	count = xasprintf("%zu/%zu", up, d->n);
	colored = sutra_lineedit_colored(sutra_term_on(term, well ? SUTRA_ROLE_OK : SUTRA_ROLE_BAD), count,
					 sutra_term_off(term, SUTRA_ROLE_OK));
	prompt = xasprintf("sutra %s %s> ", d->record->edition, colored);
	sutra_free(colored);
	sutra_free(count);
	sutra_free(p);
	sutra_deployment_free(d);
	return prompt;
}

static bool complete(void *user, const char *line, size_t n, struct sutra_strv *ret)
{
	struct completion found;
	struct cmdline c;

	(void)user;
	cmdline_typed(line, n, &c);
	complete_line((const char *const *)c.words.items, c.words.n, &found);
	for (size_t i = 0; i < found.found.names.n; i++)
		sutra_strv_add(ret, found.found.names.items[i]);
	if (c.words.n == 1 && sutra_str_starts("exit", c.words.items[0]))
		sutra_strv_add(ret, "exit");
	values_release(&found.found);
	cmdline_release(&c);
	return found.files;
}

static void remember(const char *line, const struct cmdline *c)
{
	static bool told;
	struct sutra_err err;

	if (!c->words.n || *line == ' ' || cmdline_has_secret(c) || !sutra_lineedit_remember(line, &err) || told)
		return;
	sutra_shown_printf(stderr, "sutra shell: the history is not kept: %s\n", err.message);
	told = true;
}

static void run_interactive(const char *state_dir)
{
	char *history = xasprintf("%s/shell_history", state_dir);
	const struct sutra_lineedit editor = { .history = history, .complete = complete };
	struct sutra_err err;
	struct sutra_term term;
	int code = EXIT_YES;

	sutra_mkdirs(state_dir, 0700, NULL);
	sutra_term_init(&term, stdout, common.color);
	sutra_lineedit_start(&editor);
	while (code != LEAVE) {
		char *prompt = make_prompt(state_dir, &term), *line = sutra_lineedit_read(prompt);
		struct cmdline c;

		sutra_free(prompt);
		if (!line) {
			putchar('\n');
			break;
		}
		code = cmdline_split(line, &c, &err) ? command_fail(&err) : EXIT_YES;
		remember(line, &c);
		code = code ? code : run_line(&c, false);
		cmdline_release(&c);
		sutra_free(line);
	}
	sutra_lineedit_end();
	sutra_free(history);
}

static int run(int n, char **argv)
{
	char *state_dir;

	if (n)
		return command_usage("shell takes no operand, got \"%s\"; a script comes on standard input", argv[1]);
	if (!isatty(STDIN_FILENO))
		return run_script();
	state_dir = sutra_state_dir();
	run_interactive(state_dir);
	sutra_free(state_dir);
	return EXIT_YES;
}

const struct command cmd_shell = {
	.name = "shell",
	.summary = "type commands without \"sutra\", with completion and history; or run a script of them",
	.synopsis = "[--keep-going]",
	.examples = "sutra shell\tTab completes, exit leaves\n"
		    "sutra shell <nightly.sutra\ta command a line; stops at the first that fails\n",
	.options = rows,
	.formats = "table",
	.operands = true,	/* run refuses them, and says where a script comes from */
	.run = run,
};
