#include "sutra/modelbar.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "sutra/command.h"
#include "term/progress.h"

enum { BAR = 24 };

static struct sutra_progress bar;
static bool begun;
static const volatile sig_atomic_t *stop;
/* The state that is shown, and its start, for the rate. */
static char shown[96];
static uint64_t began_ns, began_at;

void modelbar_stop_on(const volatile sig_atomic_t *flag) { stop = flag; }

void modelbar_end(void)
{
	if (begun)
		sutra_progress_clear(&bar);
}

/* "[#####....]  31.2 MiB of 86.7 MiB, 36 %, 12.1 MiB/s" */
static void detail(char *out, size_t size, uint64_t done, uint64_t total)
{
	char have[32], all[32], rate[32], cells[BAR + 1];
	double seconds = (double)(sutra_clock_ns() - began_ns) / 1e9;
	unsigned filled = (unsigned)(BAR * done / total);

	memset(cells, '.', BAR);
	memset(cells, '#', filled < BAR ? filled : BAR);
	cells[BAR] = '\0';
	sutra_str_bytes(done, have, sizeof(have));
	sutra_str_bytes(total, all, sizeof(all));
	sutra_str_bytes(seconds > 0.5 ? (uint64_t)((double)(done - began_at) / seconds) : 0, rate, sizeof(rate));
	snprintf(out, size, "%s%s%s%s of %s, %llu %%%s%s%s", bar.term.tty ? "[" : "", bar.term.tty ? cells : "",
		 bar.term.tty ? "] " : "", have, all, (unsigned long long)(100 * done / total),
		 seconds > 0.5 ? ", " : "", seconds > 0.5 ? rate : "", seconds > 0.5 ? "/s" : "");
}

int modelbar_step(const char *what, uint64_t done, uint64_t total)
{
	char text[160];

	if (!begun)
		sutra_progress_init(&bar, common.color, common.quiet);
	begun = true;
	if (strncmp(shown, what, sizeof(shown) - 1) != 0 || done < began_at) {
		snprintf(shown, sizeof(shown), "%s", what);
		began_ns = sutra_clock_ns();
		began_at = done;
	}
	if (total)
		detail(text, sizeof(text), done < total ? done : total, total);
	sutra_progress_state(&bar, what, total ? text : NULL);
	return stop && *stop;
}
