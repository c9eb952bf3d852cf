#include "term/lineedit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <readline/readline.h>
#include <readline/history.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"

enum { MAX_HISTORY_BYTES = 4 << 20 };

static const struct sutra_lineedit *editor;	/* readline's callbacks carry no argument */
static struct sutra_strv offered;
static size_t next_offer;
static volatile sig_atomic_t interrupted;
static struct sigaction before;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* readline calls it after a signal: the line is dropped and a new one begins, as in shells. */
static int drop_line(void)
{
	if (!interrupted)
		return 0;
	interrupted = 0;
	rl_free_line_state();
	rl_replace_line("", 0);
	rl_crlf();
	rl_on_new_line();
	rl_redisplay();
	return 0;
}

/* The hook runs when reading is interrupted. A signal that arrived together with a key (in pasted text) is
 * handled here, before the key is. */
static int next_key(FILE *in)
{
	int key = rl_getc(in);

	rl_check_signals();
	drop_line();
	return key;
}

static char *next_match(const char *text, int state)
{
	(void)text;
	if (!state)
		next_offer = 0;
	return next_offer < offered.n ? xstrdup(offered.items[next_offer++]) : NULL;	/* readline frees it */
}

static char **complete(const char *text, int start, int end)
{
	bool paths;

	(void)start;
	sutra_strv_release(&offered);
	paths = editor->complete(editor->user, rl_line_buffer, (size_t)end, &offered);
	rl_attempted_completion_over = !paths;
	rl_completion_append_character = offered.n == 1 && sutra_str_ends(offered.items[0], "=") ? '\0' : ' ';
	return rl_completion_matches(text, next_match);
}

static void read_history_file(const char *path)
{
	char *text;
	struct sutra_strv lines = { 0 };

	if (sutra_file_read(path, MAX_HISTORY_BYTES, &text, NULL, NULL))
		return;
	sutra_strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++)
		add_history(lines.items[i]);
	sutra_strv_release(&lines);
	sutra_free(text);
}

void sutra_lineedit_start(const struct sutra_lineedit *e)
{
	struct sigaction a = { .sa_handler = on_interrupt };	/* no SA_RESTART: reading must return */

	editor = e;
	sigaction(SIGINT, &a, &before);
	rl_readline_name = "sutra";
	rl_change_environment = 0;	/* commands must not inherit LINES and COLUMNS */
	rl_attempted_completion_function = complete;
	rl_signal_event_hook = drop_line;
	rl_getc_function = next_key;
	rl_completer_word_break_characters = " \t\n";
	rl_completer_quote_characters = "'\"";
	using_history();
	history_expansion_char = '\0';
	stifle_history(SUTRA_LINEEDIT_HISTORY);
	if (e->history)
		read_history_file(e->history);
}

char *sutra_lineedit_read(const char *prompt)
{
	char *typed, *line;

	interrupted = 0;
	typed = readline(prompt);
	line = typed ? xstrdup(typed) : NULL;
	rl_free(typed);
	return line;
}

/* The file is replaced atomically: shells that run at the same time can lose lines, never the file. */
int sutra_lineedit_remember(const char *line, struct sutra_err *err)
{
	HIST_ENTRY *last = history_length ? history_get(history_base + history_length - 1) : NULL, **all;
	struct sutra_buf b;
	int rc;

	if (last && !strcmp(last->line, line))
		return 0;
	add_history(line);
	if (!editor->history)
		return 0;
	sutra_buf_init(&b, MAX_HISTORY_BYTES);
	all = history_list();
	for (size_t i = 0; all && all[i]; i++)
		sutra_buf_addf(&b, "%s\n", all[i]->line);
	rc = sutra_file_write(editor->history, sutra_buf_str(&b), b.len, 0600, err);
	sutra_buf_release(&b);
	return rc;
}

void sutra_lineedit_end(void)
{
	clear_history();
	sutra_strv_release(&offered);
	sigaction(SIGINT, &before, NULL);
	editor = NULL;
}

char *sutra_lineedit_colored(const char *on, const char *text, const char *off)
{
	return *on ? xasprintf("%c%s%c%s%c%s%c", RL_PROMPT_START_IGNORE, on, RL_PROMPT_END_IGNORE, text,
			       RL_PROMPT_START_IGNORE, off, RL_PROMPT_END_IGNORE) :
		     xstrdup(text);
}
