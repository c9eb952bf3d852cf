#include "vector/matryoshka.h"

#include <math.h>
#include <stdio.h>

size_t sutra_matryoshka_dims(size_t native, size_t ret[SUTRA_MRL_MAX_DIMS])
{
	static const size_t steps[] = { 64, 128, 256, 512, 768, 1024 };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && steps[i] < native; i++)
		ret[n++] = steps[i];
	ret[n++] = native;
	return n;
}

bool sutra_matryoshka_allows(size_t native, size_t dimension)
{
	size_t dims[SUTRA_MRL_MAX_DIMS], n = sutra_matryoshka_dims(native, dims);

	for (size_t i = 0; i < n; i++)
		if (dims[i] == dimension)
			return true;
	return false;
}

void sutra_matryoshka_list(size_t native, char out[SUTRA_MRL_LIST])
{
	size_t dims[SUTRA_MRL_MAX_DIMS], n = sutra_matryoshka_dims(native, dims), len = 0;

	for (size_t i = 0; i < n && len < SUTRA_MRL_LIST; i++)
		len += (size_t)snprintf(out + len, SUTRA_MRL_LIST - len, "%s%zu", i ? ", " : "", dims[i]);
}

void sutra_matryoshka(const float *v, size_t native, size_t dimension, enum sutra_mrl mrl,
		      bool normalize, float *out)
{
	double mean = 0, scale = 1, squares = 0;

	if (dimension < native && mrl == SUTRA_MRL_LAYER_NORM) {
		double variance = 0;

		for (size_t i = 0; i < native; i++)
			mean += (double)v[i];
		mean /= (double)native;
		for (size_t i = 0; i < native; i++)
			variance += ((double)v[i] - mean) * ((double)v[i] - mean);
		scale = 1 / sqrt(variance / (double)native + 1e-5);
	}
	for (size_t i = 0; i < dimension; i++) {
		double x = ((double)v[i] - mean) * scale;

		squares += x * x;
	}
	if (normalize)
		scale /= fmax(sqrt(squares), 1e-12);
	for (size_t i = 0; i < dimension; i++)
		out[i] = (float)(((double)v[i] - mean) * scale);
}
