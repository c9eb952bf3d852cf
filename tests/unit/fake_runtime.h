/*
 * fake_runtime - for tests of deploy's decisions: a runtime in memory behind struct sutra_runtime, a clock
 * that moves only while somebody waits, health pages and a balancer's statistics that answer at once.
 *
 * A test gives a compose file; how a service behaves stands in its environment, so that a generation with a
 * mistake has it and the one before has not:
 *
 *	BEHAVES: "exits 3"	ends with 3 as soon as it is started
 *	"unhealthy"		its health page answers 503
 *	"slow 500"		healthy after 500 ms
 *	"refused"		the runtime cannot start it
 *	"cut off"		it is started, and then the runtime fails
 *	"lingers 9000"		at a restart the old process takes 9 s to end
 *	"in place"		at a restart the process restarts itself
 *	"deaf"			and does not do it
 *	"busy"			its balancer counts a session that never ends
 *	"unbalanced"		its balancer does not use it
 *
 * What is done to services is logged: "start db web; ready db; restart web; ready web; stop old".
 * The linker gives the library this clock and these answers (Makefile: --wrap).
 */
#ifndef SUTRA_TESTS_FAKE_RUNTIME_H
#define SUTRA_TESTS_FAKE_RUNTIME_H

#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deploy/apply.h"
#include "deploy/deployment.h"
#include "runtime/runtime.h"

struct fake_service {
	char name[40], group[40], program[40], health[120], published[60], behaves[60], container[16];
	bool running, one_shot, hangs, drained;
	pid_t pid;
	unsigned restarts;
	int last_exit;
	uint64_t limit_reached;
	uint64_t began_ns;	/* of this life */
	uint64_t next_ns;	/* of the next, once the old process has ended; 0: none is due */
};

struct fake {
	char state_dir[64];
	char log[2048];
	uint64_t now_ns;
	bool supervisor_gone, outgrown, prepare_fails, drains, unreachable;
	bool return_fails;	/* prepare does, on the way back */
	void (*on_wait)(void);	/* each time that the clock has moved; or NULL */
	const char *stop_at;	/* Ctrl-C comes with this entry of the log; or NULL */
	/* of a deploy */
	bool prune, no_return;
	uint64_t timeout_ns;
	volatile sig_atomic_t stop;
	/* what came of the last one */
	struct sutra_err err;
	struct sutra_awaited failed;
	char cause[80];		/* of its last step */
	size_t healed;
	bool touched;
};

extern struct fake fake;

/* Around each test. */
int fake_setup(void **state);
int fake_teardown(void **state);
const struct sutra_runtime *fake_runtime(void);
/* The compose file and a setting from now on. */
void fake_compose(const char *text);
void fake_setting(const char *key, const char *value);
/* A program beside the command. */
void fake_program(const char *name, const char *text);
/* What a deploy would do: "keep db (unchanged); replace web (K changed: 1 -> 2)"; or the error. Until the next call. */
const char *fake_plan(void);
/* As `sutra deploy`, without the way back. */
int fake_deploy(void);
/* The same with the way back: "failed web; return 1" in the log. */
enum sutra_applied fake_apply(void);
/* As `sutra rollback`; 0: to the generation before. */
enum sutra_applied fake_rollback(int number);
int fake_restart(const char *name);
/* The record: "1 complete: db web" or "0 unfinished: db", the generation first. Until the next call. */
const char *fake_record(void);
/* A service that was started; the test fails when there is none. */
struct fake_service *fake_service(const char *name);
uint64_t fake_ms(void);	/* since the test began */

/* A service with a health page, and what else it has: ", depends_on: [db]". */
#define SERVICE(name, rest) \
	"  " name ": { command: [cat], restart: always, expose: ['80'],\n" \
	"    healthcheck: { test: [CMD, curl, 'http://127.0.0.1:80/health'] }" rest " }\n"
/* Two replicas of web, which behave so, and the balancer in front of them, on a port. */
#define REPLICAS(rest, port) \
	"services:\n" SERVICE("web-1", rest) SERVICE("web-2", rest) \
	"  lb: { command: [haproxy], restart: always, depends_on: [web-1, web-2], ports: ['127.0.0.1:" port ":" port "'],\n" \
	"        healthcheck: { test: [CMD, curl, 'http://127.0.0.1:" port "/health'] } }\n"

/* What was done since the last such look. */
#define assert_did(want) \
	do { \
		assert_string_equal(fake.log, want); \
		fake.log[0] = '\0'; \
	} while (0)
#define assert_says(text) \
	do { \
		if (!strstr(fake.err.message, text)) \
			fail_msg("\"%s\" lacks \"%s\"", fake.err.message, text); \
	} while (0)

#endif
