#include "sutra/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/shown.h"

extern const struct command cmd_advise, cmd_bugreport, cmd_build, cmd_cache, cmd_cache_stats,
	cmd_completion, cmd_config, cmd_deploy, cmd_down, cmd_help, cmd_load, cmd_logs, cmd_manifest,
	cmd_model, cmd_monitor, cmd_production_monitor, cmd_report, cmd_restart, cmd_rollback,
	cmd_shell, cmd_status, cmd_validate, cmd_validate_scaling, cmd_version;

const struct command *const commands[] = {
	&cmd_deploy, &cmd_rollback, &cmd_build, &cmd_down, &cmd_restart, &cmd_status, &cmd_monitor,
	&cmd_production_monitor, &cmd_logs, &cmd_cache_stats, &cmd_cache, &cmd_validate_scaling,
	&cmd_validate, &cmd_load, &cmd_report, &cmd_advise, &cmd_model, &cmd_manifest, &cmd_config,
	&cmd_shell, &cmd_completion, &cmd_bugreport, &cmd_version, &cmd_help,
	NULL,
};

struct common common = { .output = "table", .color = "auto" };

static const char *running = "";

int command_fail(const struct sutra_err *err)
{
	sutra_shown_printf(stderr, "sutra%s%s: %s\n", *running ? " " : "", running, err->message);
	if (err->hint[0])
		sutra_shown_printf(stderr, "  hint: %s\n", err->hint);
	return sutra_err_exit(err->code);
}

int command_usage(const char *fmt, ...)
{
	struct sutra_buf text;
	va_list ap;

	sutra_buf_init(&text, 1 << 20);
	va_start(ap, fmt);
	sutra_buf_vaddf(&text, fmt, ap);
	va_end(ap);
	sutra_shown_printf(stderr, "sutra%s%s: %s", *running ? " " : "", running, sutra_buf_str(&text));
	sutra_buf_release(&text);
	fprintf(stderr, "\n  hint: sutra help%s%s\n", *running ? " " : "", running);
	return EXIT_USAGE;
}

int command_formats(const char *allowed)
{
	size_t n = strlen(common.output);

	for (const char *at = allowed, *bar; at; at = bar ? bar + 1 : NULL) {
		bar = strchr(at, '|');
		if (!strncmp(at, common.output, n) && (at[n] == '|' || !at[n]))
			return 0;
	}
	return command_usage("-o %s is not printed here; allowed are %s", common.output, allowed);
}

void command_set_running(const char *name) { running = name; }
