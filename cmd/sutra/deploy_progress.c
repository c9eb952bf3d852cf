#include "sutra/deploy_progress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "base/proc.h"
#include "base/shown.h"
#include "deploy/audit.h"
#include "deploy/credentials.h"
#include "deploy/deployment.h"
#include "runtime/docker.h"
#include "deploy/generation.h"
#include "hub/modelstore.h"
#include "deploy/record.h"
#include "sutra/command.h"
#include "probe/gateway.h"
#include "probe/logtail.h"
#include "probe/notes.h"
#include "probe/health.h"
#include "sutra/stackio.h"
#include "term/table.h"

static const uint64_t EXPLAIN_NS = 1000000000u;

static void say_step(const struct sutra_step *s)
{
	if (common.quiet)
		return;
	sutra_shown_printf(stderr, "  %-9s %s (%s%s%s%s%s)\n", sutra_action_name(s->action), s->name, s->cause,
		s->old_value || s->new_value ? ": " : "", s->old_value ? s->old_value : "",
		s->old_value && s->new_value ? " -> " : "", s->new_value ? s->new_value : "");
}

static void say_ready(const struct sutra_awaited *a)
{
	if (!common.quiet)
		sutra_shown_printf(stderr, "  healthy   %s after %.1f s\n", a->unit->name, a->took_s);
}

int deploying_credentials(struct sutra_config *config, const char *state_dir, bool only_read, struct sutra_err *err)
{
	bool made = false;
	int rc = sutra_credentials_settle(state_dir, config, only_read, &made, err);

	if (!rc && made)
		deploying_show_credentials(config, state_dir);
	return rc;
}

void deploying_show_credentials(struct sutra_config *config, const char *state_dir)
{
	sutra_shown_printf(stderr,
		"note: the statistics at http://127.0.0.1:%s/stats ask for user %s, password %s; shown this once, kept in "
		"%s/haproxy-stats.json\n",
		sutra_config_get(config, "SUTRA_PORT_8404"), sutra_config_get(config, "HAPROXY_STATS_USER"),
		sutra_config_get(config, "HAPROXY_STATS_PASSWORD"), state_dir);
}

/* Prints the lines of a log that are not older than since (RFC 3339); returns their number. */
static size_t print_log(const char *tail, const char *since)
{
	size_t printed = 0;

	for (const char *line = tail; *line;) {
		size_t n = strcspn(line, "\n"), len = n;
		const char *text = sutra_logline_message(line, &len);

		if (strncmp(line, since, SUTRA_LOGLINE_STAMP) >= 0) {
			sutra_shown_printf(stderr, "    %.*s %.*s\n", n > SUTRA_LOGLINE_STAMP ? SUTRA_LOGLINE_STAMP : 0, line, (int)len, text);
			printed++;
		}
		line += n + (line[n] == '\n');
	}
	return printed;
}

static void explain_causes(const char *state_dir)
{
	struct sutra_deployment *d;
	struct sutra_probe *p;
	struct sutra_term term;

	if (sutra_deployment_load(state_dir, &d, NULL))
		return;
	p = xcalloc(d->n + 1, sizeof(*p));
	sutra_term_init(&term, stderr, "never");
	if (!sutra_health_probe(d, EXPLAIN_NS, p, NULL))
		print_causes(stderr, &term, p, d->n);
	sutra_free(p);
	sutra_deployment_free(d);
}

/* Prints the evidence of a failed wait: causes, probe, reply, exit and the log since the deploy began, else
 * the end of the log. */
static void print_evidence(const struct sutra_runtime *rt, const char *state_dir, const struct sutra_awaited *a,
			   const char *since)
{
	char *tail, words[96];

	explain_causes(state_dir);
	tail = rt->log_tail(state_dir, a->unit->name, 20);
	sutra_shown_printf(stderr, "  service   %s\n  reason    %s\n", a->unit->name, a->reason ? a->reason : "starting");
	if (a->unit->health_url)
		sutra_shown_printf(stderr, "  probe     %s\n", a->probed);
	if (a->last_reply[0])
		sutra_shown_printf(stderr, "  reply     %s\n", a->last_reply);
	if (a->now.last_exit >= 0) {
		sutra_proc_end(a->now.last_exit, a->now.limit_reached, words, sizeof(words));
		sutra_shown_printf(stderr, "  ended     %s\n", words);
	}
	sutra_shown_printf(stderr, "  the end of its log:\n");
	if (!print_log(tail, since) && *tail) {
		sutra_shown_printf(stderr, "    (nothing since this began; before it:)\n");
		print_log(tail, "");
	}
	sutra_shown_printf(stderr, "  next      sutra logs %s; sutra restart %s\n", a->unit->name, a->unit->name);
	sutra_free(tail);
}

