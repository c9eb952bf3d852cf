/* monitor_run - the ways to run the monitor: on a terminal, as one frame, as a stream of samples. */
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

/* Where snapshots come from, and what is kept of them. */
struct monitor_source {
	struct sutra_sampler *sampler;	/* NULL: a recording */
	struct sutra_recording *recording;
	FILE *record;			/* or NULL */
	struct sutra_trend *trend;
	struct sutra_events events;
};
/* src is all zeros, and is closed also after an error. */
int monitor_source_open(const struct monitor_options *o, struct monitor_source *src, struct sutra_err *err);
void monitor_source_close(struct monitor_source *src);
/* Adds a snapshot to the trend, the events and the recording. */
int monitor_source_keep(const struct monitor_options *o, struct monitor_source *src, const struct sutra_snapshot *s,
			struct sutra_err *err);

/* Each returns an exit code of the command. */
int monitor_live(const struct monitor_options *o);
int monitor_once(const struct monitor_options *o, bool json);
int monitor_stream(const struct monitor_options *o);

/* monitor_admin.c: an action on a thread of its own. */
struct monitor_job;
/* Restarts the service, or drains it (a drained one is made ready); NULL: no thread. state_dir is
 * borrowed; wake_fd is written to at the end. */
struct monitor_job *monitor_job_start(const char *state_dir, const char *service, enum monitor_action action,
				      int wake_fd);
/* Whether it is done; then its outcome is in out, and the job is freed. */
bool monitor_job_done(struct monitor_job *j, char *out, size_t size);
void monitor_job_wait(struct monitor_job *j);	/* for its end, and frees it; NULL is fine */

#endif
