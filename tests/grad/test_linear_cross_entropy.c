/* test_linear_cross_entropy.c: the loss of a head by tiles. It is what linear and cross_entropy
 * give; kept tiles and tiles that are made again have the same bits, at any number of threads, in
 * a region and for either gradient alone; and no more logits are there than one tile. */
#include "support/world.h"

#include <math.h>

/* One head: sizes, how many bytes a tile has, and what is ignored (-1: nothing). */
typedef struct head {
    int64_t n, v, c, tile, ignored;
    rf_dtype dtype;
    rf_reduction reduction;
} head;

static const head heads[] = {
    {6, 5, 4, 0, -1, RF_F32, RF_REDUCTION_MEAN},
    {40, 300, 64, 0, -1, RF_F32, RF_REDUCTION_MEAN},
    {40, 300, 64, 1, 7, RF_F32, RF_REDUCTION_MEAN},
    {150, 200, 17, 1, 3, RF_F32, RF_REDUCTION_SUM},
    {2100, 130, 8, 0, 0, RF_F32, RF_REDUCTION_MEAN},
    {130, 129, 33, 20000, -1, RF_F64, RF_REDUCTION_MEAN},
    {130, 129, 33, 20000, 5, RF_BF16, RF_REDUCTION_MEAN},
    {65, 128, 9, 1, -1, RF_BF16, RF_REDUCTION_MEAN}, /* tiles that end where the head does */
    {1, 1, 1, 1, -1, RF_F32, RF_REDUCTION_SUM},
};
enum { HEADS = sizeof heads / sizeof heads[0] };

/* x and weight, leaves of the head's type, and targets. */
static void head_inputs(world *w, const head *h, rf_tensor *in[3])
{
    int32_t *ids = malloc((size_t)h->n * sizeof *ids);
    in[0] = rf_detach(w->s, rf_cast(w->s, world_leaf(w, h->n, h->c, 0.05), h->dtype));
    in[1] = rf_detach(w->s, rf_cast(w->s, world_leaf(w, h->v, h->c, -0.1), h->dtype));
    for (int64_t i = 0; i < h->n; i++)
        ids[i] = (int32_t)(i * 31 % h->v);
    in[2] = rf_tensor_copy_in(w->s, RF_I32, 1, &h->n, ids);
    for (int i = 0; i < 2; i++)
        assert_ok(w->ctx, rf_tensor_set_requires_grad(in[i], 1));
    free(ids);
}

typedef struct form {
    const head *h;
    rf_logits logits;
    int64_t part;
} form;

static rf_status tiled(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const form *f = payload;
    rf_linear_cross_entropy_options opts = RF_LINEAR_CROSS_ENTROPY_OPTIONS_INIT;
    opts.reduction = f->h->reduction;
    opts.has_ignored = f->h->ignored >= 0;
    opts.ignored = f->h->ignored;
    opts.logits = f->logits;
    opts.part = f->part;
    opts.tile = f->h->tile;
    out->v[0] = rf_linear_cross_entropy(s, in->v[0], in->v[1], in->v[2], &opts);
    return rf_scope_status(s);
}

static rf_status two_ops(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const form *f = payload;
    rf_cross_entropy_options opts = RF_CROSS_ENTROPY_OPTIONS_INIT;
    opts.reduction = f->h->reduction;
    opts.has_ignored = f->h->ignored >= 0;
    opts.ignored = f->h->ignored;
    rf_tensor *logits = rf_linear(s, in->v[0], in->v[1], NULL);
    if (f->h->dtype == RF_BF16)
        logits = rf_cast(s, logits, RF_F32);
    out->v[0] = rf_cross_entropy(s, logits, in->v[2], &opts);
    return rf_scope_status(s);
}

/* Loss and both gradients, as they are and as f64. */
typedef struct found {
    void *bits[3];
    double *value[3];
    size_t count[3];
} found;

enum { IN_REGION = 1, NO_X = 2, NO_WEIGHT = 4 };

