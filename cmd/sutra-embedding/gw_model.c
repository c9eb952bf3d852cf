/* The model of ml-base that the gateway knows, and the dimensions and input types that it allows. */
#include "gateway.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/jsonio.h"

int gw_read_type(const struct gw_model *m, const json_t *body, const char **ret, struct sutra_err *err)
{
	const char *type = NULL;
	size_t at;
	int rc = sutra_json_get_string(body, "input_type", &type, err);

	if (!rc && type)
		rc = sutra_input_type_find(&m->types, "input_type", type, &at, err);
	if (!rc)
		*ret = type ? m->types.names[at] : NULL;
	return rc;
}

bool gw_model_of(struct gateway *g, const char *fingerprint, struct gw_model *ret)
{
	bool known;

	pthread_mutex_lock(&g->model_lock);
	known = !strcmp(g->model.fingerprint, fingerprint);
	if (known)
		*ret = g->model;
	else if ((known = !strcmp(g->former.fingerprint, fingerprint)))
		*ret = g->former;
	pthread_mutex_unlock(&g->model_lock);
	return known;
}

bool gw_model_get(struct gateway *g, struct gw_model *ret)
{
	pthread_mutex_lock(&g->model_lock);
	*ret = g->model;
	pthread_mutex_unlock(&g->model_lock);
	return ret->fingerprint[0] != '\0';
}

void gw_model_wait(struct gateway *g, uint64_t limit_ns)
{
	uint64_t end = sutra_clock_ns() + limit_ns;
	const struct timespec t = sutra_clock_timespec(end);

	pthread_mutex_lock(&g->model_lock);
	while (!g->model.fingerprint[0] && !pthread_cond_timedwait(&g->model_known, &g->model_lock, &t))
		;
	pthread_mutex_unlock(&g->model_lock);
}

int gw_check_dimension(const struct gw_model *m, int64_t dimension, struct sutra_err *err)
{
	char allowed[SUTRA_MRL_LIST];

	if (dimension >= 1 && sutra_matryoshka_allows(m->dimension, (size_t)dimension) &&
	    sutra_matryoshka_allows(m->native, (size_t)dimension))
		return 0;
	sutra_matryoshka_list(m->dimension, allowed);
	sutra_fail(err, SUTRA_E_INVALID, "field \"dimension\" is %lld; allowed are %s", (long long)dimension,
		   allowed);
	return sutra_hint(err, "this deployment keeps %zu dimensions (MATRYOSHKA_DIM)", m->dimension);
}

void gw_shape(const struct gw_model *m, const struct sutra_vector *v, size_t dimension, float *out)
{
	/* A vector that is stored below the native dimension has had its layer norm. */
	bool norm = m->dimension == m->native && dimension < m->native && !m->plain_mrl;

	if (dimension == v->dimension)
		memcpy(out, v->values, dimension * sizeof(float));
	else
		sutra_matryoshka(v->values, v->dimension, dimension,
				 norm ? SUTRA_MRL_LAYER_NORM : SUTRA_MRL_PLAIN, true, out);
}
