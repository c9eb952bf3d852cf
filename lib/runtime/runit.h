/*
 * runit - native supervision: service folders under runsvdir, controlled and read through
 * runit's own files (runsv(8): supervise/control, supervise/status, supervise/ok).
 *
 * <state>/native/services/<name>/	run, finish, log/run, environ (for sutra-run)
 *	restarts	counted by finish, except for stops that `planned` announces
 *	last-exit	"<exit code or -1> <signal> <limit_reached>" of the last run
 *	oom-kills	the group's count of kills for want of memory at the last end
 * <state>/native/log/<name>/current	its log, by svlogd with UTC stamps
 * <state>/native/runsvdir.pid		the supervisor
 */
#ifndef SUTRA_RUNTIME_RUNIT_H
#define SUTRA_RUNTIME_RUNIT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "runtime/runtime.h"
#include "runtime/unit.h"

enum { SUTRA_RUNIT_PATH = 1024 };

/* <state>/native/services/<name><rest> */
void sutra_runit_path(const char *state_dir, const char *name, const char *rest, char out[SUTRA_RUNIT_PATH]);
/* runsvdir, runsv, svlogd are there; else SUTRA_E_NOTFOUND naming the package. */
int sutra_runit_check(struct sutra_err *err);
/* Writes (or rewrites) a unit's folder; it does not start until sutra_runit_control 'u'. */
int sutra_runit_write(const char *state_dir, const struct sutra_unit *u, struct sutra_err *err);
/* Appends the names of the services that have a folder. */
void sutra_runit_services(const char *state_dir, struct sutra_strv *ret);
/* Starts runsvdir unless it lives; a stale pid file is replaced. */
int sutra_runit_start(const char *state_dir, struct sutra_err *err);
/* Whether the service's next end is planned: finish does not count it as a restart then. */
void sutra_runit_plan_end(const char *state_dir, const char *name, bool planned);
/* 'u' up (and stay up over a restart of the supervisor), 'd' down (and stay down), 't' TERM and
 * up again, 'h' HUP; 'd' and 't' plan the end. Waits up to 10 s for a new folder's runsv to appear. */
int sutra_runit_control(const char *state_dir, const char *name, char command, struct sutra_err *err);
void sutra_runit_read(const char *state_dir, const char *name, struct sutra_supervised *ret);
/* Takes a service down, waits grace_ns for its end, kills its remaining processes, and removes its
 * folder. A folder that is not there is no error. */
int sutra_runit_remove(const char *state_dir, const char *name, uint64_t grace_ns,
		       struct sutra_err *err);
/* Ends the processes of a service that its supervisor does not run. */
int sutra_runit_end_orphans(const char *state_dir, const char *name, uint64_t grace_ns, struct sutra_err *err);
/* Ends every service, then the supervisor and its children; returns when no process of the stack
 * is left (found by the environment variable SUTRA_STACK=<state dir>). *ret_killed: those that
 * needed SIGKILL. SUTRA_E_TIMEOUT names one that outlasts that, too. */
int sutra_runit_stop(const char *state_dir, uint64_t grace_ns, int *ret_killed, struct sutra_err *err);
bool sutra_runit_alive(const char *state_dir, pid_t *ret_pid);
/* Files that a balancer with 4,100 connections opens (common.cfg), the most that any service wants. */
enum { SUTRA_FILES_WANTED = 8220 };
/* The hard limit of open files of a process; UINT64_MAX where it cannot be read. */
uint64_t sutra_runit_files(pid_t pid);
/* Pids of the processes of this stack (or of one service of it), at most max; returns the number. */
size_t sutra_stack_pids(const char *state_dir, const char *service, pid_t *ret, size_t max);

#endif
