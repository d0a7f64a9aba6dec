/* verify.c: a hash of a value's elements, taken when it is saved and again when it is recomputed.
 * The hash is XXH64 over the elements in row-major order, so it does not depend on strides. */
#include "base/hash.h"
#include "remat/frame.h"

enum { VERIFY_SAMPLES = 64 };

/* Where element number i (row-major) of view lies, in elements. */
static int64_t verify_place(const rf_view *view, int64_t i)
{
    int64_t place = view->offset;
    for (size_t axis = view->shape.rank; axis-- > 0;) {
        int64_t dim = view->shape.dims[axis];
        place += i % dim * view->strides[axis];
        i /= dim;
    }
    return place;
}

uint64_t rf_verify_hash(rf_verify verify, const rf_storage *s, const rf_view *view)
{
    size_t width = rf_dtype_size((rf_dtype)view->shape.dtype);
    int64_t count = rf_shape_count(&view->shape), step = 1;
    rf_hasher hasher;
    if (verify < RF_VERIFY_SAMPLED || !s->data || s->pending || !count)
        return 0;
    const char *data = s->data;
    rf_hasher_begin(&hasher, 0);
    if (verify == RF_VERIFY_SAMPLED)
        step = (count + VERIFY_SAMPLES - 1) / VERIFY_SAMPLES;
    if (step == 1 && rf_view_contiguous(view))
        rf_hasher_add(&hasher, data + (size_t)view->offset * width, (size_t)count * width);
    else
        for (int64_t i = 0; i < count; i += step)
            rf_hasher_add(&hasher, data + (size_t)verify_place(view, i) * width, width);
    uint64_t hash = rf_hasher_end(&hasher);
    return hash ? hash : 1;
}
