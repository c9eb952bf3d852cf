#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "stack/deploy.h"
#include "stack/manifest.h"
#include "stack/modelstore.h"
#include "sutra/command.h"
#include "sutra/stackio.h"

enum { MAX_MANIFEST = 8 << 20 };

static const char *registry, *file, *cluster_domain;

static const struct sutra_option rows[] = {
	{ 0, "registry", SUTRA_OPT_STRING, &registry, "NAME", "where the images are, before their names", 0, 0, NULL },
	{ 0, "cluster-domain", SUTRA_OPT_STRING, &cluster_domain, "NAME", "of Kubernetes, if not cluster.local", 0, 0,
	  NULL },
	{ 0, "file", SUTRA_OPT_STRING, &file, "PATH", "another compose file", 0, 0, NULL },
	{ 0 },
};

static const struct sutra_option *options(void) { return rows; }

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

/* What deploy works out for the compose file: store and name of the model, which need not be
 * here, where ports are published, and who may see the balancer's statistics. */
static int work_out(struct sutra_config *config, struct sutra_err *err)
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
	if (!rc && sutra_str_starts(sutra_config_get(config, "SUTRA_BIND"), "127."))	/* no node's loopback is meant */
		rc = sutra_config_set(config, "SUTRA_BIND", "0.0.0.0", SUTRA_FROM_RECORD, err);
	rc = rc ? rc : sutra_config_settle_exposure(config, err);
	if (!rc && !sutra_config_get(config, "HAPROXY_STATS_USER"))	/* as a deploy makes it */
		rc = sutra_config_set(config, "HAPROXY_STATS_USER", "sutra", SUTRA_FROM_RECORD, err);
	sutra_free(store);
	return rc;
}

static int print_manifest(make_manifest *make, struct sutra_config *config, const char *path, struct sutra_err *err)
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
	rc = rc ? rc : make(&(struct sutra_manifest){ all, selected, folder, registry, cluster_domain }, &out, err);
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
	char *data_dir, *state_dir, *path = NULL;
	struct sutra_config *config;
	struct sutra_err err;
	int rc;

	if (n != 1)
		return command_usage("manifest wants one operand, swarm or kubernetes, got %d", n);
	if (!make)
		return command_usage("\"%s\" is no manifest; swarm and kubernetes are", argv[1]);
	rc = stack_open(&config, &data_dir, &state_dir, false, &err);
	if (!rc) {
		path = file ? xstrdup(file) : xasprintf("%s/compose/docker-compose.yml", data_dir);
		rc = work_out(config, &err);
		rc = rc ? rc : print_manifest(make, config, path, &err);
	}
	sutra_free(path);
	sutra_config_free(config);
	sutra_free(data_dir);
	sutra_free(state_dir);
	return rc ? command_fail(&err) : EXIT_YES;
}

const struct command cmd_manifest = {
	.name = "manifest",
	.summary = "print the stack as a manifest for a swarm or Kubernetes",
	.synopsis = "swarm | kubernetes [--registry NAME] [--file PATH] [--cluster-domain NAME]",
	.examples = "sutra manifest swarm >stack.yml\tdocker stack deploy -c stack.yml sutra\n"
		    "sutra manifest kubernetes | kubectl apply -f -\tinto the current namespace\n",
	.formats = "table",
	.options = options,
	.run = run,
};
