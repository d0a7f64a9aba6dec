/* test_ops.c: walks the table of ops. For every sample of every op: gradients of first and second
 * order against central differences in f64; recompute equality by memcmp in f32, at depths 0 to 3;
 * the k-th allocation failing, for every k. And: every op is documented, has samples, and says how
 * it stands with gradients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/sample.h"

typedef void (*op_test)(const rf_op_class *op, const rf_op_sample *sample);

static void each_sample(op_test test)
{
    rf_context *ctx;
    assert_int_equal(rf_context_create(&ctx, NULL), RF_OK);
    for (size_t i = 0; i < rf_op_count(ctx); i++) {
        const rf_op_class *op = rf_op_at(ctx, i);
        rf_op_sample sample;
        for (size_t k = 0; op->sample && k < 100; k++) {
            memset(&sample, 0, sizeof sample);
            if (!op->sample(k, &sample))
                break;
            test(op, &sample);
        }
    }
    rf_context_destroy(ctx);
}

static void test_every_op_is_described(void **state)
{
    (void)state;
    rf_context *ctx;
    assert_int_equal(rf_context_create(&ctx, NULL), RF_OK);
    for (size_t i = 0; i < rf_op_count(ctx); i++) {
        const rf_op_class *op = rf_op_at(ctx, i);
        if (!op->doc || !*op->doc)
            fail_msg("%s has no doc line", op->name);
        /* An op without a gradient is either marked so or is itself a fused gradient. */
        int grad_op = strstr(op->name, "_grad") != NULL;
        if (!op->backward && !(op->traits & RF_OP_NO_GRAD) && !grad_op)
            fail_msg("%s has no backward and is not marked RF_OP_NO_GRAD", op->name);
        if (op->backward && !op->reads)
            fail_msg("%s does not say what its backward reads", op->name);
        if (!op->sample && !grad_op)
            fail_msg("%s has no samples", op->name);
    }
    rf_context_destroy(ctx);
}

static void gradcheck(const rf_op_class *op, const rf_op_sample *sample)
{
    rf_context *ctx;
    rf_scope *s;
    rf_tensor *in[RF_MAX_INPUTS];
    if (op->traits & RF_OP_NO_GRAD)
        return;
    assert_int_equal(rf_context_create(&ctx, NULL), RF_OK);
    assert_ok(ctx, rf_scope_open(&s, ctx, NULL));
    sample_op payload = {op, sample};
    rf_values values = {in, sample_inputs(s, sample, RF_F64, in)};
    rf_gradcheck_options opts = RF_GRADCHECK_OPTIONS_INIT;
    if (!strcmp(op->name, "mul_inplace")) /* sample_call keeps its second input out */
        assert_ok(ctx, rf_tensor_set_requires_grad(in[1], 0));
    opts.second_order = 1;
    opts.tolerance = 2e-5;
    opts.step = 1e-5;
    opts.outputs = op->num_out;
    rf_status status = rf_gradcheck(s, (rf_function){sample_call, &payload, NULL}, &values, &opts);
    if (status)
        fail_msg("%s: %s: %s", op->name, rf_status_name(status), rf_context_error(ctx)->message);
    rf_scope_close(s);
    rf_context_destroy(ctx);
}

static void test_gradients_against_differences(void **state)
{
    (void)state;
    each_sample(gradcheck);
}

/* ---- equality of a recompute ---- */

typedef struct nested {
    sample_op op;
    int depth;
} nested;

/* payload is the last of depth + 1 levels. The op between two others, so that what it reads and
 * gives is computed inside the region. */
static rf_status nested_call(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    nested *n = payload;
    if (n->depth > 0) {
        rf_function fn = {nested_call, n - 1, NULL};
        return rf_checkpoint_call(s, fn, in, out, NULL);
    }
    rf_tensor *handles[RF_MAX_INPUTS];
    rf_values inner = {handles, in->num};
    for (size_t i = 0; i < in->num; i++) {
        rf_tensor *x = in->v[i];
        int is_float = x && rf_tensor_dtype(x) == RF_F32;
        handles[i] = is_float ? rf_affine(s, rf_sigmoid(s, x), 1.5, 0.25) : x;
    }
    rf_status status = sample_call(&n->op, s, &inner, out);
    for (size_t j = 0; j < out->num && !status; j++)
        if (out->v[j] && rf_tensor_dtype(out->v[j]) == RF_F32)
            out->v[j] = rf_tanh(s, out->v[j]);
    return rf_scope_status(s);
}

typedef struct bits {
    unsigned char *bytes;
    size_t len;
} bits;

static void bits_add(rf_context *ctx, bits *b, const rf_tensor *t)
{
    size_t n = t ? rf_tensor_bytes(t) : 0;
    b->bytes = realloc(b->bytes, b->len + n + 1);
    if (t)
        assert_ok(ctx, rf_tensor_copy_out(t, b->bytes + b->len, n));
    b->len += n;
}