/* Notes the settings that only this environment holds: a deploy without it changes them back. */
static void print_transient(struct sutra_config *config)
{
	SUTRA_EACH_SETTING (s, SUTRA_OF_OPERATOR) {
		const char *now = sutra_config_from(config, s->name, SUTRA_FROM_ENVIRONMENT), *else_ = NULL;

		for (int from = SUTRA_FROM_ENVIRONMENT - 1; !else_ && from >= SUTRA_FROM_BUILTIN; from--)
			else_ = sutra_config_from(config, s->name, (enum sutra_source)from);
		if (!now || !*now || s->type == SUTRA_SET_SECRET || (else_ && !strcmp(now, else_)) ||
		    !strcmp(s->name, "SUTRA_STATE_DIR") || !strcmp(s->name, "SUTRA_RUNTIME"))
			continue;
		sutra_shown_printf(stderr, "note: %s=%s comes from the environment: a deploy without it changes it back; "
				"compose/.env keeps it\n", s->name, now);
	}
}

static void print_matryoshka_note(struct sutra_config *config)
{
	const struct sutra_known_model *m = sutra_model_known(sutra_config_get(config, "SUTRA_MODEL"));
	int64_t dimension = 0;

	sutra_str_int(sutra_config_get(config, "MATRYOSHKA_DIM"), 1, 1 << 16, &dimension);
	if (!m || m->matryoshka_trained || dimension == m->dimension || common.quiet)
		return;
	for (const struct sutra_model_cost *c = m->costs; c->dimension; c++)
		if (c->dimension == dimension)
			sutra_shown_printf(stderr,
				"note: %s was not trained for Matryoshka; measured at %d of %d dimensions: "
				"rank correlation %.3f, top-10 overlap %.0f %%\n",
				m->name, c->dimension, m->dimension, c->rank_correlation,
				100 * c->top10_overlap);
}

static void print_notes(const struct sutra_deployment *d)
{
	json_t *notes = sutra_notes(d), *note;
	size_t i;

	json_array_foreach (notes, i, note) {
		sutra_shown_printf(stderr, "note: %s\n", json_string_value(note));
	}
	json_decref(notes);
}

static const char *run_state_name(const struct sutra_deployed *s)
{
	static const char *const names[] = { "unknown", "absent", "running", "exited", "stopped", "done" };

	return names[s->state];
}

static json_t *deployment_document(const struct sutra_deployment *d)
{
	json_t *o = json_object(), *list = json_array();

	for (size_t i = 0; i < d->n; i++) {
		const struct sutra_deployed *s = &d->services[i];
		json_t *e = json_object();

		json_object_set_new(e, "name", json_string(s->unit->name));
		json_object_set_new(e, "state", json_string(run_state_name(s)));
		json_object_set_new(e, "program", json_string(s->unit->program));
		json_object_set_new(e, "address", json_string(s->address));
		json_object_set_new(e, "published", s->unit->published ? json_string(s->unit->published) : json_null());
		json_object_set_new(e, "pid", json_integer(s->now.pid));
		json_array_append_new(list, e);
	}
	json_object_set_new(o, "schema", json_string("sutra.deploy/1"));
	json_object_set_new(o, "edition", json_string(d->record->edition));
	json_object_set_new(o, "runtime", json_string(d->record->runtime));
	json_object_set_new(o, "dimension", json_integer(d->record->dimension));
	json_object_set_new(o, "services", list);
	return o;
}

static void print_services(const struct sutra_deployment *d)
{
	static const struct sutra_column columns[] = { { "SERVICE", false, 12 }, { "STATE", false, 0 },
						       { "ADDRESS", false, 0 }, { "PUBLISHED", false, 0 },
						       { "PID", true, 0 }, { NULL, false, 0 } };
	struct sutra_table *t = sutra_table_new(columns);
	struct sutra_term term;

	for (size_t i = 0; i < d->n; i++) {
		const struct sutra_deployed *s = &d->services[i];

		sutra_table_cell(t, SUTRA_ROLE_PLAIN, s->unit->name);
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, run_state_name(s));
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, s->address);
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, s->unit->published ? s->unit->published : "-");
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%ld", (long)s->now.pid);
	}
	sutra_term_init(&term, stdout, common.color);
	sutra_table_print(t, &term, 0);
	sutra_table_free(t);
}

