#include "sutra/apply.h"

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
#include "sutra/stackio.h"

volatile int apply_stopped;

static void on_signal(int sig)
{
	if (apply_stopped)
		_exit(128 + sig);
	apply_stopped = sig;
}

void apply_catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

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

/* embedding-ha's statistics have credentials; made here, they are shown this once. */
int apply_credentials(struct sutra_config *config, const char *state_dir, bool only_read, struct sutra_err *err)
{
	bool made;
	int rc;

	if (strcmp(sutra_config_get(config, "SUTRA_EDITION"), "enterprise") != 0)
		return 0;
	rc = sutra_credentials_settle(state_dir, config, only_read, &made, err);
	if (!rc && made)
		sutra_shown_printf(stderr,
			"note: the statistics at http://127.0.0.1:%s/stats ask for user %s, password %s; shown this once, kept in "
			"%s/haproxy-stats.json\n",
			sutra_config_get(config, "SUTRA_PORT_8404"), sutra_config_get(config, "HAPROXY_STATS_USER"),
			sutra_config_get(config, "HAPROXY_STATS_PASSWORD"), state_dir);
	return rc;
}

/* Lines of a log from a moment on (RFC 3339); how many. */
static size_t print_log(const char *tail, const char *since)
{
	size_t told = 0;

	for (const char *line = tail; *line;) {
		size_t n = strcspn(line, "\n"), len = n;
		const char *text = sutra_logline_message(line, &len);

		if (strncmp(line, since, SUTRA_LOGLINE_STAMP) >= 0) {
			sutra_shown_printf(stderr, "    %.*s %.*s\n", n > SUTRA_LOGLINE_STAMP ? SUTRA_LOGLINE_STAMP : 0, line, (int)len, text);
			told++;
		}
		line += n + (line[n] == '\n');
	}
	return told;
}

/* All the evidence of a failed wait (OPERATORS: "failure comes with its evidence"); of the log what
 * was said since the deploy began, if anything was. */
