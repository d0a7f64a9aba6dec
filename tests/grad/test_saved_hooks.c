/* test_saved_hooks.c: hooks on saved values, tiers of scopes, and changes in place under a guard:
 * AT-50 to AT-52 (1G of the reference's behaviour), B4 and X14. */
#include "support/world.h"

#include <math.h>

/* Packs by a factor, unpacks by another; counts. */
typedef struct factors {
    double pack, unpack;
    int packed, unpacked, dropped, destroyed;
    rf_status fail;
    int spoil, odd;
} factors;

static rf_status factor_pack(void *payload, rf_scope *s, rf_tensor *value, rf_tensor **packed,
                             void **box)
{
    factors *f = payload;
    f->packed++;
    *box = f;
    if (f->fail)
        return f->fail;
    if (f->spoil)
        rf_add_inplace(s, value, value);
    *packed = rf_affine(s, value, f->pack, 0);
    return RF_OK;
}

static rf_status factor_unpack(void *payload, rf_scope *s, rf_tensor *packed, void *box,
                               rf_tensor **value)
{
    factors *f = payload;
    f->unpacked++;
    assert_ptr_equal(box, f);
    *value = f->odd ? rf_sum(s, packed) : rf_affine(s, packed, f->unpack, 0);
    return RF_OK;
}

static void factor_drop(void *payload, void *box)
{
    assert_ptr_equal(payload, box);
    ((factors *)payload)->dropped++;
}

static void factor_destroy(void *payload)
{
    ((factors *)payload)->destroyed++;
}

static rf_saved_hooks factor_hooks(factors *f, int stacked)
{
    return (rf_saved_hooks){factor_pack, factor_unpack, factor_drop, f, factor_destroy, stacked};
}

static double item(rf_tensor *t)
{
    double value = -1;
    assert_int_equal(rf_tensor_item(t, &value), RF_OK);
    return value;
}

static rf_tensor *scalar(world *w, double value)
{
    float v = (float)value;
    rf_tensor *t = rf_tensor_copy_in(w->s, RF_F32, 1, (int64_t[]){1}, &v);
    assert_int_equal(rf_tensor_set_requires_grad(t, 1), RF_OK);
    return t;
}

/* AT-50: results scale by the factors, the innermost pair alone applies; x x has gradient 2 x */
static void test_at50_the_innermost_applies(void **state)
{
    world *w = *state;
    factors three = {.pack = 3, .unpack = 1}, five = {.pack = 5, .unpack = 1};
    rf_scope *outer = NULL, *inner = NULL;
    rf_tensor *x = scalar(w, 2);
    assert_ok(w->ctx, rf_scope_open(&outer, w->ctx, w->s));
    assert_ok(w->ctx, rf_scope_push_saved_hooks(outer, factor_hooks(&three, 0)));
    assert_ok(w->ctx, rf_backward(outer, rf_mul(outer, x, x)));
    assert_true(item(rf_grad(x)) == 3 * 4);
    rf_grad_clear(x);
    assert_int_equal(three.packed, 2);
    assert_int_equal(three.unpacked, 2);
    assert_int_equal(three.dropped, 2);
    assert_ok(w->ctx, rf_scope_open(&inner, w->ctx, outer));
    assert_ok(w->ctx, rf_scope_push_saved_hooks(inner, factor_hooks(&five, 0)));
    rf_tensor *y = rf_keep(inner, rf_mul(inner, x, x));
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(inner));
    assert_int_equal(rf_scope_pop_saved_hooks(inner), RF_E_STATE);
    assert_int_equal(five.destroyed, 0); /* values packed by it still wait */
    assert_ok(w->ctx, rf_backward(inner, y));
    assert_true(item(rf_grad(x)) == 5 * 4);
    rf_grad_clear(x);
    assert_int_equal(five.destroyed, 1);
    assert_ok(w->ctx, rf_backward(inner, rf_mul(inner, x, x)));
    assert_true(item(rf_grad(x)) == 3 * 4);
    rf_scope_close(inner);
    rf_scope_close(outer);
    assert_int_equal(three.destroyed, 1);
}

