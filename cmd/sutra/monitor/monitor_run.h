/* monitor_run - the monitor's ways to run: on a terminal, as one frame, as a stream; where its
 * snapshots come from: the sampler, or a recording. */
#ifndef SUTRA_CMD_MONITOR_MONITOR_RUN_H
#define SUTRA_CMD_MONITOR_MONITOR_RUN_H

#include <stdio.h>

#include "sutra/monitor/monitor.h"
#include "probe/recording.h"
#include "probe/sampler.h"

struct monitor_options {
	uint64_t interval_ns;
	bool admin, ascii;
	int64_t count;		/* samples until the end; 0: no end */
	const char *color, *record, *replay;
	int rows, columns;	/* of a frame; 0: the terminal's */
	char *state_dir;
};

/* Each returns an exit code of the command. */
int monitor_live(const struct monitor_options *o);
int monitor_once(const struct monitor_options *o, bool json);
int monitor_stream(const struct monitor_options *o);

/* monitor_admin.c: one action at a time, on a thread of its own. */
struct monitor_job;
/* Starts restarting `service`, or draining it (if it is drained: making it ready). */
struct monitor_job *monitor_job_start(const char *state_dir, const char *service, enum monitor_action action,
				      int wake_fd);
/* Whether it is done; then its outcome in words, and the job is freed. */
bool monitor_job_done(struct monitor_job *j, char *out, size_t size);
void monitor_job_wait(struct monitor_job *j);	/* for its end; NULL is fine */

#endif
