/* test_layers.c: layers: shapes, values against plain computation, absent inputs, evaluation, the
 * names of a GPT-2. */
#include "support/modules.h"

#include <refrain/nn.h>

#include <math.h>

static void read(world *w, const rf_tensor *t, float *out)
{
    assert_non_null(t);
    assert_ok(w->ctx, rf_tensor_copy_out(t, out, rf_tensor_bytes(t)));
}

static void test_linear(void **state)
{
    world *w = *state;
    rf_module *m;
    float weight[12], bias[4], in[6], y[8];
    for (int no_bias = 0; no_bias < 2; no_bias++) {
        assert_ok(w->ctx, rf_nn_linear(&m, w->ctx, 3, 4, no_bias));
        rf_tensor *x = world_leaf(w, 2, 3, 0.2);
        memset(bias, 0, sizeof bias);
        read(w, rf_module_param(m, "weight"), weight);
        if (no_bias)
            assert_null(rf_module_param(m, "bias"));
        else
            read(w, rf_module_param(m, "bias"), bias);
        read(w, x, in);
        read(w, rf_module_call1(m, w->s, x), y);
        for (int i = 0; i < 2; i++)
            for (int o = 0; o < 4; o++) {
                double sum = bias[o];
                for (int k = 0; k < 3; k++)
                    sum += (double)in[3 * i + k] * (double)weight[3 * o + k];
                assert_true(fabs(sum - (double)y[4 * i + o]) < 1e-5);
            }
        for (int k = 0; k < 12; k++)
            assert_true(fabs((double)weight[k]) <= 1 / sqrt(3.0) + 1e-6);
        rf_module_destroy(m);
    }
    assert_int_equal(rf_nn_linear(&m, w->ctx, -1, 4, 0), RF_E_SHAPE);
    assert_null(m);
}

static void test_norms(void **state)
{
    world *w = *state;
    float in[8], y[8];
    for (int rms = 0; rms < 2; rms++) {
        rf_module *m;
        double mean = 0, square = 0;
        assert_ok(w->ctx, rms ? rf_nn_rms_norm(&m, w->ctx, 8, 1e-3)
                              : rf_nn_layer_norm(&m, w->ctx, 8, 1e-3));
        rf_tensor *x = world_leaf(w, 1, 8, 0.2);
        read(w, x, in);
        for (int i = 0; i < 8; i++)
            mean += rms ? 0 : (double)in[i] / 8;
        for (int i = 0; i < 8; i++)
            square += ((double)in[i] - mean) * ((double)in[i] - mean) / 8;
        read(w, rf_module_call1(m, w->s, x), y);
        for (int i = 0; i < 8; i++)
            assert_true(fabs(((double)in[i] - mean) / sqrt(square + 1e-3) - (double)y[i]) < 1e-5);
        rf_module_destroy(m);
    }
}

static void test_embedding(void **state)
{
    world *w = *state;
    rf_module *m;
    int32_t ids[3] = {4, 0, 4};
    float table[10], y[6];
    assert_ok(w->ctx, rf_nn_embedding(&m, w->ctx, 5, 2));
    read(w, rf_module_param(m, "weight"), table);
    read(w, rf_module_call1(m, w->s, rf_tensor_copy_in(w->s, RF_I32, 1, (int64_t[]){3}, ids)), y);
    for (int i = 0; i < 3; i++)
        assert_memory_equal(y + 2 * i, table + 2 * ids[i], 2 * sizeof(float));
    rf_module_destroy(m);
}

static void test_activations(void **state)
{
    static rf_tensor *(*const ops[])(rf_scope *, rf_tensor *) = {rf_relu, rf_gelu, rf_gelu_tanh,
                                                                 rf_silu, rf_tanh, rf_sigmoid};
    world *w = *state;
    rf_module *m;
    rf_tensor *x = world_leaf(w, 3, 4, 0);
    for (int kind = RF_ACTIVATION_RELU; kind <= RF_ACTIVATION_SIGMOID; kind++) {
        assert_ok(w->ctx, rf_nn_activation(&m, w->ctx, (rf_activation)kind));
        void *bits = world_bytes(w, ops[kind](w->s, x));
        world_same(w, rf_module_call1(m, w->s, x), bits);
        free(bits);
        rf_module_destroy(m);
    }
    assert_int_equal(rf_nn_activation(&m, w->ctx, (rf_activation)17), RF_E_ARGUMENT);
}