static found run(world *w, rf_status (*call)(void *, rf_scope *, const rf_values *, rf_values *),
                 form f, int how)
{
    rf_tensor *in[3], *loss = NULL, *parts[3];
    rf_values from = {in, 3}, to = {&loss, 1};
    rf_function fn = {call, &f, NULL};
    found r;
    memset(&r, 0, sizeof r);
    head_inputs(w, f.h, in);
    for (int i = 0; i < 2; i++)
        if (how & (NO_X << i))
            assert_ok(w->ctx, rf_tensor_set_requires_grad(in[i], 0));
    if (how & IN_REGION)
        assert_ok(w->ctx, rf_checkpoint_call(w->s, fn, &from, &to, NULL));
    else
        assert_ok(w->ctx, call(&f, w->s, &from, &to));
    assert_ok(w->ctx, rf_backward(w->s, loss));
    parts[0] = loss;
    parts[1] = rf_grad(in[0]);
    parts[2] = rf_grad(in[1]);
    for (int i = 0; i < 3; i++) {
        if (!parts[i])
            continue;
        r.bits[i] = world_bytes(w, parts[i]);
        r.value[i] = world_bytes(w, rf_cast(w->s, rf_detach(w->s, parts[i]), RF_F64));
        r.count[i] = (size_t)rf_tensor_count(parts[i]);
    }
    return r;
}

static void found_end(found *r)
{
    for (int i = 0; i < 3; i++) {
        free(r->bits[i]);
        free(r->value[i]);
    }
}

static size_t found_size(const head *h, int i)
{
    return i ? rf_dtype_size(h->dtype) : h->dtype == RF_F64 ? 8 : 4;
}

/* What both have has the same bits. */
static void same_bits(const head *h, const found *a, const found *b)
{
    for (int i = 0; i < 3; i++)
        if (a->bits[i] && b->bits[i])
            assert_memory_equal(a->bits[i], b->bits[i], a->count[i] * found_size(h, i));
}

static void test_it_is_what_the_two_ops_give(void **state)
{
    world *w = *state;
    for (int k = 0; k < HEADS; k++) {
        const head *h = &heads[k];
        double tolerance = h->dtype == RF_F64 ? 1e-13 : h->dtype == RF_F32 ? 2e-6 : 1e-2;
        found a = run(w, two_ops, (form){h, 0, 0}, 0), b = run(w, tiled, (form){h, 0, 0}, 0);
        for (int i = 0; i < 3; i++) {
            double most = 0;
            assert_int_equal(a.count[i], b.count[i]);
            for (size_t e = 0; e < a.count[i]; e++)
                most = fmax(most, fabs(a.value[i][e]));
            for (size_t e = 0; e < a.count[i]; e++)
                if (!(fabs(a.value[i][e] - b.value[i][e]) <= tolerance * most))
                    fail_msg("head %d, %d: element %zu is %.9g, not %.9g", k, i, e, b.value[i][e],
                             a.value[i][e]);
        }
        if (k < 2) /* one tile: the very same products and sums */
            same_bits(h, &a, &b);
        found_end(&a);
        found_end(&b);
    }
}

static void test_forms_have_the_same_bits(void **state)
{
    (void)state;
    for (size_t threads = 1; threads < 4; threads++) {
        world w;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.threads = threads;
        assert_int_equal(rf_context_create(&w.ctx, &opts), RF_OK);
        assert_ok(w.ctx, rf_scope_open(&w.s, w.ctx, NULL));
        for (int k = 0; k < HEADS; k++) {
            const head *h = &heads[k];
            const form forms[] = {{h, RF_LOGITS_KEEP, 0},
                                  {h, RF_LOGITS_RECOMPUTE, 0},
                                  {h, RF_LOGITS_PART, 64 * 64 * 8},
                                  {h, RF_LOGITS_PART, h->n * h->v * 3}};
            found kept = run(&w, tiled, forms[0], 0);
            for (int how = 0; how < 6 * 4; how++) { /* both gradients, or one of them */
                found again = run(&w, tiled, forms[how / 6], how % 6);
                same_bits(h, &kept, &again);
                assert_int_equal(!again.bits[1], (how % 6 & NO_X) != 0);
                found_end(&again);
            }
            found_end(&kept);
        }
        rf_scope_close(w.s);
        rf_context_destroy(w.ctx);
    }
}

/* Half a megabyte of logits, of which 16 KiB are there at a time, or all and a tile of gradients.
 */
