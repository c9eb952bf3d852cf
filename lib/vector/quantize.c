#include "vector/quantize.h"

#include <math.h>

enum { GREATEST = 127 };

/* inverse [k]; the geometric mean of the factors is one. */
static void even_out(const float *w, size_t n, size_t k, const float *reach, float *inverse)
{
	double logs = 0;

	for (size_t i = 0; i < k; i++)
		inverse[i] = 1e-5f;
	for (size_t j = 0; j < n; j++, w += k)
		for (size_t i = 0; i < k; i++)
			inverse[i] = fmaxf(inverse[i], fabsf(w[i]));	/* the widest of the column */
	for (size_t i = 0; i < k; i++) {
		inverse[i] = reach ? sqrtf(inverse[i] / fmaxf(reach[i], 1e-5f)) : 1;
		logs += log((double)inverse[i]);
	}
	for (size_t i = 0; i < k; i++)
		inverse[i] *= (float)exp(-logs / (double)k);
}

void sutra_quantize_weights(const float *w, size_t n, size_t k, const float *reach, int8_t *bytes,
			    float *scale, int32_t *sum, float *inverse)
{
	even_out(w, n, k, reach, inverse);
	for (size_t j = 0; j < n; j++, w += k, bytes += k) {
		float widest = 1e-30f, times;

		for (size_t i = 0; i < k; i++)
			widest = fmaxf(widest, fabsf(w[i] / inverse[i]));
		times = GREATEST / widest;
		scale[j] = widest / GREATEST;
		sum[j] = 0;
		for (size_t i = 0; i < k; i++) {
			bytes[i] = (int8_t)rintf(w[i] / inverse[i] * times);
			sum[j] += bytes[i];
		}
	}
}
