#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/version.h"
#include "deploy/deploy.h"
#include "manifest/manifest.h"
#include "model/model.h"
#include "hub/modelstore.h"
#include "sutra/command.h"
#include "sutra/stackio.h"

enum { MAX_MANIFEST = 8 << 20 };

static const char *registry, *file, *tag, *instance, *cluster_domain, *model_claim, *model_image, *metrics;

static const struct sutra_option rows[] = {
	{ 0, "registry", SUTRA_OPT_STRING, &registry, "NAME", "where the images are, before their names", 0, 0, NULL },
	{ 0, "tag", SUTRA_OPT_STRING, &tag, "TAG", "of the images, if not this version", 0, 0, NULL },
	{ 0, "name", SUTRA_OPT_STRING, &instance, "NAME", "of this stack in Kubernetes: the label instance", 0, 0, NULL },
	{ 0, "model-claim", SUTRA_OPT_STRING, &model_claim, "NAME", "the claim that holds the models", 0, 0, NULL },
	{ 0, "model-image", SUTRA_OPT_STRING, &model_image, "IMAGE", "ml-base's with the model in it; no claim", 0, 0,
	  NULL },
	{ 0, "metrics", SUTRA_OPT_CHOICE, &metrics, "KIND", "tell Prometheus what to scrape", 0, 0,
	  "annotations|service-monitor" },
	{ 0, "cluster-domain", SUTRA_OPT_STRING, &cluster_domain, "NAME", "of Kubernetes, if not cluster.local", 0, 0,
	  NULL },
	{ 0, "file", SUTRA_OPT_STRING, &file, "PATH", "another compose file", 0, 0, NULL },
	{ 0 },
};

typedef int make_manifest(const struct sutra_manifest *m, struct sutra_buf *out, struct sutra_err *err);

static const struct target {
	const char *name;
	make_manifest *make;
} targets[] = {
	{ "swarm", sutra_manifest_swarm },
	{ "kubernetes", sutra_manifest_kubernetes },
};

static make_manifest *target_named(const char *name)
{
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
		if (!strcmp(targets[i].name, name))
			return targets[i].make;
	return NULL;
}

/* In a cluster a replica shares cores with no other, and a tag must always mean the same image, because nodes
 * pull images that they do not have. */
static int work_out_kubernetes(struct sutra_config *config, struct sutra_err *err)
{
	int rc = sutra_config_set(config, "SUTRA_REPLICAS", "1", SUTRA_FROM_RECORD, err);

	if (rc || sutra_config_winner(config, "SUTRA_VERSION") != SUTRA_FROM_BUILTIN)
		return rc;
	return sutra_config_set(config, "SUTRA_VERSION", SUTRA_VERSION, SUTRA_FROM_RECORD, err);
}

/* Sets what deploy computes for the compose file: folder and name of the model, which need not be on this
 * machine, addresses of published ports, and the user for the balancer's statistics. */
static int work_out(struct sutra_config *config, bool kubernetes, struct sutra_err *err)
{
	const char *path = sutra_config_get(config, "MODEL_PATH"), *slash = path ? strrchr(path, '/') : NULL;
	char *store = path ? NULL : sutra_model_dir();
	int rc;

	if (path && (*path != '/' || slash == path || !slash[1]))
		return sutra_fail(err, SUTRA_E_SETTING, "MODEL_PATH is \"%.100s\"; a manifest wants /STORE/MODEL", path);
	if (path)
		store = xasprintf("%.*s", (int)(slash - path), path);
	rc = sutra_config_set(config, "SUTRA_MODEL_DIR", store, SUTRA_FROM_RECORD, err);
	if (!rc && path)
		rc = sutra_config_set(config, "SUTRA_MODEL", slash + 1, SUTRA_FROM_RECORD, err);
	if (!rc && sutra_str_starts(sutra_config_get(config, "SUTRA_BIND"), "127."))	/* not the loopback of a node */
		rc = sutra_config_set(config, "SUTRA_BIND", "0.0.0.0", SUTRA_FROM_RECORD, err);
	rc = rc ? rc : sutra_config_settle_exposure(config, err);
	if (!rc && !sutra_config_get(config, "HAPROXY_STATS_USER"))	/* the name that deploy uses */
		rc = sutra_config_set(config, "HAPROXY_STATS_USER", "sutra", SUTRA_FROM_RECORD, err);
	if (!rc && tag)
		rc = sutra_config_set(config, "SUTRA_VERSION", tag, SUTRA_FROM_FLAG, err);
	if (!rc && kubernetes)
		rc = work_out_kubernetes(config, err);
	sutra_free(store);
	return rc;
}

