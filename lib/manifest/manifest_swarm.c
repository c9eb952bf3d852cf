/*
 * A stack file for `docker stack deploy`.
 *
 * A name resolves to the addresses of its tasks (endpoint_mode dnsrr) and a published port is
 * the node's own (mode host): neither needs the kernel's virtual server nor the routing mesh,
 * and a caller's address stays visible. Only several tasks that publish one port need both
 * (uses_mesh). A task enters the name service when its health
 * check passes and is replaced when it fails, so the check asks for liveness if the compose
 * file has separate probes: a balancer without replicas is no reason to replace it.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "manifest/manifest_model.h"
#include "compose/yaml.h"

static const char head[] =
	"# Made by `sutra manifest swarm` from the compose file; make it again rather than edit it.\n"
	"#   docker stack deploy -c FILE NAME\n"
	"# A swarm cannot bind a port to one address: the published ones are open on every address\n"
	"# of their node, and what the compose file keeps on loopback is not published. Folders that\n"
	"# are bound must be on every node that may run the service, and a volume is its node's own:\n"
	"# sutra-manifest(1) tells how to hold a service to a node.\n";

/* `docker stack deploy` interpolates, so a dollar is two; a secret comes from its environment. */
static void swarm_dollar(struct sutra_buf *b, char next) { sutra_buf_adds(b, "$$"); }

static void swarm_secret(struct sutra_buf *b, const char *name, size_t n)
{
	sutra_buf_addf(b, "${%.*s:?export it}", (int)n, name);
}

static void swarm_host(struct sutra_buf *b, const char *name, size_t n) { sutra_buf_add(b, name, n); }

static const struct workload_quoting quoting = { swarm_dollar, swarm_secret, swarm_host };

static json_t *text_of(const char *s) { return sutra_manifest_text(s, &quoting); }

static json_t *list_of(const struct sutra_strv *v) { return sutra_manifest_list(v, &quoting); }

static json_t *environment(const struct workload *w)
{
	json_t *env = w->n_env ? json_object() : NULL;

	for (size_t i = 0; i < w->n_env; i++) {
		const struct workload_env *e = &w->env[i];

		json_object_set_new(env, e->key,
				    e->kind == ENV_NUMBER    ? json_sprintf("%s{{.Task.Slot}}", e->value) :
				    e->kind == ENV_ADDRESSES ? json_sprintf("tasks.%s", e->value) :
							       text_of(e->value));
	}
	return env;
}

static json_t *volumes(const struct workload *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->s->n_volumes; i++) {
		const struct sutra_volume *v = &w->s->volumes[i];

		if (v->source && !v->named && v->source[0] == '.')
			continue;
		json_array_append_new(list, json_pack("{s:s, s:o*, s:o, s:o*}", "type",
						      v->source && !v->named ? "bind" : "volume", "source",
						      v->source ? text_of(v->source) : NULL, "target",
						      text_of(v->target), "read_only",
						      v->read_only ? json_true() : NULL));
	}
	for (size_t i = 0; i < w->s->tmpfs.n; i++) {
		uint64_t size;
		char *path = sutra_workload_tmpfs(w->s->tmpfs.items[i], &size);

		json_array_append_new(list, json_pack("{s:s, s:o, s:o*}", "type", "tmpfs", "target", text_of(path), "tmpfs",
						      size ? json_pack("{s:I}", "size", (json_int_t)size) : NULL));
		sutra_free(path);
	}
	return sutra_manifest_some(list);
}

/* A config never changes: its name holds its digest, so a changed file is another config. */
static char *config_name(const struct workload_mount *mount, const struct workload_file *f)
{
	return mount->single ? xasprintf("%s-%s", f->name, f->digest) :
			       xasprintf("%s-%s-%s", mount->name, f->name, f->digest);
}

static json_t *configs(const struct workload *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n_mounts; i++)
		for (size_t f = 0; f < w->mounts[i].n; f++)
			json_array_append_new(list,
					      json_pack("{s:o, s:o}", "source",
							sutra_manifest_own(config_name(&w->mounts[i], &w->mounts[i].files[f])), "target",
							text_of(w->mounts[i].files[f].target)));
	return sutra_manifest_some(list);
}

static bool has_open_port(const struct workload *w)
{
	for (size_t i = 0; i < w->s->n_ports; i++)
		if (sutra_workload_port_is_open(&w->s->ports[i]))
			return true;
	return false;
}

static bool uses_mesh(const struct workload *w) { return w->replicas > 1 && has_open_port(w); }

static json_t *ports(const struct workload *w)
{
	json_t *list = has_open_port(w) ? json_array() : NULL;

	for (size_t i = 0; list && i < w->s->n_ports; i++) {
		const struct sutra_port *p = &w->s->ports[i];

		if (sutra_workload_port_is_open(p))
			json_array_append_new(list, json_pack("{s:i, s:i, s:s, s:s}", "target", p->target, "published",
							      p->published, "protocol", p->protocol, "mode",
							      uses_mesh(w) ? "ingress" : "host"));
	}
	return list;
}

static json_t *healthcheck(const struct sutra_service *s)
{
	const struct sutra_healthcheck *h = &s->health;
	json_t *test;

	if (h->disabled || !h->test.n)
		return h->disabled ? json_pack("{s:b}", "disable", 1) : NULL;
	test = json_pack("[s]", h->shell ? "CMD-SHELL" : "CMD");
	for (size_t i = 0; i < h->test.n; i++)
		json_array_append_new(test, s->live_url && sutra_str_starts(h->test.items[i], "http://") ?
						    text_of(s->live_url) :
						    text_of(h->test.items[i]));
	return json_pack("{s:o, s:o, s:o, s:I, s:o}", "test", test, "interval", sutra_manifest_own(sutra_workload_duration(h->interval_ns)),
			 "timeout", sutra_manifest_own(sutra_workload_duration(h->timeout_ns)), "retries", (json_int_t)h->retries,
			 "start_period", sutra_manifest_own(sutra_workload_duration(h->start_period_ns)));
}

