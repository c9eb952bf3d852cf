/*
 * audit - <state>/audit.log: a line for each command that changed the stack, and its reader.
 *
 *	2026-11-21T09:30:44.000004Z uid=0 pid=71 command="deploy" outcome="ok"
 *
 * Lines are only ever added, each by one write; the outcome is a JSON string.
 */
#ifndef SUTRA_DEPLOY_AUDIT_H
#define SUTRA_DEPLOY_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Adds a line. An error is ignored: an audit must not stop the work. */
void sutra_audit(const char *state_dir, const char *command, const char *outcome);

struct sutra_audit_line {
	int64_t at_us;
	long uid;
	char command[64], outcome[160];	/* cut to fit */
};

/* Parses a line of n bytes without its end; false: it is no line of an audit. */
bool sutra_audit_parse(const char *line, size_t n, struct sutra_audit_line *ret);

/* The position of a reader; all zeros before the first call. */
struct sutra_audit_reader {
	off_t at;
	ino_t inode;
	bool begun;
};

/* Reads what was added since the last call, oldest first; the first call, and one after the file was replaced,
 * reads the last lines. At most `most` lines, the newest; others are left out. Returns how many. */
size_t sutra_audit_read(struct sutra_audit_reader *r, const char *state_dir, struct sutra_audit_line *ret,
			size_t most);

#endif
