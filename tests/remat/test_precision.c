/* test_precision.c: AT-10: the precision of products is part of a region's state (A10). */
#include "support/world.h"

typedef struct program {
    rf_tensor *weight, *bias;
    int inside;       /* the function sets the precision itself */
    rf_dtype seen[8]; /* what the scope says, call by call    */
    int calls;
} program;

static rf_status products(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    program *p = payload;
    rf_scope *inner = NULL;
    if (rf_scope_open(&inner, rf_scope_context(s), s))
        return RF_E_MEMORY;
    rf_status status = p->inside ? rf_scope_set_precision(inner, RF_BF16) : RF_OK;
    p->seen[p->calls++] = rf_scope_precision(inner);
    rf_tensor *h = rf_linear(inner, in->v[0], p->weight, p->bias);
    h = rf_matmul(inner, rf_gelu(inner, h), p->weight);
    out->v[0] = rf_keep(inner, rf_exp(inner, rf_affine(inner, h, 0.01, 0)));
    status = status ? status : rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

/* Gradients of x, weight and bias, one after the other; casts computed in forward and backward. */
static void *gradients(world *w, program *p, int region, rf_dtype outside, uint64_t casts[2])
{
    rf_tensor *x = world_leaf(w, 8, 16, 0.2), *y = NULL;
    rf_values in = {&x, 1}, out = {&y, 1};
    rf_function fn = {products, p, NULL};
    rf_scope *s = NULL;
    p->calls = 0;
    rf_op_counts_reset(w->ctx);
    assert_ok(w->ctx, rf_scope_open(&s, w->ctx, w->s));
    assert_ok(w->ctx, rf_scope_set_precision(s, outside));
    if (region)
        assert_ok(w->ctx, rf_checkpoint_call(s, fn, &in, &out, NULL));
    else
        assert_ok(w->ctx, products(p, s, &in, &out));
    assert_int_equal(rf_tensor_dtype(y), RF_F32);
    assert_ok(w->ctx, rf_scope_set_precision(s, RF_F32)); /* backward runs outside of it */
    casts[0] = world_executed(w, "cast");
    assert_ok(w->ctx, rf_backward(s, rf_sum(s, y)));
    casts[1] = world_executed(w, "cast") - casts[0];
    size_t sizes[3] = {8 * 16 * 4, 16 * 16 * 4, 16 * 4};
    rf_tensor *leaves[3] = {x, p->weight, p->bias};
    char *all = malloc(sizes[0] + sizes[1] + sizes[2]), *at = all;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rf_tensor_dtype(rf_grad(leaves[i])), RF_F32);
        void *bytes = world_bytes(w, rf_grad(leaves[i]));
        memcpy(at, bytes, sizes[i]);
        at += sizes[i];
        free(bytes);
        rf_grad_clear(leaves[i]);
    }
    rf_scope_close(s);
    rf_release(w->s, x);
    return all;
}

/* AT-10 */
static void test_at10_precision_is_the_same_in_both_passes(void **state)
{
    world *w = *state;
    program p = {.weight = world_leaf(w, 16, 16, 0.1)};
    float zeros[16] = {0};
    size_t bytes = (8 * 16 + 16 * 16 + 16) * 4;
    uint64_t casts[2], again[2];
    p.bias = rf_tensor_copy_in(w->s, RF_F32, 1, (int64_t[]){16}, zeros);
    assert_ok(w->ctx, rf_tensor_set_requires_grad(p.bias, 1));
    void *f32 = gradients(w, &p, 0, RF_F32, casts);
    assert_int_equal(casts[0] + casts[1], 0);
    void *plain = gradients(w, &p, 0, RF_BF16, casts);
    assert_int_equal(casts[0], 3 + 1 + 2 + 1); /* inputs in, results back */
    assert_memory_not_equal(f32, plain, bytes);
    for (p.inside = 0; p.inside < 2; p.inside++) {
        void *region = gradients(w, &p, 1, p.inside ? RF_F32 : RF_BF16, again);
        assert_memory_equal(plain, region, bytes);
        assert_int_equal(p.calls, 2);
        assert_int_equal(p.seen[0], RF_BF16);
        assert_int_equal(p.seen[1], RF_BF16);
        assert_int_equal(again[0], casts[0]);
        /* the casts that backward reads run again: x and the weight twice, the first product's
         * back, what goes into the second, which has no use for its own way back */
        assert_true(again[1] > casts[1] && again[1] <= 2 * casts[0] + casts[1]);
        free(region);
    }
    free(plain);
    free(f32);
}

static void test_other_precisions_are_refused(void **state)
{
    world *w = *state;
    assert_int_equal(rf_scope_set_precision(w->s, RF_I32), RF_E_DTYPE);
    assert_int_equal(rf_scope_set_precision(w->s, RF_F64), RF_E_DTYPE);
    assert_int_equal(rf_scope_precision(w->s), RF_F32);
    assert_ok(w->ctx, rf_scope_set_precision(w->s, RF_BF16));
    /* what is not f32 stays as it is */
    rf_tensor *a = rf_full(w->s, RF_F64, 2, (int64_t[]){2, 2}, 1.0 / 3);
    assert_int_equal(rf_tensor_dtype(rf_matmul(w->s, a, a)), RF_F64);
    rf_tensor *b = rf_full(w->s, RF_BF16, 2, (int64_t[]){2, 2}, 1.0 / 3);
    assert_int_equal(rf_tensor_dtype(rf_matmul(w->s, b, b)), RF_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_at10_precision_is_the_same_in_both_passes, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_other_precisions_are_refused, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