static json_t *amounts(uint64_t memory, double cpus)
{
	char number[32];

	snprintf(number, sizeof(number), "%.3g", cpus);
	return memory || cpus > 0 ? json_pack("{s:o*, s:o*}", "memory", memory ? sutra_manifest_own(sutra_workload_size(memory, "")) : NULL,
					      "cpus", cpus > 0 ? json_string(number) : NULL) :
				    NULL;
}

static json_t *restart_policy(const struct sutra_service *s)
{
	bool on_failure = s->restart == SUTRA_RESTART_ON_FAILURE;

	if (s->restart == SUTRA_RESTART_NO)
		return json_pack("{s:s}", "condition", "none");
	return json_pack("{s:s, s:s, s:o*}", "condition", on_failure ? "on-failure" : "any", "delay", "1s", "max_attempts",
			 on_failure && s->restart_max ? json_integer(s->restart_max) : NULL);
}

/* The new one first, unless the old one holds a port or a volume that it needs. */
static json_t *update_config(const struct workload *w)
{
	bool holds = has_open_port(w) && !uses_mesh(w);

	for (size_t i = 0; i < w->s->n_volumes; i++)
		holds = holds || w->s->volumes[i].named;
	return json_pack("{s:i, s:s, s:s}", "parallelism", 1, "order", holds ? "stop-first" : "start-first",
			 "failure_action", "rollback");
}

static json_t *deploy(const struct workload *w)
{
	const struct sutra_service *s = w->s;
	json_t *limits = amounts(s->memory_limit, s->cpu_limit);
	json_t *reservations = amounts(s->memory_reservation, s->cpu_reservation);
	json_t *resources = limits || reservations ?
				    json_pack("{s:o*, s:o*}", "limits", limits, "reservations", reservations) :
				    NULL;

	return json_pack("{s:s, s:I, s:s, s:o*, s:o, s:o, s:o}", "mode", "replicated", "replicas",
			 (json_int_t)w->replicas, "endpoint_mode", uses_mesh(w) ? "vip" : "dnsrr", "resources", resources, "restart_policy",
			 restart_policy(s), "update_config", update_config(w), "labels",
			 json_pack("{s:s, s:s}", "app.kubernetes.io/name", w->name, "app.kubernetes.io/part-of", "sutra"));
}

static json_t *service(const struct workloads *all, const struct workload *w)
{
	const struct sutra_service *s = w->s;
	json_t *o = json_object();
	const struct {
		const char *key;
		json_t *value;
	} rows[] = {
		{ "image", sutra_manifest_own(sutra_workload_image(all, s->image)) },
		{ "entrypoint", list_of(&s->entrypoint) },
		{ "command", list_of(&s->command) },
		{ "environment", environment(w) },
		{ "user", s->user ? text_of(s->user) : NULL },
		{ "init", s->init ? json_true() : NULL },
		{ "read_only", s->read_only ? json_true() : NULL },
		{ "cap_drop", list_of(&s->cap_drop) },
		{ "volumes", volumes(w) },
		{ "configs", configs(w) },
		{ "ports", ports(w) },
		{ "healthcheck", healthcheck(s) },
		{ "stop_grace_period", sutra_manifest_own(sutra_workload_duration(s->stop_grace_ns)) },
		{ "deploy", deploy(w) },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].value)
			json_object_set_new(o, rows[i].key, rows[i].value);
	return o;
}

/* The stack declares the volumes and configs of its services. */
static void declare(const struct workload *w, json_t *volumes, json_t *configs)
{
	for (size_t i = 0; i < w->s->n_volumes; i++)
		if (w->s->volumes[i].named)
			json_object_set_new(volumes, w->s->volumes[i].source, json_object());
	for (size_t i = 0; i < w->n_mounts; i++) {
		for (size_t f = 0; f < w->mounts[i].n; f++) {
			char *name = config_name(&w->mounts[i], &w->mounts[i].files[f]);

			json_object_set_new(configs, name,
					    json_pack("{s:o}", "file", text_of(w->mounts[i].files[f].path)));
			sutra_free(name);
		}
	}
}

int sutra_manifest_swarm(const struct sutra_manifest *m, struct sutra_buf *out, struct sutra_err *err)
{
	json_t *services = json_object(), *volumes = json_object(), *configs = json_object(), *file;
	struct workloads all;
	int rc = sutra_workloads_make(m, &all, err);

	for (size_t i = 0; !rc && i < all.n; i++) {
		json_object_set_new(services, all.items[i].name, service(&all, &all.items[i]));
		declare(&all.items[i], volumes, configs);
	}
	file = json_pack("{s:s, s:o}", "version", "3.8", "services", services);
	if (json_object_size(configs))
		json_object_set(file, "configs", configs);
	if (json_object_size(volumes))
		json_object_set(file, "volumes", volumes);
	if (!rc) {
		sutra_buf_adds(out, head);
		sutra_yaml_add(out, file);
		rc = sutra_buf_error(out) ? sutra_fail(err, sutra_buf_error(out), "the manifest is too large") : 0;
		sutra_workloads_release(&all);
	}
	json_decref(file);
	json_decref(volumes);
	json_decref(configs);
	return rc;
}
