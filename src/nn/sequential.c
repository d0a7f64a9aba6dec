/* sequential.c: a container that calls its children one after the other, one tensor between. */
#include "nn/sequential.h"
#include "nn/layer.h"

#include <stdio.h>

static rf_status sequential_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    rf_tensor *x = in->v[0];
    for (size_t i = 0; i < m->num_children; i++) {
        rf_tensor *y = rf_module_call1(m->children[i], s, x);
        if (x != in->v[0])
            rf_layer_done(s, x, y); /* its bytes stay if backward wants them */
        x = y;
    }
    out->v[0] = x;
    return rf_scope_status(s);
}

static const rf_module_class sequential_class = {
    .size = sizeof(rf_module_class), .name = "Sequential", .forward = sequential_forward};

int rf_sequential_is(const rf_module *m)
{
    return m->cls == &sequential_class;
}

rf_status rf_nn_sequential(rf_module **out, rf_context *ctx)
{
    return rf_module_create(out, ctx, &sequential_class, NULL);
}

rf_status rf_nn_sequential_add(rf_module *sequential, rf_module *child)
{
    char name[24];
    if (!rf_sequential_is(sequential))
        return rf_fail(sequential->ctx, RF_E_ARGUMENT, "%s is no sequential container",
                       sequential->cls->name);
    snprintf(name, sizeof name, "%zu", sequential->num_children);
    return rf_module_add_child(sequential, name, child);
}
