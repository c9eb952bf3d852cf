#include "term/progress.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

static const uint64_t FIRST_DRAW_NS = 500000000, REDRAW_NS = 100000000, HEARTBEAT_NS = 10000000000u;

void sutra_progress_init(struct sutra_progress *p, const char *color_flag, bool quiet)
{
	memset(p, 0, sizeof(*p));
	sutra_term_init(&p->term, stderr, color_flag);
	p->quiet = quiet;
}

void sutra_progress_clear(struct sutra_progress *p)
{
	if (p->busy) {
		pthread_mutex_lock(&p->lock);
		p->done = true;
		pthread_cond_signal(&p->ended);
		pthread_mutex_unlock(&p->lock);
		pthread_join(p->thread, NULL);
		p->busy = false;
		pthread_cond_destroy(&p->ended);
		pthread_mutex_destroy(&p->lock);
	}
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}

static void draw(struct sutra_progress *p, const char *detail, uint64_t now)
{
	struct sutra_buf line, fitted;
	char took[32];

	sutra_buf_init(&line, 4096);
	sutra_buf_init(&fitted, 4096);
	sutra_clock_human((double)(now - p->started_ns) / 1e9, took, sizeof(took));
	sutra_buf_addf(&line, "%s%s%s", p->state, detail ? "  " : "", detail ? detail : "");
	if (now - p->started_ns > REDRAW_NS)
		sutra_buf_addf(&line, "  %s", took);
	if (p->term.tty) {
		sutra_text_fit(&fitted, sutra_buf_str(&line), sutra_term_columns(&p->term) - 1,
			       p->term.utf8);
		fprintf(stderr, "\r\033[K%s%s%s", sutra_term_on(&p->term, SUTRA_ROLE_DIM),
			sutra_buf_str(&fitted), sutra_term_off(&p->term, SUTRA_ROLE_DIM));
		fflush(stderr);
		p->drawn = true;
	} else {
		sutra_text_fit(&fitted, sutra_buf_str(&line), 0, p->term.utf8);
		fprintf(stderr, "%s\n", sutra_buf_str(&fitted));
	}
	p->shown_ns = now;
	sutra_buf_release(&fitted);
	sutra_buf_release(&line);
}

void sutra_progress_state(struct sutra_progress *p, const char *state, const char *detail)
{
	uint64_t now = sutra_clock_ns();
	bool fresh = strncmp(p->state, state, sizeof(p->state) - 1) != 0;

	if (p->quiet)
		return;
	if (fresh) {
		snprintf(p->state, sizeof(p->state), "%s", state);
		p->started_ns = now;
	}
	if (fresh || now - p->shown_ns >= (p->term.tty ? REDRAW_NS : HEARTBEAT_NS))
		draw(p, detail, now);
}

static void *keep_drawing(void *arg)
{
	struct sutra_progress *p = arg;
	uint64_t next = p->started_ns + FIRST_DRAW_NS;

	pthread_mutex_lock(&p->lock);
	while (!p->done) {
		struct timespec t = sutra_clock_timespec(next);

		if (pthread_cond_timedwait(&p->ended, &p->lock, &t) != ETIMEDOUT)
			continue;
		draw(p, NULL, sutra_clock_ns());
		next = p->shown_ns + (p->term.tty ? REDRAW_NS : HEARTBEAT_NS);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

void sutra_progress_busy(struct sutra_progress *p, const char *state)
{
	if (p->quiet)
		return;
	snprintf(p->state, sizeof(p->state), "%s", state);
	p->started_ns = sutra_clock_ns();
	p->done = false;
	pthread_mutex_init(&p->lock, NULL);
	sutra_clock_cond_init(&p->ended);
	p->busy = !pthread_create(&p->thread, NULL, keep_drawing, p);
}
