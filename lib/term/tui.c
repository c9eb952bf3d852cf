#include "term/tui.h"

#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <ncurses.h>

#include "base/clock.h"

static const int deadly[] = { SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL };
static const int handled[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
enum { N_DEADLY = sizeof(deadly) / sizeof(*deadly), N_HANDLED = sizeof(handled) / sizeof(*handled) };

static struct {
	bool open, colors, registered;
	struct termios before;
	char restore[256];	/* sequences of terminfo that restore the terminal */
	size_t n_restore;
	sigset_t waiting_mask, old_mask;
	SCREEN *term;
} tui;

static volatile sig_atomic_t end_signal, resized;

static void on_handled(int sig)
{
	if (sig == SIGWINCH)
		resized = 1;
	else
		end_signal = sig;
}

/* Async-signal-safe: write and tcsetattr only, then the signal's own effect. */
static void on_deadly(int sig)
{
	if (tui.n_restore && write(STDOUT_FILENO, tui.restore, tui.n_restore) < 0)
		signal(sig, SIG_DFL);
	tcsetattr(STDIN_FILENO, TCSANOW, &tui.before);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void handle(const int *signals, size_t n, void (*handler)(int))
{
	struct sigaction a = { .sa_handler = handler };

	sigemptyset(&a.sa_mask);
	for (size_t i = 0; i < n; i++)
		sigaction(signals[i], &a, NULL);
}

bool sutra_tui_utf8(void)
{
	const char *set = setlocale(LC_CTYPE, "") ? nl_langinfo(CODESET) : "";
	struct sutra_term t;

	sutra_term_init(&t, stdout, "never");
	if (!strcmp(set, "UTF-8"))
		return true;
	/* The environment asks for UTF-8 in a language that is not installed. */
	return t.utf8 && setlocale(LC_CTYPE, "C.UTF-8") && !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static bool can(const char *name)
{
	const char *s = tigetstr(name);

	return s && s != (const char *)-1;
}

static void add_restore(const char *name)
{
	const char *s = can(name) ? tigetstr(name) : "";
	size_t n = strlen(s);

	if (tui.n_restore + n > sizeof(tui.restore))
		return;
	memcpy(tui.restore + tui.n_restore, s, n);
	tui.n_restore += n;
}

/* The foreground of each role among 256 colours, and among 8 or 16. */
static const struct {
	short many, few;
	attr_t attributes;
	attr_t without;		/* without colour */
} looks[SUTRA_ROLES_] = {
	[SUTRA_ROLE_PLAIN] = { -1, -1, 0, 0 },
	[SUTRA_ROLE_OK] = { 71, COLOR_GREEN, 0, 0 },
	[SUTRA_ROLE_WARN] = { 214, COLOR_YELLOW, 0, A_BOLD },
	[SUTRA_ROLE_BAD] = { 203, COLOR_RED, A_BOLD, A_BOLD | A_UNDERLINE },
	[SUTRA_ROLE_DIM] = { 244, -1, 0, A_DIM },
	[SUTRA_ROLE_HEAD] = { -1, -1, A_BOLD, A_BOLD },
	[SUTRA_ROLE_SELECT] = { -1, -1, A_REVERSE, A_REVERSE },
	[SUTRA_ROLE_TITLE] = { 80, COLOR_CYAN, A_BOLD, A_BOLD },
	[SUTRA_ROLE_PART1] = { 71, COLOR_GREEN, 0, A_BOLD },
	[SUTRA_ROLE_PART2] = { 74, COLOR_CYAN, 0, 0 },
	[SUTRA_ROLE_PART3] = { 179, COLOR_YELLOW, 0, A_DIM },
};

static void set_up_colors(bool color)
{
	tui.colors = color && has_colors() && start_color() == OK;
	if (!tui.colors)
		return;
	use_default_colors();
	for (int i = 1; i < SUTRA_ROLES_; i++)
		init_pair((short)i, COLORS >= 256 ? looks[i].many : looks[i].few, -1);
}

static attr_t look_of(enum sutra_role role)
{
	attr_t dim = role == SUTRA_ROLE_DIM && tui.colors && COLORS < 256 ? A_DIM : 0;

	return tui.colors ? looks[role].attributes | dim | (attr_t)COLOR_PAIR(role) : looks[role].without;
}

static void block_signals(void)
{
	sigset_t asked;

	sigemptyset(&asked);
	for (int i = 0; i < N_HANDLED; i++)
		sigaddset(&asked, handled[i]);
	pthread_sigmask(SIG_BLOCK, &asked, &tui.old_mask);
	tui.waiting_mask = tui.old_mask;
	for (int i = 0; i < N_HANDLED; i++)
		sigdelset(&tui.waiting_mask, handled[i]);
	handle(handled, N_HANDLED, on_handled);
	handle(deadly, N_DEADLY, on_deadly);
}

int sutra_tui_open(bool color, bool *ret_utf8, struct sutra_err *err)
{
	bool utf8 = sutra_tui_utf8();

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return sutra_fail(err, SUTRA_E_USAGE, "standard input or output is no terminal");
	unsetenv("LINES");
	unsetenv("COLUMNS");
	tcgetattr(STDIN_FILENO, &tui.before);
	end_signal = 0;
	block_signals();	/* before ncurses, which keeps existing handlers */
	tui.term = newterm(NULL, stdout, stdin);
	tui.open = tui.term != NULL;
	if (!tui.term || !can("cup")) {
		sutra_tui_close();
		return sutra_fail(err, SUTRA_E_USAGE, "TERM is \"%s\", a terminal that cannot be drawn on",
				  getenv("TERM") ? getenv("TERM") : "");
	}
	if (!tui.registered)
		atexit(sutra_tui_close);
	tui.registered = true;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	leaveok(stdscr, TRUE);
	set_up_colors(color);
	tui.n_restore = 0;
	add_restore("sgr0");
	add_restore("rmkx");
	add_restore("cnorm");
	add_restore("rmcup");
	if (ret_utf8)
		*ret_utf8 = utf8;
	return 0;
}

void sutra_tui_close(void)
{
	if (!tui.open)
		return;
	tui.open = false;
	if (!can("rmcup")) {	/* no alternate screen: erase the picture */
		erase();
		refresh();
	}
	endwin();
	delscreen(tui.term);
	tui.term = NULL;
	handle(deadly, N_DEADLY, SIG_DFL);
	pthread_sigmask(SIG_SETMASK, &tui.old_mask, NULL);
}

void sutra_tui_size(int *ret_rows, int *ret_columns)
{
	struct winsize w = { 0 };

	resized = 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || !w.ws_row || !w.ws_col) {
		w.ws_row = (unsigned short)LINES;
		w.ws_col = (unsigned short)COLS;
	}
	if (w.ws_row != LINES || w.ws_col != COLS) {
		resizeterm(w.ws_row, w.ws_col);
		clearok(stdscr, TRUE);
	}
	*ret_rows = w.ws_row;
	*ret_columns = w.ws_col;
}

void sutra_tui_show(const struct sutra_screen *s)
{
	for (int y = 0; y < s->rows && y < LINES; y++) {
		int x = 0;

		while (x < s->columns && x < COLS) {
			const struct sutra_cell *c = sutra_screen_cell(s, y, x);
			enum sutra_role role = (enum sutra_role)c->role;
			char run[1024];
			size_t n = 0;
			int from = x;

			for (; x < s->columns && x < COLS && n + sizeof(c->glyph) < sizeof(run); x++) {
				c = sutra_screen_cell(s, y, x);
				if (c->role != role)
					break;
				memcpy(run + n, c->glyph, strlen(c->glyph));
				n += strlen(c->glyph);
			}
			attrset((int)look_of(role));
			mvaddnstr(y, from, run, (int)n);
		}
	}
	refresh();
}

int sutra_tui_key(void)
{
	static const struct {
		int code;
		enum sutra_key key;
	} keys[] = {
		{ ERR, SUTRA_KEY_NONE },	   { KEY_RESIZE, SUTRA_KEY_NONE },   { KEY_UP, SUTRA_KEY_UP },
		{ KEY_DOWN, SUTRA_KEY_DOWN },	   { KEY_LEFT, SUTRA_KEY_LEFT },     { KEY_RIGHT, SUTRA_KEY_RIGHT },
		{ KEY_PPAGE, SUTRA_KEY_PAGE_UP },  { KEY_NPAGE, SUTRA_KEY_PAGE_DOWN }, { KEY_HOME, SUTRA_KEY_HOME },
		{ KEY_END, SUTRA_KEY_END },	   { KEY_BTAB, SUTRA_KEY_BACK_TAB }, { KEY_ENTER, SUTRA_KEY_ENTER },
		{ '\r', SUTRA_KEY_ENTER },	   { '\b', SUTRA_KEY_BACKSPACE },
		{ KEY_BACKSPACE, SUTRA_KEY_BACKSPACE },
	};
	int c = getch();

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i].code == c)
			return keys[i].key;
	return c < 256 ? c : SUTRA_KEY_NONE;
}

void sutra_tui_wait(int fd, uint64_t timeout_ns)
{
	struct pollfd p[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	struct timespec t = sutra_clock_timespec(timeout_ns);

	ppoll(p, fd >= 0 ? 2 : 1, &t, &tui.waiting_mask);
	if (p[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		end_signal = end_signal ? end_signal : SIGHUP;
}

int sutra_tui_signal(void) { return end_signal; }