static const char *published_port(const struct sutra_deployed *s)
{
	const char *colon = s && s->unit->published ? strrchr(s->unit->published, ':') : NULL;

	return colon ? colon + 1 : "8888";
}

static void print_result(const char *state_dir, const struct sutra_plan *plan, size_t healed, double took_s)
{
	struct sutra_deployment *d;
	json_t *o;

	if (sutra_deployment_load(state_dir, &d, NULL))
		return;
	if (!common.quiet)
		print_notes(d);
	if (common.json) {
		o = deployment_document(d);
		json_object_set_new(o, "changes", json_integer((json_int_t)plan->n_changes));
		json_object_set_new(o, "restarted", json_integer((json_int_t)healed));
		json_object_set_new(o, "took_seconds", json_real(took_s));
		print_document(o);
	} else if (common.quiet) {
		;	/* the exit code is the result */
	} else if (!plan->n_changes && healed) {
		printf("%zu of %zu services restarted, nothing else to do\n", healed, plan->n - plan->n_left);
	} else if (!plan->n_changes) {
		printf("nothing to do: %zu services unchanged\n", plan->n - plan->n_left);
	} else {
		print_services(d);
		printf("\nready in %.1f s. Try next:\n"
		       "  curl -s localhost:%s/embed -d '{\"texts\":[\"The Eiffel Tower is in Paris\"]}'\n"
		       "  ./sutra status\n"
		       "  ./sutra validate-scaling --phases 0,1,2\n",
		       took_s, published_port(sutra_gateway_service(d)));
	}
	sutra_deployment_free(d);
}

/* Lists the services of the previous edition that still run. */
static void print_left(const struct sutra_plan *plan)
{
	const char *separator = "left running: ";

	if (!plan->n_left || common.quiet)
		return;
	for (size_t i = 0; i < plan->n; i++) {
		if (plan->steps[i].action != SUTRA_LEAVE)
			continue;
		sutra_shown_printf(stderr, "%s%s", separator, plan->steps[i].name);
		separator = ", ";
	}
	fputs(" (not in this edition; sutra deploy --prune stops them)\n", stderr);
}

static void say_failed(const struct sutra_deploy *d, const char *since, const struct sutra_err *err)
{
	command_fail(err);
	if (d->failed.unit)
		print_evidence(d->desired->rt, d->state_dir, &d->failed, since);
}

static void say_return(int generation)
{
	sutra_shown_printf(stderr, "going back to generation %d, the last that came to its end\n", generation);
}

int deploying_run(struct sutra_apply *a, struct sutra_err *err)
{
	uint64_t began = sutra_clock_ns();
	const struct sutra_deploy *d = &a->deploy;

	a->deploy.stop = &command_stopped;
	a->deploy.step = say_step;
	a->deploy.ready = say_ready;
	a->failed = say_failed;
	a->returns = say_return;
	switch (sutra_apply(a, err)) {
	case SUTRA_APPLIED:
		print_matryoshka_note(d->config);
		print_result(d->state_dir, d->plan, d->healed, (double)(sutra_clock_ns() - began) / 1e9);
		print_left(d->plan);
		if ((d->plan->n_changes || d->plan->unfinished) && !common.quiet)
			print_transient(d->config);
		return EXIT_YES;
	case SUTRA_APPLY_STOPPED:
		fputs("  stopped here; sutra deploy goes on, sutra down ends what runs\n", stderr);
		return 128 + (command_stopped ? command_stopped : SIGINT);
	case SUTRA_APPLY_RETURNED:
		sutra_shown_printf(stderr, "generation %d runs again; what failed is above\n", a->returned_to);
		return EXIT_ROLLED_BACK;
	case SUTRA_APPLY_STUCK:
		fputs("  the way back failed too; sutra status shows what runs\n", stderr);
		break;
	case SUTRA_APPLY_FAILED:
		break;
	}
	return sutra_err_exit(err->code);
}