static void test_a_tile_is_all_there_is(void **state)
{
    world *w = *state;
    const head h = {256, 512, 4, 16384, -1, RF_F32, RF_REDUCTION_MEAN};
    uint64_t logits = 256 * 512 * 4, rows = 256 * 4, dx = 256 * 4 * 4, dw = 512 * 4 * 4;
    for (int kept = 0; kept < 2; kept++) {
        rf_tensor *in[3], *loss = NULL;
        rf_values from = {in, 3}, to = {&loss, 1};
        rf_memory_info info;
        form f = {&h, kept ? RF_LOGITS_KEEP : RF_LOGITS_RECOMPUTE, 0};
        head_inputs(w, &h, in);
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        rf_memory_reset_peak(w->ctx);
        assert_ok(w->ctx, tiled(&f, w->s, &from, &to));
        uint64_t saved = world_used(w, RF_MEM_ACTIVATION) - before;
        assert_int_equal(saved, sizeof(float) + rows + (kept ? logits : 0));
        assert_ok(w->ctx, rf_backward(w->s, loss));
        assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
        assert_true(info.peak - before <= saved + dx + dw + 64);
        assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, RF_MEM_WORKSPACE, &info));
        assert_true(info.peak < logits / 2); /* 64 by 64 and what the product packs */
        assert_int_equal(world_executed(w, "linear_cross_entropy_grad"), kept + 1);
    }
}

/* Of 8 by 8 tiles, the last ones narrower, as many whole ones as fit. */
static void test_any_part_can_be_kept(void **state)
{
    world *w = *state;
    const head h = {400, 500, 4, 16384, -1, RF_F32, RF_REDUCTION_MEAN};
    const uint64_t tile = 50 * 64 * 4, high = 400 * 64 * 4, all = 400 * 500 * 4;
    const uint64_t rows[][2] = {{0, 0},
                                {1, 0},
                                {tile - 1, 0},
                                {tile, tile},
                                {2 * tile - 1, tile},
                                {high - 1, 7 * tile},
                                {high, high},
                                {3 * high + 2 * tile + 5, 3 * high + 2 * tile},
                                {all - 1, all - 50 * 52 * 4},
                                {all, all},
                                {INT64_MAX, all}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rf_tensor *in[3], *loss = NULL;
        rf_values from = {in, 3}, to = {&loss, 1};
        form f = {&h, RF_LOGITS_PART, (int64_t)rows[i][0]};
        head_inputs(w, &h, in);
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        assert_ok(w->ctx, tiled(&f, w->s, &from, &to));
        assert_int_equal(world_used(w, RF_MEM_ACTIVATION) - before,
                         sizeof(float) * (1 + 400) + rows[i][1]);
    }
}

static void test_automatic_is_by_shape(void **state)
{
    world *w = *state;
    const int64_t rows[2] = {2048, 2049}; /* of 65536: 512 MiB, and a row more */
    rf_context *ctx;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.dry = 1;
    assert_ok(w->ctx, rf_context_create(&ctx, &opts));
    for (int i = 0; i < 2; i++) {
        rf_scope *s;
        rf_memory_info info;
        assert_ok(ctx, rf_scope_open(&s, ctx, NULL));
        rf_tensor *x = rf_zeros(s, RF_F32, 2, (int64_t[]){rows[i], 2});
        rf_tensor *weight = rf_zeros(s, RF_F32, 2, (int64_t[]){65536, 2});
        assert_ok(ctx, rf_tensor_set_requires_grad(x, 1));
        assert_non_null(
            rf_linear_cross_entropy(s, x, weight, rf_zeros(s, RF_U8, 1, &rows[i]), NULL));
        assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
        assert_int_equal(info.used > 512 << 20, i == 0);
        rf_scope_close(s);
    }
    rf_context_destroy(ctx);
}

static void refused(world *w, rf_tensor *const in[3], int64_t ignored, rf_status wanted)
{
    rf_linear_cross_entropy_options opts = RF_LINEAR_CROSS_ENTROPY_OPTIONS_INIT;
    opts.tile = 1;
    opts.has_ignored = ignored != 0;
    opts.ignored = ignored;
    rf_tensor *loss = rf_linear_cross_entropy(w->s, in[0], in[1], in[2], &opts);
    assert_int_equal(rf_scope_status(w->s), wanted);
    assert_int_equal(!loss, wanted != RF_OK);
    rf_scope_clear(w->s);
}

