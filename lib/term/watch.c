#include "term/watch.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

static volatile sig_atomic_t stopped;

static void on_stop(int sig) { stopped = sig; }

static void on_resize(int sig) { (void)sig; }

static void handle(int sig, void (*handler)(int))
{
	struct sigaction a = { .sa_handler = handler };

	sigemptyset(&a.sa_mask);
	sigaction(sig, &a, NULL);
}

static unsigned rows_of(const struct sutra_term *term)
{
	struct winsize w;

	return ioctl(fileno(term->out), TIOCGWINSZ, &w) || !w.ws_row ? 24 : w.ws_row;
}

/* Overwrites the screen from its upper left corner, at most the rows of the terminal, so that nothing
 * scrolls. */
static void put_in_place(const struct sutra_term *term, const char *text)
{
	fputs("\033[H", term->out);
	for (unsigned row = 0, rows = rows_of(term); *text && row < rows; row++) {
		size_t n = strcspn(text, "\n");

		fprintf(term->out, "%s%.*s\033[K", row ? "\n" : "", (int)n, text);
		text += n + (text[n] == '\n');
	}
	fputs("\033[J", term->out);
}

static void show(const struct sutra_term *term, sutra_watch_frame frame, void *user, bool first)
{
	struct sutra_term inner = *term;
	char *text = NULL, when[SUTRA_RFC3339_LEN];
	size_t n = 0;

	inner.out = open_memstream(&text, &n);
	if (!inner.out)
		return;
	sutra_clock_rfc3339(sutra_clock_wall_us(), when);
	fprintf(inner.out, "%.19sZ\n\n", when);
	frame(&inner, sutra_term_columns(term), user);
	fclose(inner.out);
	if (term->tty)
		put_in_place(term, text);
	else
		fprintf(term->out, "%s%s", first ? "" : "\n", text);
	fflush(term->out);
	sutra_free(text);
}

int sutra_watch(const struct sutra_term *term, uint64_t period_ns, sutra_watch_frame frame, void *user)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	uint64_t next = sutra_clock_ns();

	stopped = 0;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		handle(ends[i], on_stop);
	handle(SIGWINCH, on_resize);
	if (term->tty)
		fputs("\033[?25l\033[?7l\033[H\033[J", term->out);
	for (bool first = true; !stopped && !ferror(term->out); first = false) {
		uint64_t now;

		show(term, frame, user, first);
		next += period_ns;
		now = sutra_clock_ns();
		next = next < now ? now + period_ns : next;
		while (!stopped && (now = sutra_clock_ns()) < next) {
			struct timespec t = sutra_clock_timespec(next - now);

			if (nanosleep(&t, NULL) && !stopped)
				break;	/* the terminal was resized: draw at once */
		}
	}
	if (term->tty)
		fputs("\033[?7h\033[?25h\n", term->out);
	fflush(term->out);
	return stopped;
}
