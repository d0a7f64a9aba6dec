/* elements.c: see elements.h. Where the elements already lie in memory as they would in a file,
 * which is nearly always, they go straight from there; else through a copy of the whole tensor. */
#include "io/elements.h"
#include "base/bytes.h"
#include "tensor/context.h"

/* The elements, if they can be read and written in place. */
static void *elements_in_place(rf_tensor *t)
{
    const int64_t *dims = rf_tensor_dims(t), *strides = rf_tensor_strides(t);
    int64_t step = 1;
    if (!rf_host_is_little() || rf_tensor_device(t) != RF_DEVICE_CPU)
        return NULL;
    for (size_t axis = rf_tensor_rank(t); axis-- > 0; step *= dims[axis])
        if (dims[axis] != 1 && strides[axis] != step)
            return NULL;
    return rf_tensor_data(t);
}

static void elements_swap(const rf_tensor *t, void *copy)
{
    if (!rf_host_is_little())
        rf_swap_bytes(copy, (size_t)rf_tensor_count(t), rf_dtype_size(rf_tensor_dtype(t)));
}

static rf_status elements_copy(rf_tensor *t, void **copy)
{
    rf_context *ctx = rf_tensor_context(t);
    *copy = rf_host_alloc(ctx, rf_tensor_bytes(t));
    return *copy ? RF_OK : rf_context_error(ctx)->code;
}

rf_status rf_elements_out(rf_tensor *t, rf_take_bytes take, void *payload)
{
    size_t bytes = rf_tensor_bytes(t);
    void *copy, *place = elements_in_place(t);
    if (!bytes)
        return RF_OK;
    if (place)
        return take(payload, place, bytes);
    rf_status status = elements_copy(t, &copy);
    if (status)
        return status;
    status = rf_tensor_copy_out(t, copy, bytes);
    elements_swap(t, copy);
    if (!status)
        status = take(payload, copy, bytes);
    rf_host_free(rf_tensor_context(t), copy, bytes);
    return status;
}

rf_status rf_elements_in(rf_tensor *t, rf_give_bytes give, void *payload)
{
    size_t bytes = rf_tensor_bytes(t);
    void *copy, *place = elements_in_place(t);
    if (!bytes)
        return RF_OK;
    if (place) {
        rf_status status = give(payload, place, bytes);
        rf_tensor_touch(t);
        return status;
    }
    rf_status status = elements_copy(t, &copy);
    if (status)
        return status;
    status = give(payload, copy, bytes);
    elements_swap(t, copy);
    if (!status)
        status = rf_tensor_copy_from(t, copy, bytes);
    rf_host_free(rf_tensor_context(t), copy, bytes);
    return status;
}
