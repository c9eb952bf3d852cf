#include "vector/quantize.h"

#include <math.h>

enum { GREATEST = 127 };

const char *sutra_precision_name(enum sutra_precision p)
{
	static const char *const names[SUTRA_PRECISIONS] = {
		[SUTRA_FP32] = "fp32", [SUTRA_BF16] = "bf16", [SUTRA_INT8] = "int8",
	};

	return names[p];
}

/* Writes inverse [k]; the geometric mean of the factors is 1. */
static void make_inverse(const float *w, size_t n, size_t k, const float *magnitude, float *inverse)
{
	double logs = 0;

	for (size_t i = 0; i < k; i++)
		inverse[i] = 1e-5f;
	for (size_t j = 0; j < n; j++, w += k)
		for (size_t i = 0; i < k; i++)
			inverse[i] = fmaxf(inverse[i], fabsf(w[i]));	/* the column's greatest magnitude */
	for (size_t i = 0; i < k; i++) {
		inverse[i] = magnitude ? sqrtf(inverse[i] / fmaxf(magnitude[i], 1e-5f)) : 1;
		logs += log((double)inverse[i]);
	}
	for (size_t i = 0; i < k; i++)
		inverse[i] *= (float)exp(-logs / (double)k);
}

void sutra_quantize_weights(const float *w, size_t n, size_t k, const float *magnitude, int8_t *bytes,
			    float *scale, int32_t *sum, float *inverse)
{
	make_inverse(w, n, k, magnitude, inverse);
	for (size_t j = 0; j < n; j++, w += k, bytes += k) {
		float greatest = 1e-30f, times;

		for (size_t i = 0; i < k; i++)
			greatest = fmaxf(greatest, fabsf(w[i] / inverse[i]));
		times = GREATEST / greatest;
		scale[j] = greatest / GREATEST;
		sum[j] = 0;
		for (size_t i = 0; i < k; i++) {
			bytes[i] = (int8_t)rintf(w[i] / inverse[i] * times);
			sum[j] += bytes[i];
		}
	}
}
