/* Names, labels and volumes of Kubernetes objects, which the workload's files and the network's share. */
#include "manifest/kube.h"

#include <string.h>

#include "base/alloc.h"

#define MODELS "/models"	/* where ml-base reads them */

bool sutra_kube_is_stateful(const struct workload *w)
{
	for (size_t i = 0; i < w->s->n_volumes; i++)
		if (w->s->volumes[i].named)
			return true;
	return false;
}

bool sutra_kube_is_folder(const struct sutra_volume *v) { return v->source && !v->named && v->source[0] != '.'; }

bool sutra_kube_is_claim(const struct workloads *all, const struct sutra_volume *v)
{
	return sutra_kube_is_folder(v) && !(all->m->model_image && !strcmp(v->target, MODELS));
}

json_int_t sutra_kube_seconds(uint64_t ns)
{
	return ns ? (json_int_t)((ns + 999999999u) / 1000000000u) : 1;
}

json_t *sutra_kube_port_name(int port) { return json_sprintf("tcp-%d", port); }

char *sutra_kube_config_name(const struct workload_mount *mount) { return xasprintf("sutra-%s", mount->name); }

const char *sutra_kube_volume_name(const struct sutra_volume *v)
{
	const char *slash = strrchr(v->target, '/');

	return slash ? slash + 1 : v->target;
}

char *sutra_kube_claim_name(const struct workloads *all, const struct sutra_volume *v)
{
	if (all->m->model_claim && !strcmp(v->target, MODELS))
		return xstrdup(all->m->model_claim);
	return xasprintf("sutra-%s", sutra_kube_volume_name(v));
}

static bool is_label(const char *s, size_t n)
{
	static const char ends[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	return n && n < 64 && strchr(ends, s[0]) && strchr(ends, s[n - 1]) &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") >= n;
}

bool sutra_is_label(const char *s) { return is_label(s, strlen(s)); }

static json_t *base_labels(const struct workloads *all, const char *name)
{
	return json_pack("{s:s, s:s, s:s}", "app.kubernetes.io/name", name, "app.kubernetes.io/instance",
			 all->m->instance, "app.kubernetes.io/part-of", "sutra");
}

json_t *sutra_kube_selector(const struct workloads *all, const struct workload *w) { return base_labels(all, w->name); }

/* The image's own name, and its tag, as labels: "ml-base" and "latest" of sutra/ml-base:latest. */
static void add_image_labels(json_t *labels, const char *image)
{
	const char *slash = strrchr(image, '/'), *name = slash ? slash + 1 : image;
	size_t n = strcspn(name, ":@");

	if (is_label(name, n))
		json_object_set_new(labels, "app.kubernetes.io/component", json_stringn(name, n));
	if (name[n] == ':' && is_label(name + n + 1, strlen(name + n + 1)))
		json_object_set_new(labels, "app.kubernetes.io/version", json_string(name + n + 1));
}

json_t *sutra_kube_meta(const struct workloads *all, const struct workload *w, const char *name)
{
	json_t *labels = base_labels(all, w ? w->name : name);

	if (w)
		add_image_labels(labels, w->s->image);
	json_object_set_new(labels, "app.kubernetes.io/managed-by", json_string("sutra"));
	return json_pack("{s:s*, s:o}", "name", name, "labels", labels);
}