/* X14: stacked, what the inner one packed goes through the outer one too */
static void test_x14_stacked_in_declared_order(void **state)
{
    world *w = *state;
    factors outer = {.pack = 3, .unpack = 1}, inner = {.pack = 5, .unpack = 1};
    rf_tensor *x = scalar(w, 2);
    assert_ok(w->ctx, rf_scope_push_saved_hooks(w->s, factor_hooks(&outer, 0)));
    assert_ok(w->ctx, rf_scope_push_saved_hooks(w->s, factor_hooks(&inner, 1)));
    assert_ok(w->ctx, rf_backward(w->s, rf_mul(w->s, x, x)));
    assert_true(item(rf_grad(x)) == 15 * 4);
    assert_int_equal(outer.packed, 2);
    assert_int_equal(inner.packed, 2);
    assert_int_equal(outer.unpacked, 2);
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
    assert_int_equal(outer.destroyed + inner.destroyed, 2);
}

/* AT-50: factors 2, 4, 8: y = x^2 twice differentiated, hooks over the second pass too */
static void test_at50_double_backward(void **state)
{
    world *w = *state;
    static factors two = {.pack = 2, .unpack = 1}; /* the graph outlives this function */
    rf_tensor *x = scalar(w, 3), *g = NULL;
    rf_values in = {&x, 1}, out = {&g, 1};
    rf_backward_options graph = RF_BACKWARD_OPTIONS_INIT;
    graph.create_graph = 1;
    assert_ok(w->ctx, rf_scope_push_saved_hooks(w->s, factor_hooks(&two, 0)));
    rf_tensor *y = rf_mul(w->s, rf_mul(w->s, x, x), x);
    assert_ok(w->ctx, rf_gradients(w->s, y, &in, &out, &graph));
    /* y' = x x + (x + x) x, with every value that backward reads doubled */
    double first = item(g);
    assert_true(first == 2 * 9 + 2 * (2 * 3 + 2 * 3) * 3);
    assert_true(two.packed > two.unpacked); /* the gradient's own products were packed */
    assert_ok(w->ctx, rf_backward(w->s, g));
    assert_true(item(rf_grad(x)) > 6 * 3); /* more than the true 6 x, by the factors */
    rf_grad_clear(x);
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
}

/* AT-51: errors */
static void test_at51_errors_of_hooks(void **state)
{
    world *w = *state;
    factors bad = {.pack = 1, .unpack = 1};
    rf_tensor *x = scalar(w, 2);
    assert_ok(w->ctx, rf_scope_push_saved_hooks(w->s, factor_hooks(&bad, 0)));
    bad.fail = RF_E_USER;
    assert_null(rf_mul(w->s, x, x));
    assert_int_equal(rf_scope_status(w->s), RF_E_USER);
    rf_scope_clear(w->s);
    bad.fail = RF_OK;
    bad.spoil = 1;
    rf_tensor *plain = rf_affine(w->s, x, 2, 0);
    assert_null(rf_mul(w->s, x, plain));
    assert_int_equal(rf_scope_status(w->s), RF_E_MUTATED);
    assert_int_equal(bad.dropped, 1); /* of its box there is no other user */
    rf_scope_clear(w->s);
    bad.spoil = 0;
    bad.odd = 1;
    float four[4] = {1, 2, 3, 4};
    rf_tensor *v = rf_tensor_copy_in(w->s, RF_F32, 1, (int64_t[]){4}, four);
    assert_ok(w->ctx, rf_tensor_set_requires_grad(v, 1));
    assert_int_equal(rf_backward(w->s, rf_sum(w->s, rf_mul(w->s, v, v))), RF_E_SHAPE);
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
    rf_scope_clear(w->s);
    rf_saved_hooks half = factor_hooks(&bad, 0);
    half.unpack = NULL;
    assert_int_equal(rf_scope_push_saved_hooks(w->s, half), RF_E_ARGUMENT);
    rf_scope_refuse_saved_hooks(w->s, "no hooks in the kitchen");
    assert_int_equal(rf_scope_push_saved_hooks(w->s, factor_hooks(&bad, 0)), RF_E_STATE);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "kitchen"));
    rf_scope_refuse_saved_hooks(w->s, NULL);
    assert_int_equal(rf_scope_push_saved_tier(w->s, RF_DEVICE_CPU), RF_E_DEVICE);
}