/* m holds the options. */
static int print_manifest(make_manifest *make, struct sutra_manifest *m, struct sutra_config *config, const char *path,
			  struct sutra_err *err)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? xasprintf("%.*s", (int)(slash - path), path) : xstrdup(".");
	struct sutra_strv profiles = { 0 };
	struct sutra_compose *all = NULL, *selected = NULL;
	struct sutra_buf out;
	int rc = sutra_compose_read(path, sutra_manifest_lookup, config, &all, err);

	sutra_profiles_of(config, &profiles);
	sutra_buf_init(&out, MAX_MANIFEST);
	rc = rc ? rc : sutra_compose_read(path, sutra_manifest_lookup, config, &selected, err);
	rc = rc ? rc : sutra_compose_select(selected, &profiles, err);
	m->all = all;
	m->selected = selected;
	m->folder = folder;
	rc = rc ? rc : make(m, &out, err);
	if (!rc) {
		warn_unset(path, &all->unset);
		fputs(sutra_buf_str(&out), stdout);
	}
	sutra_buf_release(&out);
	sutra_compose_free(selected);
	sutra_compose_free(all);
	sutra_strv_release(&profiles);
	sutra_free(folder);
	return rc;
}

static int run(int n, char **argv)
{
	make_manifest *make = n == 1 ? target_named(argv[1]) : NULL;
	struct sutra_manifest m = { .registry = registry, .cluster_domain = cluster_domain, .model_claim = model_claim,
				    .model_image = model_image, .metrics = metrics };
	struct stack s;
	char *path = NULL;
	struct sutra_err err;
	int rc;

	if (n != 1)
		return command_usage("manifest wants one operand, swarm or kubernetes, got %d", n);
	if (!make)
		return command_usage("\"%s\" is no manifest; swarm and kubernetes are", argv[1]);
	if (make == sutra_manifest_kubernetes)
		m.instance = instance ? instance : "sutra";
	if (instance && !sutra_is_label(instance))
		return command_usage("--name is \"%s\"; at most 63 letters, digits, -, _ and . are allowed", instance);
	rc = stack_open(&s, false, &err);
	if (!rc) {
		path = file ? xstrdup(file) : xasprintf("%s/compose/docker-compose.yml", s.data_dir);
		rc = work_out(s.config, m.instance, &err);
		rc = rc ? rc : print_manifest(make, &m, s.config, path, &err);
	}
	sutra_free(path);
	stack_release(&s);
	return rc ? command_fail(&err) : EXIT_YES;
}

const struct command cmd_manifest = {
	.name = "manifest",
	.summary = "print the stack as a manifest for a swarm or Kubernetes",
	.synopsis = "swarm | kubernetes [--registry NAME] [--tag TAG] [--file PATH] [--name NAME] "
		    "[--model-claim NAME | --model-image IMAGE] [--metrics KIND] [--cluster-domain NAME]",
	.examples = "sutra manifest swarm >stack.yml\tdocker stack deploy -c stack.yml sutra\n"
		    "sutra manifest kubernetes | kubectl apply -f -\tinto the current namespace\n",
	.formats = "table",
	.options = rows,
	.operands = true,
	.run = run,
};
