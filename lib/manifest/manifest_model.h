/*
 * manifest_model - the workloads of a compose file: a service, or the replicas of one with their number. Internal
 * to lib/manifest: manifest_swarm.c and the kube files share it.
 */
#ifndef SUTRA_MANIFEST_MANIFEST_MODEL_H
#define SUTRA_MANIFEST_MANIFEST_MODEL_H

#include <jansson.h>
#include <stdbool.h>

#include "manifest/manifest.h"

/* Around a secret setting's name, in place of its value, and around a workload's name as a host. */
#define MARK_BEGIN '\x01'
#define MARK_END '\x02'
#define MARK_HOST '\x03'

enum workload_env_kind {
	ENV_TEXT,	/* a value, perhaps with marks */
	ENV_NUMBER,	/* of the replica, counted from 1, behind the value */
	ENV_ADDRESSES,	/* "name:port" that resolves to every replica of a workload */
};

struct workload_env {
	char *key, *value;
	enum workload_env_kind kind;
};

struct workload_file {		/* of a folder beside the compose file */
	char *name, *path, *text, *target;
	char digest[9];
};

struct workload_mount {		/* a folder or file beside the compose file */
	const struct sutra_volume *v;
	char *name;		/* "haproxy" of ./haproxy */
	bool single;		/* a file, not a folder */
	struct workload_file *files;
	size_t n;
};

struct workload_edge {		/* a workload that calls this one */
	size_t from;
	int port;		/* 0: all its ports */
};

struct workload {
	char *name;
	const struct sutra_service *s;	/* its first replica */
	size_t replicas;
	const struct sutra_scale *scale;
	bool balanced;		/* a workload resolves the addresses of all its replicas */
	struct workload_env *env;
	size_t n_env;
	struct workload_mount *mounts;
	size_t n_mounts;
	struct workload_edge *edges;
	size_t n_edges;
	int *ports;		/* exposed or published, ascending */
	size_t n_ports;
};

struct workloads {
	const struct sutra_manifest *m;
	struct workload *items;	/* sorted by name */
	size_t n;
	struct sutra_err *err;
};

/* SUTRA_E_SETTING with file and line: the replicas of a workload differ. */
int sutra_workloads_make(const struct sutra_manifest *m, struct workloads *ret, struct sutra_err *err);
struct workload *sutra_workload_named(const struct workloads *all, const char *name);
void sutra_workloads_release(struct workloads *w);
/* "file:line: services.name: ..." with SUTRA_E_SETTING. */
#define service_fail(all, s, fmt, ...) \
	sutra_fail((all)->err, SUTRA_E_SETTING, "%s:%d: services.%s: " fmt, (all)->m->all->file, (s)->line, (s)->name, \
		   ##__VA_ARGS__)
#define workload_fail(all, w, ...) service_fail(all, (w)->s, __VA_ARGS__)

/* Whether the compose file publishes the port beyond loopback. */
bool sutra_workload_port_is_open(const struct sutra_port *p);

/* The image with the registry before it; "15s"; "2G" or, binary, "2Gi". x-allocated. */
char *sutra_workload_image(const struct workloads *all, const char *image);
char *sutra_workload_duration(uint64_t ns);
char *sutra_workload_size(uint64_t bytes, const char *suffix);
/* "/tmp" of the tmpfs "/tmp:size=16m", x-allocated; *ret_size 0: not said. */
char *sutra_workload_tmpfs(const char *text, uint64_t *ret_size);
/* Append the replacements of '$', of a secret's name and of a workload's name in a text. */
struct workload_quoting {
	void (*dollar)(struct sutra_buf *b, char next);
	void (*secret)(struct sutra_buf *b, const char *name, size_t n);
	void (*host)(struct sutra_buf *b, const char *name, size_t n);
};
json_t *sutra_manifest_text(const char *text, const struct workload_quoting *q);
/* The texts of a list; NULL: it is empty. */
json_t *sutra_manifest_list(const struct sutra_strv *v, const struct workload_quoting *q);
/* s as JSON; frees s. */
json_t *sutra_manifest_own(char *s);
/* o, or NULL if it is empty; then o is released. */
json_t *sutra_manifest_some(json_t *o);
/* Reads the files of the workload's relative mounts: a regular file, or those of a folder (not of its
 * subfolders) in the order of their names. */
int sutra_workload_mounts_make(const struct workloads *all, struct workload *w);
void sutra_workload_mounts_release(struct workload *w);

#endif