/* ---- regions and tiers ---- */

static rf_status chain(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_scope *inner = NULL;
    const int *tier = payload;
    if (rf_scope_open(&inner, rf_scope_context(s), s))
        return RF_E_MEMORY;
    rf_status status = *tier ? rf_scope_push_saved_tier(inner, (rf_device)*tier) : RF_OK;
    if (!status)
        out->v[0] = rf_keep(inner, rf_exp(inner, rf_sin(inner, rf_cos(inner, in->v[0]))));
    status = status ? status : rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

static uint64_t away(world *w, rf_device tier)
{
    rf_memory_info info;
    assert_ok(w->ctx, rf_memory_get(w->ctx, tier, RF_MEM_ACTIVATION, &info));
    return info.used;
}

/* B4: around a region its inputs go away, inside of it its values; gradients are the same */
static void test_b4_tiers_around_and_inside_of_regions(void **state)
{
    world *w = *state;
    static const rf_device tiers[] = {RF_DEVICE_HOST, RF_DEVICE_FILE};
    int none = 0;
    rf_tensor *leaf = world_leaf(w, 8, 8, 0.1);
    rf_tensor *y = world_plain(w, (rf_function){chain, &none, NULL}, rf_sin(w->s, leaf));
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    void *plain = world_bytes(w, rf_grad(leaf));
    rf_grad_clear(leaf);
    for (int i = 0; i < 2; i++)
        for (int form = 0; form < 3; form++) {
            int tier = form ? (int)tiers[i] : 0;
            rf_scope *s = NULL;
            assert_ok(w->ctx, rf_scope_open(&s, w->ctx, w->s));
            if (form != 1)
                assert_ok(w->ctx, rf_scope_push_saved_tier(s, tiers[i]));
            rf_tensor *x = rf_sin(s, leaf), *out = NULL;
            rf_values in = {&x, 1}, to = {&out, 1};
            assert_ok(w->ctx,
                      rf_checkpoint_call(s, (rf_function){chain, &tier, NULL}, &in, &to, NULL));
            /* around: the input of sin, and of the region; inside: of cos and sin, and the result
             * of exp, so that the region itself needs nothing, nor its input */
            static const int values[] = {2, 3, 4};
            assert_int_equal(away(w, tiers[i]), values[form] * 8 * 8 * 4);
            assert_ok(w->ctx, rf_backward(s, rf_sum(s, out)));
            world_same(w, rf_grad(leaf), plain);
            rf_grad_clear(leaf);
            rf_scope_close(s);
            assert_int_equal(away(w, tiers[i]), 0);
        }
    free(plain);
}

/* compress, then the region: what a stacked pair packed is the region's value */
static rf_status compressed(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_scope *inner = NULL;
    if (rf_scope_open(&inner, rf_scope_context(s), s))
        return RF_E_MEMORY;
    rf_saved_hooks hooks = factor_hooks(payload, 1);
    hooks.destroy = NULL;
    rf_status status = rf_scope_push_saved_hooks(inner, hooks);
    out->v[0] = rf_keep(inner, rf_exp(inner, rf_sin(inner, in->v[0])));
    status = status ? status : rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

static void test_x14_compress_then_checkpoint(void **state)
{
    world *w = *state;
    factors half = {.pack = 0.5, .unpack = 2};
    rf_tensor *x = world_leaf(w, 8, 8, 0.1);
    rf_tensor *y = world_plain(w, (rf_function){compressed, &half, NULL}, x);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    void *plain = world_bytes(w, rf_grad(x));
    rf_grad_clear(x);
    uint64_t before = world_used(w, RF_MEM_ACTIVATION);
    y = world_region(w, (rf_function){compressed, &half, NULL}, x, NULL);
    assert_int_equal(world_used(w, RF_MEM_ACTIVATION) - before, 8 * 8 * 4); /* y alone */
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    world_same(w, rf_grad(x), plain);
    assert_int_equal(half.dropped, half.packed);
    free(plain);
}

/* ---- AT-52: changes in place under a guard ---- */

static void guarded_basic(world *w, rf_mutation_guard *guard)
{
    rf_tensor *a = world_leaf(w, 4, 4, 0.1);
    void *bits = world_bytes(w, a);
    rf_tensor *b = rf_sin(w->s, a);    /* saves a */
    rf_tensor *c = rf_mul(w->s, b, b); /* saves b, twice */
    rf_scope_set_grad(w->s, 0);
    rf_add_inplace(w->s, b, rf_affine(w->s, b, 1, 0));
    assert_int_equal(rf_mutation_guard_clones(guard), 1); /* one for both */
    rf_add_inplace(w->s, b, rf_affine(w->s, b, 1, 0));
    assert_int_equal(rf_mutation_guard_clones(guard), 1); /* nobody needs that version */
    rf_scope_set_grad(w->s, 1);
    rf_tensor *d = rf_mul(w->s, b, b); /* a new version */
    rf_scope_set_grad(w->s, 0);
    rf_add_inplace(w->s, b, rf_affine(w->s, b, 1, 0));
    assert_int_equal(rf_mutation_guard_clones(guard), 2);
    rf_scope_set_grad(w->s, 1);
    (void)d;
    uint64_t before = world_used(w, RF_MEM_ACTIVATION);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, c)));
    assert_true(world_used(w, RF_MEM_ACTIVATION) < before); /* the copy went with its users */
    /* d(sin^2)/da = 2 sin cos, of the values as they were */
    const float *x = bits;
    const float *g = rf_tensor_data(rf_grad(a));
    for (int i = 0; i < 16; i++)
        assert_true(g[i] > 2 * sinf(x[i]) * cosf(x[i]) - 1e-5F &&
                    g[i] < 2 * sinf(x[i]) * cosf(x[i]) + 1e-5F);
    free(bits);
}