/* Results, gradients and the generator's end state of one run. */
static bits run_at_depth(const rf_op_class *op, const rf_op_sample *sample, int depth)
{
    bits b = {NULL, 0};
    rf_context *ctx;
    rf_scope *s;
    rf_tensor *in[RF_MAX_INPUTS], *results[RF_MAX_OUTPUTS] = {NULL}, *loss = NULL;
    assert_int_equal(rf_context_create(&ctx, NULL), RF_OK);
    assert_ok(ctx, rf_scope_open(&s, ctx, NULL));
    rf_values values = {in, sample_inputs(s, sample, RF_F32, in)}, out = {results, op->num_out};
    nested levels[4];
    for (int d = 0; d <= depth; d++)
        levels[d] = (nested){{op, sample}, d};
    assert_ok(ctx, nested_call(&levels[depth], s, &values, &out));
    for (size_t j = 0; j < out.num; j++) {
        if (!results[j] || rf_tensor_dtype(results[j]) != RF_F32)
            continue;
        bits_add(ctx, &b, results[j]);
        rf_tensor *part = rf_sum(s, rf_mul(s, results[j], results[j]));
        loss = loss ? rf_add(s, loss, part) : part;
    }
    if (loss && rf_tensor_requires_grad(loss))
        assert_ok(ctx, rf_backward(s, loss));
    for (size_t i = 0; i < values.num; i++)
        if (in[i])
            bits_add(ctx, &b, rf_grad(in[i]));
    rf_rng rng = rf_context_rng(ctx);
    b.bytes = realloc(b.bytes, b.len + sizeof rng + 1);
    memcpy(b.bytes + b.len, &rng, sizeof rng);
    b.len += sizeof rng;
    rf_scope_close(s);
    rf_context_destroy(ctx);
    return b;
}

static void recompute_equal(const rf_op_class *op, const rf_op_sample *sample)
{
    if (op->traits & RF_OP_NO_GRAD)
        return;
    bits plain = run_at_depth(op, sample, 0);
    for (int depth = 1; depth <= 3; depth++) {
        bits again = run_at_depth(op, sample, depth);
        if (plain.len != again.len || memcmp(plain.bytes, again.bytes, plain.len))
            fail_msg("%s at depth %d differs from plain", op->name, depth);
        free(again.bytes);
    }
    free(plain.bytes);
}

static void test_recompute_has_the_same_bits(void **state)
{
    (void)state;
    each_sample(recompute_equal);
}

/* ---- allocation failure ---- */

/* Forward and backward of the op in a region. */
static rf_status run_once(rf_context *ctx, const rf_op_class *op, const rf_op_sample *sample)
{
    rf_scope *s;
    rf_tensor *in[RF_MAX_INPUTS] = {NULL}, *results[RF_MAX_OUTPUTS] = {NULL}, *loss = NULL;
    rf_status status = rf_scope_open(&s, ctx, NULL);
    if (status)
        return status;
    rf_values values = {in, sample_inputs(s, sample, RF_F32, in)}, out = {results, op->num_out};
    nested levels[2] = {{{op, sample}, 0}, {{op, sample}, 1}};
    status = rf_scope_status(s);
    if (!status)
        status = nested_call(&levels[1], s, &values, &out);
    for (size_t j = 0; j < out.num && !status; j++)
        if (results[j] && rf_tensor_dtype(results[j]) == RF_F32) {
            rf_tensor *part = rf_sum(s, results[j]);
            loss = loss ? rf_add(s, loss, part) : part;
        }
    if (!status)
        status = rf_scope_status(s);
    if (!status && loss && rf_tensor_requires_grad(loss))
        status = rf_backward(s, loss);
    rf_scope_close(s);
    return status;
}

static uint64_t live_bytes(rf_context *ctx)
{
    uint64_t sum = 0;
    rf_memory_info info;
    for (int cls = RF_MEM_PARAM; cls < RF_MEM_CLASSES; cls++)
        if (cls != RF_MEM_OTHER) {
            assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, (rf_mem_class)cls, &info));
            sum += info.used;
        }
    return sum;
}

static void every_failure(const rf_op_class *op, const rf_op_sample *sample)
{
    for (uint64_t k = 1; k < 100000; k++) {
        counting c = {0};
        rf_context *ctx;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.alloc = counting_alloc;
        opts.alloc_payload = &c;
        assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
        c.made = 0;
        c.fail_at = k;
        rf_status status = run_once(ctx, op, sample);
        int reached = c.made >= k;
        c.fail_at = 0;
        if (reached && status != RF_E_MEMORY)
            fail_msg("%s: allocation %llu failed, but the status is %s", op->name,
                     (unsigned long long)k, rf_status_name(status));
        if (live_bytes(ctx))
            fail_msg("%s: after failure of allocation %llu the ledger holds %llu bytes", op->name,
                     (unsigned long long)k, (unsigned long long)live_bytes(ctx));
        assert_ok(ctx, run_once(ctx, op, sample)); /* and the next one succeeds */
        rf_context_destroy(ctx);
        if (c.live)
            fail_msg("%s: %llu allocations leaked after failure %llu", op->name,
                     (unsigned long long)c.live, (unsigned long long)k);
        if (!reached)
            return;
    }
    fail_msg("%s never succeeds", op->name);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    each_sample(every_failure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op_is_described),
        cmocka_unit_test(test_gradients_against_differences),
        cmocka_unit_test(test_recompute_has_the_same_bits),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