static void test_dropout(void **state)
{
    world *w = *state;
    rf_module *m;
    float in[400], y[400];
    int zeros = 0;
    assert_int_equal(rf_nn_dropout(&m, w->ctx, 1), RF_E_ARGUMENT);
    assert_int_equal(rf_nn_dropout(&m, w->ctx, NAN), RF_E_ARGUMENT);
    assert_ok(w->ctx, rf_nn_dropout(&m, w->ctx, 0.25));
    rf_tensor *x = world_leaf(w, 20, 20, 1);
    read(w, x, in);
    read(w, rf_module_call1(m, w->s, x), y);
    for (int i = 0; i < 400; i++) {
        zeros += y[i] == 0;
        assert_true(y[i] == 0 || fabs((double)y[i] - (double)in[i] / 0.75) < 1e-5);
    }
    assert_true(zeros > 60 && zeros < 140);
    rf_module_train(m, 0);
    assert_ptr_equal(rf_module_call1(m, w->s, x), x);
    rf_module_destroy(m);
}

/* In evaluation a dropout hands its input on: the container may not take that for used up. */
static void test_sequential(void **state)
{
    world *w = *state;
    rf_module *m, *child;
    for (int segments = 0; segments <= 4; segments++) {
        assert_ok(w->ctx, rf_nn_sequential(&m, w->ctx));
        assert_int_equal(rf_checkpoint_sequential(m, 1, NULL), RF_E_ARGUMENT); /* no children */
        rf_tensor *x = world_leaf(w, 2, 4, 0);
        assert_ptr_equal(rf_module_call1(m, w->s, x), x);
        for (int i = 0; i < 4; i++) {
            assert_ok(w->ctx, i % 2 ? rf_nn_dropout(&child, w->ctx, 0.5)
                                    : rf_nn_linear(&child, w->ctx, 4, 4, 0));
            assert_ok(w->ctx, rf_nn_sequential_add(m, child));
        }
        if (segments)
            assert_ok(w->ctx, rf_checkpoint_sequential(m, (size_t)segments, NULL));
        rf_module_train(m, 0);
        rf_tensor *y = rf_module_call1(m, w->s, x);
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
        assert_non_null(rf_grad(rf_module_param(m, "0.weight")));
        assert_non_null(rf_module_find(m, "3"));
        assert_int_equal(rf_nn_sequential_add(child, child), RF_E_ARGUMENT);
        rf_module_destroy(m);
    }
}

static void test_layers_called_with_nothing(void **state)
{
    world *w = *state;
    rf_module *all[6];
    rf_tensor *x = world_leaf(w, 2, 4, 0), *none = NULL, *y = NULL;
    rf_values lists[3] = {{NULL, 0}, {&none, 1}, {&x, 1}};
    assert_ok(w->ctx, rf_nn_linear(&all[0], w->ctx, 4, 4, 0));
    assert_ok(w->ctx, rf_nn_layer_norm(&all[1], w->ctx, 4, 0));
    assert_ok(w->ctx, rf_nn_dropout(&all[2], w->ctx, 0.5));
    assert_ok(w->ctx, rf_nn_activation(&all[3], w->ctx, RF_ACTIVATION_TANH));
    assert_ok(w->ctx, rf_nn_sequential(&all[4], w->ctx));
    assert_ok(w->ctx, rf_nn_gpt2(&all[5], w->ctx, NULL));
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 3; k++) { /* no input; an absent one; no place for the result */
            rf_values out = {&y, k < 2};
            rf_status status = rf_module_call(all[i], w->s, &lists[k], &out);
            assert_int_equal(status, i < 5 || k == 2 ? RF_E_ARGUMENT : RF_E_SHAPE);
            rf_scope_clear(w->s);
        }
        rf_module_destroy(all[i]);
    }
}

/* ---- GPT-2 ---- */

static rf_gpt2_options small(void)
{
    rf_gpt2_options o = RF_GPT2_OPTIONS_INIT;
    o.vocab = 20;
    o.context = 6;
    o.layers = 1;
    o.heads = 2;
    o.width = 8;
    return o;
}

