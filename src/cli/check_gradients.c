/* check_gradients.c: a walk over the table of ops. Each says itself what valid calls of it are; the
 * gradients that its rule gives are compared with central differences, and those of ops that allow
 * it to the second order. */
#include "cli/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <refrain/extend.h>
#include <refrain/ops.h>

enum { CHECK_SAMPLES = 100 };

typedef struct check_op {
    const rf_op_class *op;
    const rf_op_sample *sample;
} check_op;

/* A generator of its own, since the library's is among what is checked. */
static double check_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) / 9007199254740992.0;
}

static rf_tensor *check_input(rf_scope *s, const rf_op_sample_input *in, uint64_t *state)
{
    size_t num = 1;
    for (size_t i = 0; i < in->rank; i++)
        num *= (size_t)in->dims[i];
    double *values = malloc(num * sizeof *values + 8);
    int64_t *whole = (int64_t *)(void *)values;
    for (size_t i = 0; i < num && values; i++) {
        double x = in->low + (in->high - in->low) * check_next(state);
        if (in->integer)
            whole[i] = (int64_t)x;
        else
            values[i] = x;
    }
    rf_tensor *t =
        values ? rf_tensor_copy_in(s, in->integer ? RF_I64 : RF_F64, in->rank, in->dims, values)
               : NULL;
    free(values);
    return t;
}

static rf_status check_inputs(rf_scope *s, const check_op *c, uint64_t seed, rf_tensor **in)
{
    uint64_t state = seed;
    rf_status status = RF_OK;
    for (size_t i = 0; i < c->sample->num_in && !status; i++) {
        const rf_op_sample_input *like = &c->sample->in[i];
        /* What an op multiplies in place is gone when the other factor's gradient asks for it. */
        int wants = !like->integer && !(i == 1 && strcmp(c->op->name, "mul_inplace") == 0);
        in[i] = like->absent ? NULL : check_input(s, like, &state);
        if (!like->absent && !in[i])
            status = rf_scope_status(s) ? rf_scope_status(s) : RF_E_MEMORY;
        else if (in[i] && wants)
            status = rf_tensor_set_requires_grad(in[i], 1);
    }
    return status;
}

static rf_status check_call(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const check_op *c = payload;
    rf_tensor *handles[RF_MAX_INPUTS];
    rf_values copy = {handles, in->num};
    memcpy(handles, in->v, in->num * sizeof *handles);
    if (c->op->traits & RF_OP_INPLACE) /* a leaf may not change */
        handles[0] = rf_clone(s, handles[0]);
    return rf_op_run(s, c->op, &copy, c->sample->attrs, RF_MAX_ATTRS, out);
}

/* One sample; what is wrong goes into `why`. */
static int check_sample(check_op *c, uint64_t seed, char *why, size_t bytes)
{
    rf_context *ctx;
    rf_scope *s;
    rf_tensor *in[RF_MAX_INPUTS];
    rf_values values = {in, c->sample->num_in};
    rf_gradcheck_options opts = RF_GRADCHECK_OPTIONS_INIT;
    opts.second_order = 1;
    opts.tolerance = 2e-5;
    opts.step = 1e-5;
    opts.outputs = c->op->num_out;
    if (rf_context_create(&ctx, NULL)) {
        snprintf(why, bytes, "no memory");
        return 0;
    }
    rf_status status = rf_scope_open(&s, ctx, NULL);
    if (!status) {
        status = check_inputs(s, c, seed, in);
        if (!status)
            status = rf_gradcheck(s, (rf_function){check_call, c, NULL}, &values, &opts);
        rf_scope_close(s);
    }
    if (status)
        snprintf(why, bytes, "%s", rf_context_error(ctx)->message);
    rf_context_destroy(ctx);
    return !status;
}

static void check_one_op(check_tally *tally, const rf_op_class *op)
{
    rf_op_sample sample;
    char why[256] = "";
    size_t num = 0, failed = 0;
    for (; num < CHECK_SAMPLES; num++) {
        check_op c = {op, &sample};
        memset(&sample, 0, sizeof sample);
        if (!op->sample(num, &sample))
            break;
        failed += !check_sample(&c, tally->options->seed + 41, why, sizeof why);
    }
    tally->made += num;
    tally->failed += failed;
    printf("  %-20s %3zu sample%s  %s\n", op->name, num, num == 1 ? " " : "s", failed ? why : "ok");
    fflush(stdout);
}

void check_gradients(check_tally *tally)
{
    rf_context *ctx;
    printf("\ngradients against differences, first and second order, f64\n");
    if (rf_context_create(&ctx, NULL)) {
        tally->made++;
        tally->failed++;
        return;
    }
    for (size_t i = 0; i < rf_op_count(ctx); i++) {
        const rf_op_class *op = rf_op_at(ctx, i);
        if (op->sample && op->backward && !(op->traits & RF_OP_NO_GRAD))
            check_one_op(tally, op);
    }
    rf_context_destroy(ctx);
}
