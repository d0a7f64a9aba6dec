/* gradcheck.c: gradients against central differences.
 *
 * The function's results are weighed with fixed pseudo-random numbers into one figure L. For every
 * element x of every input that wants a gradient, (L(x + h) - L(x - h)) / 2h must agree with what
 * backward says. Second order is the same check of the function that gives the gradients.
 */
#include "grad/engine.h"

#include <refrain/ops.h>

#include <math.h>

typedef struct check {
    rf_context *ctx;
    rf_function fn;
    const rf_values *in;
    size_t outputs;
    double step, tolerance;
    rf_rng rng;
    const char *order;
} check;

static double check_weight(uint64_t i)
{
    uint64_t h = (i + 1) * 0x9E3779B97F4A7C15u;
    h ^= h >> 31;
    return 0.5 + (double)(h % 1000) / 1000;
}

/* sum of out weights, in s */
static rf_tensor *check_weigh(rf_scope *s, rf_tensor *out, uint64_t salt)
{
    if (!out)
        return NULL;
    size_t n = (size_t)rf_tensor_count(out), bytes = n * sizeof(double);
    double *host = rf_host_alloc(s->ctx, bytes);
    if (!host) {
        rf_scope_fail(s, s->ctx->record.error.code, NULL);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        host[i] = check_weight(salt * 1000003 + i);
    rf_tensor *w = rf_tensor_copy_in(s, RF_F64, rf_tensor_rank(out), rf_tensor_dims(out), host);
    rf_host_free(s->ctx, host, bytes);
    return rf_sum(s, rf_mul(s, rf_cast(s, out, RF_F64), w));
}

/* The figure L, recorded in s. */
static rf_tensor *check_figure(const check *c, rf_scope *s)
{
    rf_tensor *results[RF_MAX_INPUTS] = {NULL}, *sum = NULL;
    rf_values out = {results, c->outputs};
    rf_context_set_rng(c->ctx, c->rng);
    rf_status status = c->fn.call(c->fn.payload, s, c->in, &out);
    if (status)
        rf_scope_fail(s, status, NULL);
    for (size_t i = 0; i < c->outputs && !s->status; i++) {
        rf_tensor *part = check_weigh(s, results[i], i);
        sum = !sum ? part : part ? rf_add(s, sum, part) : sum;
    }
    return s->status ? NULL : sum;
}

static rf_status check_value(const check *c, rf_scope *outer, double *value)
{
    rf_scope s;
    rf_scope_begin(&s, c->ctx, outer);
    rf_tensor *figure = check_figure(c, &s);
    rf_status status = figure ? rf_tensor_item(figure, value) : s.status;
    if (!status && !figure)
        status = rf_fail(c->ctx, RF_E_ARGUMENT, "gradcheck: the function gave no result");
    rf_scope_end(&s);
    return status;
}

static rf_status check_element(const check *c, rf_scope *s, size_t input, int64_t i, double found)
{
    double *x = rf_tensor_data(c->in->v[input]), was, above, below;
    if (!x)
        return c->ctx->record.error.code;
    was = x[i];
    x[i] = was + c->step;
    rf_tensor_touch(c->in->v[input]);
    rf_status status = check_value(c, s, &above);
    x[i] = was - c->step;
    if (!status)
        status = check_value(c, s, &below);
    x[i] = was;
    rf_tensor_touch(c->in->v[input]);
    if (status)
        return status;
    double wanted = (above - below) / (2 * c->step);
    if (fabs(found - wanted) <= c->tolerance * (1 + fabs(wanted)))
        return RF_OK;
    return rf_fail(c->ctx, RF_E_USER,
                   "gradcheck: %s gradient of input %zu, element %lld: backward says %.9g, "
                   "differences say %.9g",
                   c->order, input, (long long)i, found, wanted);
}

static int check_wants(const rf_tensor *t)
{
    return t && t->requires_grad && t->view.shape.dtype == RF_F64;
}

/* Backward once; the gradient of each input, copied to host arrays. */
static rf_status check_backward(const check *c, rf_scope *outer, double **grads)
{
    rf_tensor *inputs[RF_MAX_INPUTS], *found[RF_MAX_INPUTS] = {NULL};
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_values in = {inputs, 0}, out = {found, 0};
    rf_scope s;
    for (size_t i = 0; i < c->in->num; i++)
        if (check_wants(c->in->v[i]))
            inputs[in.num++] = c->in->v[i];
    out.num = in.num;
    opts.allow_unused = 1;
    rf_scope_begin(&s, c->ctx, outer);
    rf_tensor *figure = check_figure(c, &s);
    rf_status status = s.status;
    if (!status && figure && figure->requires_grad)
        status = rf_gradients(&s, figure, &in, &out, &opts);
    for (size_t i = 0, k = 0; i < c->in->num && !status; i++)
        if (check_wants(c->in->v[i])) {
            if (found[k])
                status = rf_tensor_copy_out(found[k], grads[i], rf_tensor_bytes(c->in->v[i]));
            k++;
        }
    rf_scope_end(&s);
    return status;
}

static rf_status check_order(const check *c, rf_scope *s)
{
    double *grads[RF_MAX_INPUTS] = {NULL};
    rf_status status = RF_OK;
    for (size_t i = 0; i < c->in->num && !status; i++)
        if (check_wants(c->in->v[i]) &&
            !(grads[i] = rf_host_alloc(c->ctx, rf_tensor_bytes(c->in->v[i]))))
            status = c->ctx->record.error.code;
    if (!status)
        status = check_backward(c, s, grads);
    for (size_t i = 0; i < c->in->num && !status; i++)
        for (int64_t k = 0; grads[i] && k < rf_tensor_count(c->in->v[i]) && !status; k++)
            status = check_element(c, s, i, k, grads[i][k]);
    for (size_t i = 0; i < c->in->num; i++)
        if (grads[i])
            rf_host_free(c->ctx, grads[i], rf_tensor_bytes(c->in->v[i]));
    return status;
}

/* The function that gives the gradients of the first one. */
static rf_status check_second(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    check c = *(const check *)payload;
    rf_tensor *inputs[RF_MAX_INPUTS], *found[RF_MAX_INPUTS] = {NULL};
    rf_values from = {inputs, 0}, to = {found, 0};
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    c.in = in;
    for (size_t i = 0; i < in->num; i++)
        if (check_wants(in->v[i]))
            inputs[from.num++] = in->v[i];
    to.num = from.num;
    opts.create_graph = opts.allow_unused = 1;
    rf_tensor *figure = check_figure(&c, s);
    if (!figure || !figure->requires_grad)
        return s->status;
    rf_status status = rf_gradients(s, figure, &from, &to, &opts);
    for (size_t k = 0; k < to.num && k < out->num && !status; k++)
        out->v[k] = found[k];
    return status;
}

rf_status rf_gradcheck(rf_scope *s, rf_function fn, const rf_values *in,
                       const rf_gradcheck_options *opts)
{
    static const rf_gradcheck_options defaults = RF_GRADCHECK_OPTIONS_INIT;
    opts = opts ? opts : &defaults;
    rf_context *ctx = s->ctx;
    check c = {.ctx = ctx,
               .fn = fn,
               .in = in,
               .outputs = opts->outputs ? opts->outputs : 1,
               .step = opts->step > 0 ? opts->step : 1e-6,
               .tolerance = opts->tolerance > 0 ? opts->tolerance : 1e-6,
               .rng = ctx->rng,
               .order = "the"};
    rf_status status = s->status;
    if (!status && (in->num > RF_MAX_INPUTS || c.outputs > RF_MAX_INPUTS))
        status = rf_fail(ctx, RF_E_ARGUMENT, "gradcheck: too many inputs or results");
    if (!status)
        status = check_order(&c, s);
    if (!status && opts->second_order) {
        check second = c;
        second.fn = (rf_function){check_second, &c, NULL};
        second.outputs = in->num;
        second.order = "the second-order";
        status = check_order(&second, s);
    }
    if (fn.destroy)
        fn.destroy(fn.payload);
    return status;
}
