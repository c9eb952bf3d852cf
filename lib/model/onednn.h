/*
 * onednn - what gemm.c needs of oneDNN and what 2.6 (Debian 12) and 3.x spell differently. Nothing
 * else includes it.
 *
 * A memory descriptor is an open struct in 2.6 and opaque, made and destroyed, in 3.x: here it
 * is an onednn_desc in memory of its own, behind pointers, in both. 2.6 compiles a product from an
 * operation's descriptor, 3.x straight from the matrices'. Everything else gemm.c calls has
 * one spelling; oneDNN's scales and zero points, which changed most, are not used.
 */
#ifndef SUTRA_MODEL_ONEDNN_H
#define SUTRA_MODEL_ONEDNN_H

#include <dnnl.h>

#include "base/alloc.h"

#if DNNL_VERSION_MAJOR < 3
#define onednn_desc dnnl_memory_desc_t

static inline dnnl_status_t onednn_desc_copy(onednn_desc **ret, const onednn_desc *d)
{
	*ret = sutra_alloc(sizeof(**ret));
	if (!*ret)
		return dnnl_out_of_memory;
	**ret = *d;
	return dnnl_success;
}

static inline dnnl_status_t onednn_desc_new(onednn_desc **ret, int n, const dnnl_dims_t dims,
					    dnnl_data_type_t type, dnnl_format_tag_t tag)
{
	onednn_desc d;
	dnnl_status_t s = dnnl_memory_desc_init_by_tag(&d, n, dims, type, tag);

	return s ? s : onednn_desc_copy(ret, &d);
}

static inline void onednn_desc_free(onednn_desc *d) { sutra_free(d); }

static inline dnnl_status_t onednn_product(dnnl_primitive_desc_t *ret, dnnl_engine_t engine,
					   const onednn_desc *x, const onednn_desc *w,
					   const onednn_desc *bias, const onednn_desc *y,
					   dnnl_primitive_attr_t attr)
{
	dnnl_inner_product_desc_t op;
	dnnl_status_t s = dnnl_inner_product_forward_desc_init(&op, dnnl_forward_inference, x, w, bias, y);

	return s ? s : dnnl_primitive_desc_create(ret, &op, attr, engine, NULL);
}

static inline dnnl_status_t onednn_append_gelu(dnnl_post_ops_t ops)
{
	return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_gelu_erf, 0.0f, 0.0f);
}
#else
#define onednn_desc struct dnnl_memory_desc

static inline dnnl_status_t onednn_desc_copy(onednn_desc **ret, const onednn_desc *d)
{
	return dnnl_memory_desc_clone(ret, d);
}

static inline dnnl_status_t onednn_desc_new(onednn_desc **ret, int n, const dnnl_dims_t dims,
					    dnnl_data_type_t type, dnnl_format_tag_t tag)
{
	return dnnl_memory_desc_create_with_tag(ret, n, dims, type, tag);
}

static inline void onednn_desc_free(onednn_desc *d)
{
	if (d)
		dnnl_memory_desc_destroy(d);
}

static inline dnnl_status_t onednn_product(dnnl_primitive_desc_t *ret, dnnl_engine_t engine,
					   const onednn_desc *x, const onednn_desc *w,
					   const onednn_desc *bias, const onednn_desc *y,
					   dnnl_primitive_attr_t attr)
{
	return dnnl_inner_product_forward_primitive_desc_create(ret, engine, dnnl_forward_inference, x,
								w, bias, y, attr);
}

static inline dnnl_status_t onednn_append_gelu(dnnl_post_ops_t ops)
{
	return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_gelu_erf, 0.0f, 0.0f);
}
#endif

#endif
