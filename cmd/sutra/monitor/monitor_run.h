/* monitor_run - the monitor's ways to run: on a terminal, as one frame, as a stream; where its
 * snapshots come from: the sampler, or a recording. */
#ifndef SUTRA_CMD_MONITOR_MONITOR_RUN_H
#define SUTRA_CMD_MONITOR_MONITOR_RUN_H

#include <stdio.h>

#include "sutra/monitor/monitor.h"
#include "probe/sampler.h"

struct monitor_options {
	uint64_t interval_ns;
	bool admin, ascii;
	int64_t count;		/* samples until the end; 0: no end */
	const char *color, *record, *replay;
	int rows, columns;	/* of a frame; 0: the terminal's */
	char *state_dir;
};

/* A recording: lines of JSON, read one after another. */
struct monitor_tape;
int monitor_tape_open(const char *path, struct monitor_tape **ret, struct sutra_err *err);
void monitor_tape_close(struct monitor_tape *t);
/* The next snapshot, a reference; NULL at the end. SUTRA_E_* names file and line. */
int monitor_tape_next(struct monitor_tape *t, struct sutra_snapshot **ret, struct sutra_err *err);
/* Opens a file to record to, and adds a snapshot; SUTRA_E_IO, SUTRA_E_FULL name the file. */
int monitor_record_open(const char *path, FILE **ret, struct sutra_err *err);
int monitor_record(FILE *f, const char *path, const struct sutra_snapshot *s, struct sutra_err *err);

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