static void test_what_does_not_fit_is_refused(void **state)
{
    static const int64_t bad[] = {-1, 70, INT64_MIN, INT64_MAX, INT64_C(1) << 32};
    world *w = *state;
    int64_t ids[3] = {0, 69, 5}, three = 3;
    rf_tensor *x = world_leaf(w, 3, 4, 0), *weight = world_leaf(w, 70, 4, 0);
    rf_tensor *fine = rf_tensor_copy_in(w->s, RF_I64, 1, &three, ids);
    refused(w, (rf_tensor *[]){x, weight, fine}, 0, RF_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ids[2] = bad[i];
        rf_tensor *t = rf_tensor_copy_in(w->s, RF_I64, 1, &three, ids);
        refused(w, (rf_tensor *[]){x, weight, t}, 0, RF_E_ARGUMENT);
        refused(w, (rf_tensor *[]){x, weight, t}, bad[i], RF_OK);
    }
    refused(w, (rf_tensor *[]){x, world_leaf(w, 70, 5, 0), fine}, 0, RF_E_SHAPE);
    refused(w, (rf_tensor *[]){world_leaf(w, 4, 4, 0), weight, fine}, 0, RF_E_SHAPE);
    refused(w, (rf_tensor *[]){x, world_leaf(w, 0, 4, 0), fine}, 0, RF_E_SHAPE);
    refused(w, (rf_tensor *[]){x, weight, x}, 0, RF_E_SHAPE);
    refused(w, (rf_tensor *[]){x, weight, rf_cast(w->s, fine, RF_F32)}, 0, RF_E_DTYPE);
    refused(w, (rf_tensor *[]){x, rf_cast(w->s, weight, RF_F64), fine}, 0, RF_E_DTYPE);
    refused(w, (rf_tensor *[]){NULL, weight, fine}, 0, RF_E_ARGUMENT);
}

static void test_no_rows(void **state)
{
    world *w = *state;
    float zeros[3 * 4] = {0};
    for (int logits = RF_LOGITS_KEEP; logits <= RF_LOGITS_RECOMPUTE; logits++) {
        rf_linear_cross_entropy_options opts = RF_LINEAR_CROSS_ENTROPY_OPTIONS_INIT;
        rf_tensor *x = world_leaf(w, 0, 4, 0), *weight = world_leaf(w, 3, 4, 0);
        rf_tensor *none = rf_zeros(w->s, RF_I32, 1, (int64_t[]){0});
        opts.logits = (rf_logits)logits;
        rf_tensor *loss = rf_linear_cross_entropy(w->s, x, weight, none, &opts);
        world_same(w, loss, zeros);
        assert_ok(w->ctx, rf_backward(w->s, loss));
        world_same(w, rf_grad(weight), zeros);
    }
}

/* A scope of bf16 casts what it is given, and not the loss. */
static void test_products_in_bf16(void **state)
{
    world *w = *state;
    head h = heads[6];
    h.dtype = RF_F32;
    rf_tensor *in[3], *loss = NULL, *casted[3];
    rf_values from = {in, 3}, to = {&loss, 1};
    form f = {&h, RF_LOGITS_RECOMPUTE, 0};
    head_inputs(w, &h, in);
    for (int i = 0; i < 2; i++)
        casted[i] = rf_cast(w->s, in[i], RF_BF16);
    casted[2] = in[2];
    assert_ok(w->ctx, tiled(&f, w->s, &(rf_values){casted, 3}, &to));
    void *bits = world_bytes(w, loss);
    assert_ok(w->ctx, rf_scope_set_precision(w->s, RF_BF16));
    assert_ok(w->ctx, tiled(&f, w->s, &from, &to));
    assert_ok(w->ctx, rf_scope_set_precision(w->s, RF_F32));
    assert_int_equal(rf_tensor_dtype(loss), RF_F32);
    world_same(w, loss, bits);
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_int_equal(rf_tensor_dtype(rf_grad(in[1])), RF_F32);
    free(bits);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_it_is_what_the_two_ops_give),
        ROW(test_forms_have_the_same_bits),
        ROW(test_a_tile_is_all_there_is),
        ROW(test_any_part_can_be_kept),
        ROW(test_automatic_is_by_shape),
        ROW(test_what_does_not_fit_is_refused),
        ROW(test_no_rows),
        ROW(test_products_in_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
