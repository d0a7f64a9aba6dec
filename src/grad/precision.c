/* precision.c: products in another precision than the values around them. The casts are ordinary
 * ops, recorded before and after the product, so backward, regions and policies need to know
 * nothing.
 */
#include "grad/node.h"

#include <refrain/ops.h>

rf_status rf_scope_set_precision(rf_scope *s, rf_dtype products)
{
    if (products != RF_F32 && products != RF_BF16)
        return rf_fail(s->ctx, RF_E_DTYPE, "products can be done in f32 or bf16, not in %s",
                       rf_dtype_name(products));
    s->precision = products;
    return RF_OK;
}

rf_dtype rf_scope_precision(const rf_scope *s)
{
    return s->precision;
}

rf_status rf_precision_run(rf_scope *s, const rf_op_class *op, const rf_values *in,
                           const rf_attrs *attrs, rf_values *out)
{
    rf_tensor *v[RF_MAX_INPUTS];
    rf_values cast = {v, in->num};
    rf_dtype precision = s->precision;
    int changed = 0;
    for (size_t i = 0; i < in->num; i++) {
        int f32 = in->v[i] && in->v[i]->view.shape.dtype == RF_F32;
        v[i] = f32 ? rf_cast(s, in->v[i], precision) : in->v[i];
        changed |= f32;
    }
    if (s->status)
        return s->status;
    s->precision = RF_F32;
    rf_status status = rf_op_run(s, op, &cast, attrs->bytes, attrs->size, out);
    s->precision = precision;
    for (size_t j = 0; j < out->num && !status && changed; j++) {
        rf_tensor *narrow = out->v[j];
        if (!narrow || narrow->view.shape.dtype != (uint8_t)precision)
            continue;
        out->v[j] = rf_cast(s, narrow, RF_F32);
        rf_release(s, narrow);
    }
    for (size_t i = 0; i < in->num; i++)
        if (v[i] != in->v[i])
            rf_release(s, v[i]);
    return status ? status : s->status;
}