static void print_evidence(const struct sutra_runtime *rt, const char *state_dir, const struct sutra_awaited *a,
			   const char *since)
{
	char *tail, words[96];

	if (!a->unit)
		return;
	explain_causes(state_dir);
	tail = rt->log_tail(state_dir, a->unit->name, 20);
	sutra_shown_printf(stderr, "  service   %s\n  reason    %s\n", a->unit->name, a->reason ? a->reason : "starting");
	if (a->unit->health_url)
		sutra_shown_printf(stderr, "  probe     %s\n", a->probed);
	if (a->last_reply[0])
		sutra_shown_printf(stderr, "  reply     %s\n", a->last_reply);
	if (a->last_exit >= 0) {
		sutra_proc_end(a->last_exit, a->limit_reached, words, sizeof(words));
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

/* Settings that only this environment holds: without it the next deploy changes them back. */
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

static void print_result(const char *state_dir, const struct sutra_plan *plan, size_t healed, double took_s)
{
	struct sutra_deployment *d;
	json_t *o;

	if (sutra_deployment_load(state_dir, &d, NULL))
		return;
	if (!common.quiet)
		print_notes(d);
	if (common.json) {
		o = deployment_document(d, "sutra.deploy/1");
		json_object_set_new(o, "changes", json_integer((json_int_t)plan->n_changes));
		json_object_set_new(o, "restarted", json_integer((json_int_t)healed));
		json_object_set_new(o, "took_seconds", json_real(took_s));
		print_document(o);
	} else if (common.quiet) {
		;	/* the exit code tells */
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

/* What is left of the edition before, once more at the end. */
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

int apply_check_runtime(const struct sutra_record *record, const struct sutra_runtime *rt, struct sutra_err *err)
{
	const struct sutra_runtime *deployed = sutra_runtime_named(record ? record->runtime : NULL);

	if (!deployed || deployed == rt)
		return 0;
	sutra_fail(err, SUTRA_E_SETTING, "the stack runs on the runtime %s, not %s", deployed->name, rt->name);
	return sutra_hint(err, "sutra down ends it first");
}

int apply_open_generation(const struct sutra_generation *g, const char *state_dir, struct sutra_config **config,
			  struct sutra_desired *desired, struct sutra_plan *plan, struct sutra_err *err)
{
	const struct sutra_runtime *rt =
		sutra_runtime_named(json_string_value(json_object_get(g->doc, "runtime")));
	const struct sutra_parts parts = { g->dir, g->program_dir, json_object_get(g->doc, "images") };
	struct sutra_record *record = NULL;
	int rc = rt ? 0 : sutra_fail(err, SUTRA_E_CORRUPT, "generation %d has no runtime", g->number);

	rc = rc ? rc : sutra_record_load(state_dir, &record, err);
	rc = rc ? rc : apply_check_runtime(record, rt, err);
	rc = rc ? rc : sutra_config_restore(json_object_get(g->doc, "settings"), config, err);
	rc = rc ? rc : apply_credentials(*config, state_dir, false, err);
	rc = rc ? rc : sutra_desired_make(rt, *config, &parts, state_dir, desired, err);
	if (!rc && rt == &sutra_docker && (rc = sutra_docker_images(desired->units, desired->n, err)))
		sutra_hint(err, "sutra rollback --list shows other generations");
	rc = rc ? rc : sutra_plan_make(rt, desired->units, desired->n, record, state_dir, true, plan, err);
	sutra_record_free(record);
	return rc;
}

/* The generation that the record calls its last good one; 0: none. */
static int last_good(const char *state_dir)
{
	struct sutra_record *r = NULL;
	int number = 0;

	if (!sutra_record_load(state_dir, &r, NULL))
		number = (int)r->generation;
	sutra_record_free(r);
	return number;
}

/* What ran beside that generation before the deploy that failed is left, as it was. */
static void leave_earlier(struct sutra_plan *plan, const struct sutra_plan *failed)
{
	for (size_t i = 0; i < plan->n; i++) {
		for (size_t k = 0; plan->steps[i].action == SUTRA_STOP && k < failed->n; k++) {
			if (!failed->steps[k].old_hash || strcmp(failed->steps[k].name, plan->steps[i].name) != 0)
				continue;
			plan->steps[i].action = SUTRA_LEAVE;
			plan->n_left++;
			plan->n_changes--;
		}
	}
}

/* Brings the last good generation back; EXIT_ROLLED_BACK, or the failure's own code. */
static int take_back(const struct apply *a, int number, int code)
{
	struct sutra_awaited failed = { .last_exit = -1 };
	struct sutra_deploy_events events = { .step = say_step, .ready = say_ready, .failed = &failed };
	struct sutra_generation g = { 0 };
	struct sutra_config *config = NULL;
	struct sutra_desired desired = { 0 };
	struct sutra_plan plan = { 0 };
	char since[SUTRA_RFC3339_LEN];
	struct sutra_err err;
	int rc;

	sutra_clock_rfc3339(sutra_clock_wall_us(), since);
	sutra_shown_printf(stderr, "going back to generation %d, the last that came to its end\n", number);
	rc = sutra_generation_open(a->state_dir, number, &g, &err);
	rc = rc ? rc : apply_open_generation(&g, a->state_dir, &config, &desired, &plan, &err);
	leave_earlier(&plan, a->plan);
	plan.unfinished = true;
	rc = rc ? rc : sutra_deploy_apply(config, &desired, &plan, a->state_dir, number, a->timeout_ns, &apply_stopped,
					  &events, &err);
	sutra_audit(a->state_dir, "return", rc ? err.message : "ok");
	if (rc) {
		command_fail(&err);
		print_evidence(a->desired->rt, a->state_dir, &failed, since);
		fputs("  the way back failed too; sutra status shows what runs\n", stderr);
	} else {
		sutra_shown_printf(stderr, "generation %d runs again; what failed is above\n", number);
		code = EXIT_ROLLED_BACK;
	}
	sutra_plan_release(&plan);
	sutra_desired_release(&desired);
	sutra_config_free(config);
	sutra_generation_release(&g);
	return code;
}

int apply_plan(const struct apply *a, struct sutra_err *err)
{
	struct sutra_awaited failed = { .last_exit = -1 };
	struct sutra_deploy_events events = { .step = say_step, .ready = say_ready, .failed = &failed };
	uint64_t began = sutra_clock_ns();
	int code, number = last_good(a->state_dir), rc = 0;
	bool changes = a->plan->n_changes || a->plan->unfinished;
	char since[SUTRA_RFC3339_LEN];

	sutra_clock_rfc3339(sutra_clock_wall_us(), since);
	if (changes)
		rc = sutra_generation_prepare(a->state_dir, a->config, a->desired, a->data_dir, a->cause, err);
	rc = rc ? rc : sutra_deploy_apply(a->config, a->desired, a->plan, a->state_dir, 0, a->timeout_ns, &apply_stopped,
					  &events, err);
	if (changes)
		sutra_audit(a->state_dir, a->command, rc ? err->message : "ok");
	if (!rc) {
		print_matryoshka_note(a->config);
		print_result(a->state_dir, a->plan, events.healed, (double)(sutra_clock_ns() - began) / 1e9);
		print_left(a->plan);
		if (changes && !common.quiet)
			print_transient(a->config);
		return EXIT_YES;
	}
	code = command_fail(err);
	print_evidence(a->desired->rt, a->state_dir, &failed, since);
	if (rc == SUTRA_E_INTERRUPTED || apply_stopped) {	/* Ctrl-C reaches Compose too, which fails then */
		fputs("  stopped here; sutra deploy goes on, sutra down ends what runs\n", stderr);
		return 128 + (apply_stopped ? apply_stopped : SIGINT);
	}
	if (a->desired->rt->reach && a->desired->rt->reach(err))	/* that is why, and there is no way back now */
		return command_fail(err);
	return !number || !events.touched || a->no_return ? code : take_back(a, number, code);
}
