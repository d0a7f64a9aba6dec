/* 04_own_op.c: an op of your own, y = log(1 + exp(x)). It gets slots, regions, accounting and
 * gradient checks like Refrain's own. */
#include <refrain/refrain.h>
#include <math.h>
#include <stdio.h>

/* The result has the shape of the input. */
static rf_status softplus_infer(rf_op_call *call)
{
    call->out[0].shape = call->in[0].shape;
    return call->in[0].shape.dtype == RF_F64
               ? RF_OK
               : rf_op_fail(call, RF_E_DTYPE, "only f64, for brevity");
}

static rf_status softplus_forward(rf_op_call *call)
{
    const double *x = call->in[0].data;
    double *y = call->out[0].data;
    int64_t n = 1;
    for (int i = 0; i < call->in[0].shape.rank; i++)
        n *= call->in[0].shape.dims[i];
    for (int64_t i = 0; i < n; i++)
        y[i] = log1p(exp(x[i]));
    return RF_OK;
}

/* Backward reads the input: this line decides what is kept. */
static rf_op_reads softplus_reads(const rf_op_call *call, uint32_t wanted)
{
    rf_op_reads reads = {wanted ? 1u : 0u, 0};
    (void)call;
    return reads;
}

/* dx = g / (1 + exp(-x)), written with ops, so that it can be differentiated again. */
static rf_status softplus_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *slope = rf_sigmoid(s, rf_op_saved_input(grad, 0));
    grad->grad_in[0] = rf_mul(s, grad->grad_out[0], slope);
    return rf_scope_status(s);
}

static const rf_op_class softplus = {.size = sizeof(rf_op_class),
                                     .name = "softplus",
                                     .doc = "log(1 + exp(x))",
                                     .num_out = 1,
                                     .infer = softplus_infer,
                                     .forward = softplus_forward,
                                     .reads = softplus_reads,
                                     .backward = softplus_backward};

static rf_status apply(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    return rf_op_run(s, &softplus, in, NULL, 0, out);
}

int main(void)
{
    rf_context *ctx;
    rf_scope *s;
    double host[6] = {-3, -1, -0.1, 0.2, 1, 4}, loss = 0;
    if (rf_context_create(&ctx, NULL) || rf_op_register(ctx, &softplus) ||
        rf_scope_open(&s, ctx, NULL))
        return 1;
    rf_tensor *x = rf_tensor_copy_in(s, RF_F64, 2, (int64_t[]){2, 3}, host), *y = NULL;
    rf_values in = {&x, 1}, out = {&y, 1};
    rf_function fn = {apply, NULL, NULL};
    rf_gradcheck_options opts = RF_GRADCHECK_OPTIONS_INIT;
    opts.second_order = 1;
    opts.tolerance = 1e-4;
    if (rf_tensor_set_requires_grad(x, 1))
        return 1;
    rf_status status = rf_gradcheck(s, fn, &in, &opts);
    printf("gradients of first and second order: %s\n", rf_status_name(status));
    if (!status)
        status = rf_checkpoint_call(s, fn, &in, &out, NULL); /* and in a region */
    rf_tensor *sum = rf_sum(s, y);
    if (!status)
        status = rf_tensor_item(sum, &loss);
    if (!status)
        status = rf_backward(s, sum);
    if (status)
        fprintf(stderr, "%s: %s\n", rf_status_name(status), rf_context_error(ctx)->message);
    else
        printf("sum %.6f\n", loss);
    rf_scope_close(s);
    rf_context_destroy(ctx);
    return status != RF_OK;
}