/* AT-52 */
static void test_at52_changes_in_place_under_a_guard(void **state)
{
    world *w = *state;
    rf_mutation_guard *guard = NULL, *second = NULL;
    assert_ok(w->ctx, rf_mutation_guard_open(&guard, w->ctx));
    assert_int_equal(rf_mutation_guard_open(&second, w->ctx), RF_E_STATE);
    guarded_basic(w, guard);
    /* saved, but not any more: nothing is copied */
    size_t clones = rf_mutation_guard_clones(guard);
    rf_tensor *a = world_leaf(w, 4, 4, 0.3), *b = rf_sin(w->s, a);
    rf_release(w->s, rf_exp(w->s, rf_cos(w->s, b)));
    rf_scope_set_grad(w->s, 0);
    rf_add_inplace(w->s, b, rf_affine(w->s, b, 1, 0));
    rf_scope_set_grad(w->s, 1);
    assert_int_equal(rf_mutation_guard_clones(guard), clones + 1); /* cos's handle still lives */
    rf_tensor *c = rf_sin(w->s, a), *d = rf_cos(w->s, c);
    rf_release(w->s, d);
    rf_scope_set_grad(w->s, 0);
    rf_add_inplace(w->s, c, rf_affine(w->s, c, 1, 0));
    rf_scope_set_grad(w->s, 1);
    assert_int_equal(rf_mutation_guard_clones(guard), clones + 1);
    /* out of its context */
    rf_tensor *late = rf_sum(w->s, rf_sin(w->s, rf_cos(w->s, a)));
    rf_mutation_guard_close(guard);
    assert_int_equal(rf_backward(w->s, late), RF_E_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_at50_the_innermost_applies, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_at50_double_backward, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_x14_stacked_in_declared_order, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_at51_errors_of_hooks, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_b4_tiers_around_and_inside_of_regions, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_x14_compress_then_checkpoint, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_at52_changes_in_place_under_a_guard, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