static void test_gpt2_names(void **state)
{
    static const char *const names =
        "m |m wte|m wpe|m h|m h.0|m h.0.ln_1|m h.0.attn|m h.0.attn.c_attn|m h.0.attn.c_proj|"
        "m h.0.ln_2|m h.0.mlp|m h.0.mlp.c_fc|m h.0.mlp.c_proj|m ln_f|"
        "p wte.weight|p wpe.weight|p h.0.ln_1.weight|p h.0.ln_1.bias|p h.0.attn.c_attn.weight|"
        "p h.0.attn.c_attn.bias|p h.0.attn.c_proj.weight|p h.0.attn.c_proj.bias|"
        "p h.0.ln_2.weight|p h.0.ln_2.bias|p h.0.mlp.c_fc.weight|p h.0.mlp.c_fc.bias|"
        "p h.0.mlp.c_proj.weight|p h.0.mlp.c_proj.bias|p ln_f.weight|p ln_f.bias|";
    world *w = *state;
    rf_module *m;
    char text[1024];
    rf_gpt2_options o = small(), back;
    assert_ok(w->ctx, rf_nn_gpt2(&m, w->ctx, &o));
    assert_string_equal(part_names(m, text, sizeof text), names);
    rf_tensor *t = rf_module_param(m, "h.0.mlp.c_fc.weight"); /* (in, out) */
    assert_int_equal(rf_tensor_dim(t, 0), 8);
    assert_int_equal(rf_tensor_dim(t, 1), 32);
    assert_int_equal(rf_tensor_dim(rf_module_param(m, "h.0.attn.c_attn.weight"), 1), 24);
    assert_ptr_equal(rf_nn_gpt2_block(m, 0), rf_module_find(m, "h.0"));
    assert_null(rf_nn_gpt2_block(m, 1));
    assert_ok(w->ctx, rf_nn_gpt2_options_of(m, &back));
    assert_int_equal(back.vocab, o.vocab);
    assert_int_equal(back.context, o.context);
    assert_int_equal(back.layers, o.layers);
    assert_int_equal(back.width, o.width);
    assert_int_equal(back.logits, RF_LOGITS_AUTO);
    assert_ok(w->ctx, rf_nn_gpt2_set_logits(m, RF_LOGITS_RECOMPUTE));
    assert_ok(w->ctx, rf_nn_gpt2_options_of(m, &back));
    assert_int_equal(back.logits, RF_LOGITS_RECOMPUTE);
    assert_int_equal(rf_nn_gpt2_set_logits(m, RF_LOGITS_PART), RF_E_ARGUMENT);
    assert_int_equal(rf_nn_gpt2_set_logits(rf_module_find(m, "h"), RF_LOGITS_KEEP), RF_E_ARGUMENT);
    assert_int_equal(rf_nn_gpt2_options_of(rf_module_find(m, "h"), &back), RF_E_ARGUMENT);
    rf_module_destroy(m);
    for (int i = 0; i < 6; i++) {
        o = small();
        int64_t *sizes[5] = {&o.vocab, &o.context, &o.layers, &o.heads, &o.width};
        if (i < 5)
            *sizes[i] = i == 3 ? 3 : 0;
        else
            o.width = INT64_MAX / 4 * 2; /* 4 of it are too many to count */
        assert_int_equal(rf_nn_gpt2(&m, w->ctx, &o), RF_E_ARGUMENT);
        assert_null(m);
    }
    o = small();
    o.logits = (rf_logits)4;
    assert_int_equal(rf_nn_gpt2(&m, w->ctx, &o), RF_E_ARGUMENT);
    o.logits = RF_LOGITS_PART;
    o.part = -1;
    assert_int_equal(rf_nn_gpt2(&m, w->ctx, &o), RF_E_ARGUMENT);
}

/* The loss is the cross-entropy of the logits; later ids change no earlier logits. */
static void test_gpt2_calls(void **state)
{
    world *w = *state;
    rf_module *m;
    rf_gpt2_options o = small();
    int32_t ids[12] = {1, 5, 9, 3, 7, 2, 1, 5, 9, 4, 8, 19};
    float logits[240];
    assert_ok(w->ctx, rf_nn_gpt2(&m, w->ctx, &o));
    rf_tensor *x[2] = {rf_tensor_copy_in(w->s, RF_I32, 2, (int64_t[]){2, 6}, ids), NULL}, *y, *loss;
    x[1] = x[0];
    rf_values in = {x, 2}, out = {&loss, 1};
    y = rf_module_call1(m, w->s, x[0]);
    read(w, y, logits);
    assert_memory_equal(logits, logits + 120, 3 * 20 * sizeof(float));
    assert_memory_not_equal(logits + 60, logits + 180, 20 * sizeof(float));
    assert_ok(w->ctx, rf_module_call(m, w->s, &in, &out));
    assert_int_equal(rf_tensor_rank(loss), 0);
    void *bits = world_bytes(w, rf_cross_entropy(w->s, y, x[0], NULL));
    world_same(w, loss, bits);
    free(bits);
    assert_null(rf_module_call1(m, w->s, rf_zeros(w->s, RF_I32, 2, (int64_t[]){1, 7})));
    assert_int_equal(rf_scope_status(w->s), RF_E_SHAPE);
    rf_scope_clear(w->s);
    rf_module_destroy(m);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_linear),
        ROW(test_norms),
        ROW(test_embedding),
        ROW(test_activations),
        ROW(test_dropout),
        ROW(test_sequential),
        ROW(test_layers_called_with_nothing),
        ROW(test_gpt2_names),
        ROW(test_gpt2_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
