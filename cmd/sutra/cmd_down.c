#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "deploy/audit.h"
#include "deploy/deploy.h"
#include "runtime/docker.h"
#include "base/lock.h"
#include "deploy/record.h"
#include "sutra/command.h"
#include "sutra/stackio.h"
#include "term/progress.h"

static bool volumes;
static const char *confirm;
static uint64_t lock_wait_ns = 1;

static const struct sutra_option rows[] = {
	{ 0, "volumes", SUTRA_OPT_FLAG, &volumes, NULL, "remove the stored data and the generations too", 0, 0, NULL },
	{ 0, "confirm", SUTRA_OPT_STRING, &confirm, "NAME", "the project's name, for --volumes without a question",
	  0, 0, NULL },
	{ 0, "lock-wait", SUTRA_OPT_DURATION, &lock_wait_ns, "TIME", "wait for another deploy to end", 0, 0,
	  NULL },
	{ 0 },
};

/* Removing data requires the name of the project, typed or as an option. */
static int may_remove(void)
{
	char answer[64] = "";

	if (!volumes || (confirm && !strcmp(confirm, "sutra")))
		return 0;
	if (confirm)
		return command_usage("--confirm is \"%s\", the project is \"sutra\"", confirm);
	if (!isatty(STDIN_FILENO))
		return command_usage("--volumes removes stored data; say --confirm=sutra");
	fputs("This removes the stored data. Type the project's name (sutra) to go on: ", stderr);
	if (!fgets(answer, sizeof(answer), stdin))
		return EXIT_USAGE;
	answer[strcspn(answer, "\n")] = '\0';
	return strcmp(answer, "sutra") ? command_usage("that was not the name; nothing was touched") : 0;
}

static void report(size_t n, int killed)
{
	if (common.json) {
		print_document(json_pack("{s:s, s:i, s:i, s:b}", "schema", "sutra.down/1", "services", (int)n,
					 "killed", killed, "volumes_removed", volumes));
		return;
	}
	if (!n && !killed)
		printf("nothing is deployed%s\n", volumes ? "; no stored data is left" : "");
	else
		printf("%zu services ended%s\n", n, volumes ? ", data removed" : ", data kept");
	if (killed)
		printf("%d processes had to be killed\n", killed);
}

/* Ends the services of the recorded runtime; without a record, those of every runtime. */
static int end_all(const char *state_dir, size_t *ended, int *killed, struct sutra_err *err)
{
	const struct sutra_runtime *rt = NULL;
	struct sutra_progress progress;
	struct sutra_record *record = NULL;
	size_t more = 0;
	int rc;

	sutra_progress_init(&progress, common.color, common.quiet);
	sutra_progress_busy(&progress, "ending the services");
	if (!sutra_record_load(state_dir, &record, NULL))
		rt = sutra_runtime_named(record->runtime);
	sutra_record_free(record);
	rc = sutra_deploy_down(rt ? rt : &sutra_native, state_dir, volumes, ended, killed, err);
	if (!rc && !rt && !sutra_docker.ping(NULL))
		rc = sutra_deploy_down(&sutra_docker, state_dir, volumes, &more, killed, err);
	*ended += more;
	sutra_progress_clear(&progress);
	return rc;
}

static int run(int n, char **argv)
{
	char *state_dir = sutra_state_dir();
	struct sutra_err err;
	size_t ended = 0;
	int code = may_remove(), killed = 0, lock = -1, rc = 0;

	if (!code && !sutra_is_dir(state_dir)) {	/* services of a lost folder may still run */
		rc = end_all(state_dir, &ended, &killed, &err);
	} else if (!code) {
		rc = sutra_lock_take(state_dir, "down", lock_wait_ns, NULL, &lock, &err);
		rc = rc ? rc : end_all(state_dir, &ended, &killed, &err);
		sutra_audit(state_dir, "down", rc ? err.message : "ok");
	}
	if (rc)
		code = command_fail(&err);
	else if (!code)
		report(ended, killed);
	if (lock >= 0)
		sutra_lock_release(state_dir, lock);
	sutra_free(state_dir);
	return code;
}

const struct command cmd_down = {
	.name = "down",
	.summary = "end the stack; stored data stays",
	.synopsis = "[--volumes [--confirm NAME]] [--lock-wait TIME]",
	.examples = "sutra down\tend every service\n"
		    "sutra down --volumes --confirm=sutra\tand remove the stored data\n",
	.options = rows,
	.formats = "table|json",
	.run = run,
};
