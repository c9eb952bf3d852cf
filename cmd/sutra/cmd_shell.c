/*
 * sutra shell. A command is a child process of the same program: the option tables write into static
 * variables, which a second command in the same process would find set. Ctrl-C interrupts the child; the shell only waits.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/shown.h"
#include "base/str.h"
#include "compose/config.h"
#include "deploy/deployment.h"
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

/* A line as words. */
struct cmdline {
	struct sutra_strv settings;	/* NAME=VALUE before the command */
	struct sutra_strv words;	/* the command and its arguments, without a leading "sutra" */
};

static bool is_setting(const char *word)
{
	size_t n = 0;

	while (isalnum((unsigned char)word[n]) || word[n] == '_')
		n++;
	return n && !isdigit((unsigned char)word[0]) && word[n] == '=';
}

static void add_word(struct cmdline *c, const char *word)
{
	if (!c->words.n && is_setting(word))
		sutra_strv_add(&c->settings, word);
	else
		sutra_strv_add(&c->words, word);
}

/* Adds one word to b; returns its end. *ret_open: the quote that is not closed, or 0. *ret_foreign: a
 * character that only a shell interprets. */
static const char *take_word(const char *at, const char *end, struct sutra_buf *b, char *ret_open, char *ret_foreign)
{
	char quote = 0;

	for (; at < end && (quote || !isspace((unsigned char)*at)); at++) {
		if (quote != '\'' && *at == '\\' && at + 1 < end) {
			sutra_buf_addc(b, *++at);
		} else if (quote ? *at == quote : *at == '\'' || *at == '"') {
			quote = quote ? 0 : *at;
		} else {
			if (!quote && strchr("|;&<>$`*", *at))
				*ret_foreign = *at;
			sutra_buf_addc(b, *at);
		}
	}
	*ret_open = quote;
	return at;
}

/* Splits up to the end or a comment; *ret_blank: the last byte is a blank. */
static void split(const char *line, const char *end, struct cmdline *c, char *ret_open, char *ret_foreign,
		  bool *ret_blank)
{
	struct sutra_buf b;

	*ret_open = *ret_foreign = 0;
	*ret_blank = true;
	sutra_buf_init(&b, MAX_LINE);
	for (const char *at = line; at < end;) {
		*ret_blank = isspace((unsigned char)*at);
		if (*ret_blank) {
			at++;
			continue;
		}
		if (*at == '#')
			break;
		sutra_buf_clear(&b);
		at = take_word(at, end, &b, ret_open, ret_foreign);
		add_word(c, sutra_buf_str(&b));
	}
	sutra_buf_release(&b);
}

/* A line may begin with the name of the program: "sutra status" is "status". */
static void drop_name(struct cmdline *c)
{
	if (!c->words.n || strcmp(c->words.items[0], "sutra") != 0)
		return;
	sutra_free(c->words.items[0]);
	memmove(c->words.items, c->words.items + 1, c->words.n * sizeof(*c->words.items));
	c->words.n--;
}

/* Splits a line. Blanks separate words; '...' is literal, in "..." and outside a backslash takes the next byte
 * literally; # at the start of a word begins a comment. Nothing is expanded. SUTRA_E_USAGE: a quote is not
 * closed, or a character that only a shell interprets (| ; & < > $ ` *) is not quoted. */
static int cmdline_split(const char *line, struct cmdline *ret, struct sutra_err *err)
{
	char open, foreign;
	bool blank;

	*ret = (struct cmdline){ 0 };
	split(line, line + strlen(line), ret, &open, &foreign, &blank);
	drop_name(ret);
	if (open)
		return sutra_fail(err, SUTRA_E_USAGE, "the quote %c is not closed", open);
	if (!foreign)
		return 0;
	sutra_fail(err, SUTRA_E_USAGE, "%c is for a shell of the system; here a line is one command", foreign);
	return sutra_hint(err, "'%c' is the character itself", foreign);
}

/* The same for the line typed so far, for completion: without errors, and always with a last word. */
static void cmdline_typed(const char *line, size_t n, struct cmdline *ret)
{
	char open, foreign;
	bool blank;

	*ret = (struct cmdline){ 0 };
	split(line, line + n, ret, &open, &foreign, &blank);
	if (blank || !ret->words.n) {
		drop_name(ret);
		sutra_strv_add(&ret->words, "");
	} else if (ret->words.n > 1) {
		drop_name(ret);
	}
}

static bool names_secret(const char *name, size_t n)
{
	static const char *const parts[] = { "PASSWORD", "PASSWD", "TOKEN", "SECRET", "KEY", "CREDENTIAL", "AUTH" };
	char *copy = sutra_strndup(name, n);
	bool is = copy && sutra_config_is_secret(copy);

	for (size_t i = 0; copy && !is && i < sizeof(parts) / sizeof(*parts); i++)
		is = strcasestr(copy, parts[i]) != NULL;
	sutra_free(copy);
	return is;
}

/* NAME=VALUE or --name=VALUE with the name of a secret, scheme://user:password@host, a bearer token. */
static bool word_has_secret(const char *word)
{
	const char *eq = strchr(word, '='), *url = strstr(word, "://");
	const char *at = url ? strchr(url, '@') : NULL;

	return (eq && names_secret(word, (size_t)(eq - word))) || at || strcasestr(word, "bearer") != NULL;
}

/* Whether the line holds a secret: a password, key or token as a setting or in a URL. */
static bool cmdline_has_secret(const struct cmdline *c)
{
	for (size_t i = 0; i < c->settings.n; i++)
		if (word_has_secret(c->settings.items[i]))
			return true;
	for (size_t i = 0; i < c->words.n; i++)
		if (word_has_secret(c->words.items[i]))
			return true;
	return false;
}

static void cmdline_release(struct cmdline *c)
{
	sutra_strv_release(&c->settings);
	sutra_strv_release(&c->words);
}

static void be_command(const struct cmdline *c, bool script)
{
	char **argv = xcalloc(c->words.n + 2, sizeof(*argv));

	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	if (script && !freopen("/dev/null", "r", stdin))	/* the rest of the script is no input of the command */
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

/* Handles the words of the shell itself; *ret is the code. False: the line is a command. */
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

/* The code that has precedence (CONTRACT section 9). */
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

/* "sutra community 6/6> ": the edition, and how many services are up. */
static char *make_prompt(const char *state_dir, const struct sutra_term *term)
{
	struct sutra_deployment *d;
	char *prompt, *count, *colored;
	struct sutra_probe *p;
	size_t up = 0;
	bool all_up;

	if (sutra_deployment_load(state_dir, &d, NULL))
		return xstrdup("sutra (nothing deployed)> ");
	p = xcalloc(d->n + 1, sizeof(*p));
	if (!sutra_health_probe(d, PROMPT_NS, p, NULL))
		for (size_t i = 0; i < d->n; i++)
			up += p[i].state == SUTRA_UP;
	all_up = up == d->n;
	count = xasprintf("%zu/%zu", up, d->n);
	colored = sutra_lineedit_colored(sutra_term_on(term, all_up ? SUTRA_ROLE_OK : SUTRA_ROLE_BAD), count,
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
	static bool warned;
	struct sutra_err err;

	if (!c->words.n || *line == ' ' || cmdline_has_secret(c) || !sutra_lineedit_remember(line, &err) || warned)
		return;
	sutra_shown_printf(stderr, "sutra shell: the history is not kept: %s\n", err.message);
	warned = true;
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
