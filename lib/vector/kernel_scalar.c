/* The referee: each formula as kernel.h states it, with sums in double. */
#include "vector/kernel.h"

#include <math.h>
#include <string.h>

static void add_norm(float *x, const float *delta, const float *more, const float *gamma,
		     const float *beta, size_t rows, size_t width, float eps)
{
	for (size_t r = 0; r < rows; r++, x += width) {
		double mean = 0, variance = 0;

		for (size_t i = 0; i < width; i++) {
			if (delta)
				x[i] += delta[r * width + i];
			if (more)
				x[i] += more[r * width + i];
			mean += (double)x[i];
		}
		mean /= (double)width;
		for (size_t i = 0; i < width; i++)
			variance += ((double)x[i] - mean) * ((double)x[i] - mean);
		variance /= (double)width;
		for (size_t i = 0; i < width; i++)
			x[i] = (float)(((double)x[i] - mean) / sqrt(variance + (double)eps) *
					       (double)gamma[i] +
				       (double)beta[i]);
	}
}

static double dot(const float *a, const float *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

static void attention(const float *qkv, size_t rows, size_t heads, size_t width, float *scratch,
		      float *out)
{
	size_t hidden = heads * width, stride = 3 * hidden;

	for (size_t h = 0; h < heads; h++)
		for (size_t i = 0; i < rows; i++) {
			const float *q = qkv + i * stride + h * width;
			double max = -INFINITY, sum = 0;

			for (size_t j = 0; j < rows; j++) {
				scratch[j] = (float)(dot(q, qkv + j * stride + hidden + h * width, width) /
						     sqrt((double)width));
				max = fmax(max, (double)scratch[j]);
			}
			for (size_t j = 0; j < rows; j++)
				sum += exp((double)scratch[j] - max);
			for (size_t c = 0; c < width; c++) {
				double mix = 0;

				for (size_t j = 0; j < rows; j++)
					mix += exp((double)scratch[j] - max) / sum *
					       (double)qkv[j * stride + 2 * hidden + h * width + c];
				out[i * hidden + h * width + c] = (float)mix;
			}
		}
}

static void rotate(float *qkv, size_t rows, size_t heads, size_t width, const float *table)
{
	size_t half = width / 2;

	for (size_t r = 0; r < rows; r++, qkv += 3 * heads * width, table += width)
		for (size_t i = 0; i < 2 * heads * half; i++) {
			float *at = qkv + i / half * width + i % half;
			double a = (double)at[0], b = (double)at[half], cosine = (double)table[i % half],
			       sine = (double)table[half + i % half];

			at[0] = (float)(a * cosine - b * sine);
			at[half] = (float)(b * cosine + a * sine);
		}
}

static void swiglu(float *x, size_t rows, size_t width)
{
	for (size_t r = 0; r < rows; r++)
		for (size_t i = 0; i < width; i++) {
			double value = (double)x[2 * r * width + i],
			       gate = (double)x[(2 * r + 1) * width + i];

			x[r * width + i] = (float)(value * gate / (1 + exp(-gate)));
		}
}

static void to_bf16(const float *x, size_t n, uint16_t *out)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;

		memcpy(&bits, x + i, sizeof(bits));
		out[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
	}
}

static void quantize(const float *x, const float *inverse, size_t rows, size_t width, int top,
		     uint8_t *q, float *scale, int32_t *zero)
{
	for (size_t r = 0; r < rows; r++, x += width, q += width) {
		float low = 0, high = 0;

		for (size_t i = 0; i < width; i++) {
			low = fminf(low, x[i] * inverse[i]);
			high = fmaxf(high, x[i] * inverse[i]);
		}
		scale[r] = high > low ? fmaxf((high - low) / (float)top, 1e-30f) : 1;
		zero[r] = (int32_t)rintf(-low / scale[r]);
		for (size_t i = 0; i < width; i++) {
			float v = rintf(x[i] * inverse[i] / scale[r] + (float)zero[r]);

			q[i] = (uint8_t)fminf(fmaxf(v, 0), (float)top);
		}
	}
}

static void dequantize(const struct sutra_dequantizer *d, const int32_t *s, size_t from, size_t rows,
		       size_t n, float *y, size_t to)
{
	for (size_t r = 0; r < rows; r++, s += from, y += to)
		for (size_t i = 0; i < n; i++) {
			int32_t sum;
			double v;

			memcpy(&sum, s + i, sizeof(sum));	/* s may overlay y */
			v = (double)(sum - d->zero[r] * d->weight_sum[i]) * (double)d->scale[r] *
				    (double)d->weight_scale[i] +
			    (double)d->bias[i];
			y[i] = (float)(d->gelu ? 0.5 * v * (1 + erf(v * M_SQRT1_2)) : v);
		}
}

const struct sutra_kernels sutra_kernels_scalar = { "scalar", add_norm, attention, rotate,
						    swiglu, to_bf16, quantize, dequantize };
