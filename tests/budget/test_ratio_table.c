/* test_ratio_table.c: the reference's table of budgets (AT-60 to AT-68), whose budget is a ratio of
 * what is saved, on the same functions. Row by row:
 *
 * - regions can do what the row says: with the row's values kept, what is held after the forward
 *   and what is multiplied again are the row's figures, exactly;
 * - a budget of the bytes that this takes at its peak is held by a plan that multiplies no more
 *   again than the row does. (It may hold more after the forward: a ratio bounds what is saved, a
 *   budget the peak, and bytes below the peak are free.) Here a batch has eight times the rows, so
 *   that what is saved, and not the gradients of w, decides where the peak is.
 *
 * All runs dry, with costs by arithmetic: figures are of the functions, not of a machine. Bytes are
 * in MiB, arithmetic in products of two 512 x 512 matrices, both for the reference's batch.
 */
#include "support/world.h"

#include <refrain/refrain.h>

#include <stdio.h>

enum { TABLE_UNIT = 512, TABLE_MOST = 5, TABLE_BATCH = 8, TABLE_MIB = 1 << 20, TABLE_TEXT = 128 };

/* What a context has noted besides when it plans. The least that is kept here is 128 times as much.
 */
enum { TABLE_BOOKKEEPING = 8192 };

/* loss = sum of f. With x of rows x columns and w of columns x to, all in units of 512. */
typedef enum table_form {
    TABLE_CHEAP,     /* f = mm(cos(x), w)                            */
    TABLE_CHAIN,     /* x = cos(mm(x, w)) for each w, from cos(x) on */
    TABLE_SHARED,    /* cos(mm(x, w)) for each w                     */
    TABLE_PAIRS,     /* cos(mm(x, w)) for each x and w               */
    TABLE_ATTENTION, /* cos(mm(attention(x, x, x), w))               */
} table_form;

typedef struct table_sizes {
    int64_t rows, columns, to;
} table_sizes;

typedef struct table {
    table_form form;
    size_t num; /* products */
    table_sizes sizes[TABLE_MOST];
    int64_t batch; /* times the reference's rows of x */
    rf_context *ctx;
    rf_costs *costs;
    rf_module *root;
    double kept;  /* of the last step, after its forward     */
    double again; /* of its backward, but for the plain one's */
    double own;   /* the plain one's                         */
    uint64_t peak;
} table;

/* ---- the functions ---- */

static rf_tensor *table_attention(rf_scope *s, rf_tensor *x)
{
    int64_t t = rf_tensor_dim(x, 0), d = rf_tensor_dim(x, 1);
    rf_tensor *q = rf_reshape(s, x, 4, (int64_t[]){1, 1, t, d});
    return rf_reshape(s, rf_causal_attention(s, q, q, q, 0), 2, (int64_t[]){t, d});
}

/* cos(mm(x, w)), or its sum, and nothing else that would live longer. */
static rf_tensor *table_product(const table *t, rf_scope *s, rf_tensor *x, rf_tensor *w)
{
    rf_scope *inner;
    if (rf_scope_open(&inner, t->ctx, s))
        return NULL;
    if (t->form == TABLE_ATTENTION)
        x = table_attention(inner, x);
    rf_tensor *y = rf_cos(inner, rf_matmul(inner, x, w));
    y = rf_keep(inner, t->form == TABLE_CHAIN ? y : rf_sum(inner, y));
    rf_scope_close(inner);
    return y;
}

static rf_tensor *table_links(const table *t, rf_scope *s, rf_tensor **v)
{
    rf_tensor *x = rf_cos(s, v[0]);
    for (size_t i = 0; i < t->num; i++) {
        rf_tensor *y = table_product(t, s, x, v[i + 1]);
        rf_release(s, x);
        x = y;
    }
    return rf_sum(s, x);
}

/* v: x and w of each product. */
static rf_tensor *table_function(const table *t, rf_scope *s, rf_tensor **v)
{
    rf_tensor *sum = NULL;
    if (t->form == TABLE_CHEAP)
        return rf_sum(s, rf_matmul(s, rf_cos(s, v[0]), v[1]));
    if (t->form == TABLE_CHAIN)
        return table_links(t, s, v);
    for (size_t i = 0; i < t->num; i++) {
        size_t own = t->form == TABLE_PAIRS;
        rf_tensor *y = table_product(t, s, v[own * 2 * i], v[(1 + own) * i + 1]);
        sum = sum ? rf_add(s, sum, y) : y;
    }
    return sum;
}

static rf_status table_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    const table *t = rf_module_self(m);
    rf_scope *inner;
    if (rf_scope_open(&inner, t->ctx, s))
        return RF_E_MEMORY;
    out->v[0] = rf_keep(inner, table_function(t, inner, in->v));
    rf_status status = rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

static const rf_module_class table_class = {
    .size = sizeof(rf_module_class), .name = "Function", .forward = table_forward};

/* ---- a step ---- */

static rf_tensor *table_leaf(rf_scope *s, int64_t rows, int64_t columns)
{
    rf_tensor *t = rf_zeros(s, RF_F32, 2, (int64_t[]){rows * TABLE_UNIT, columns * TABLE_UNIT});
    return rf_tensor_set_requires_grad(t, 1) ? NULL : t;
}

/* Each w, and before it its x, but for those that use the first. How many. The gradients of many x
 * would be as large as what is saved: the larger batch has none. */
static size_t table_leaves(const table *t, rf_scope *s, rf_tensor **v)
{
    size_t num = 0;
    for (size_t i = 0; i < t->num; i++) {
        const table_sizes *z = &t->sizes[i];
        if (!i || t->form == TABLE_PAIRS) {
            v[num] = table_leaf(s, z->rows * t->batch, z->columns);
            if (t->form == TABLE_PAIRS && t->batch > 1)
                (void)!rf_tensor_set_requires_grad(v[num], 0);
            num++;
        }
        v[num++] = table_leaf(s, z->columns, z->to);
    }
    return num;
}

static uint64_t table_held(const table *t)
{
    rf_memory_info info;
    assert_ok(t->ctx, rf_memory_get(t->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    return info.used;
}

/* Of both kinds of op that a row may run again, in units. */
static double table_arithmetic(const table *t)
{
    double flops =
        rf_op_counts_of(t->ctx, "matmul").flops + rf_op_counts_of(t->ctx, "causal_attention").flops;
    return flops / (2.0 * TABLE_UNIT * TABLE_UNIT * TABLE_UNIT * (double)t->batch);
}

static rf_status table_step(void *payload)
{
    table *t = payload;
    rf_scope *s;
    rf_tensor *v[2 * TABLE_MOST], *loss = NULL;
    rf_values in = {v, 0}, out = {&loss, 1};
    if (rf_scope_open(&s, t->ctx, NULL))
        return RF_E_MEMORY;
    in.num = table_leaves(t, s, v);
    uint64_t before = table_held(t);
    rf_status status = rf_module_call(t->root, s, &in, &out);
    t->kept = (double)(table_held(t) - before) / TABLE_MIB / (double)t->batch;
    double forward = table_arithmetic(t);
    if (!status)
        status = rf_backward(s, loss);
    t->again = table_arithmetic(t) - forward - t->own;
    rf_scope_close(s);
    return status;
}

/* ---- a function in a context ---- */

static void table_run(table *t)
{
    rf_memory_info info;
    rf_memory_reset_peak(t->ctx);
    for (int i = 0; i < 2; i++) /* bookkeeping that one step makes is there in all of the next */
        assert_ok(t->ctx, table_step(t));
    assert_ok(t->ctx, rf_memory_get(t->ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info));
    t->peak = info.peak;
}

static void table_end(table *t)
{
    rf_module_destroy(t->root);
    rf_costs_destroy(t->costs);
    rf_context_destroy(t->ctx);
}

static rf_plan *table_plan(table *t, uint64_t budget, rf_status want)
{
    rf_plan *plan = NULL;
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    const rf_training_step step = {table_step, t};
    opts.budget = budget;
    opts.costs = t->costs;
    opts.seconds = 60; /* tries end it */
    rf_status status = rf_plan_create(&plan, t->root, &step, &opts);
    if (status != want)
        fail_msg("%s: %s", rf_status_name(status), rf_context_error(t->ctx)->message);
    return plan;
}

/* *t: a copy of one of the functions below. */
static void table_begin(table *t, int64_t batch)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.dry = 1;
    opts.threads = 1;
    opts.isa = "portable";
    t->batch = batch;
    assert_int_equal(rf_context_create(&t->ctx, &opts), RF_OK);
    assert_ok(t->ctx, rf_costs_create(&t->costs, t->ctx));
    assert_ok(t->ctx, rf_module_create(&t->root, t->ctx, &table_class, t));
    table_run(t);
    t->own = t->again;
}

/* A step with the plan for so many bytes. */
static rf_plan_info table_planned(table *t, uint64_t budget)
{
    rf_plan *plan = table_plan(t, budget, RF_OK);
    rf_plan_info info = rf_plan_info_of(plan);
    assert_ok(t->ctx, rf_plan_apply(plan, t->root));
    table_run(t);
    assert_ok(t->ctx, rf_plan_clear(plan, t->root));
    rf_plan_destroy(plan);
    assert_int_equal(t->peak, info.peak);
    assert_true(t->peak <= budget);
    return info;
}

/* ---- rows ---- */

/* The figures of the reference. */
typedef struct table_row {
    const char *fates; /* what the row keeps; NULL: nothing; "plain": no region */
    double kept, again;
} table_row;

static void table_run_row(table *t, const table_row *row)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    int plain = row->fates && !strcmp(row->fates, "plain");
    opts.fates = plain ? NULL : row->fates;
    if (!plain)
        assert_ok(t->ctx, rf_checkpoint(t->root, &opts));
    table_run(t);
    if (!plain)
        assert_ok(t->ctx, rf_checkpoint_clear(t->root));
}

/* To the scalars and, for attention, a number for each of its rows. */
static void table_figures(const table *t, const table_row *row)
{
    if (t->kept < row->kept || t->kept > row->kept + 0.04 || t->again != row->again)
        fail_msg("%s: %g MiB and %g products again; the reference has %g and %g",
                 row->fates ? row->fates : "nothing kept", t->kept, t->again, row->kept,
                 row->again);
}

static void table_budget(table *t, const table_row *row)
{
    table_run_row(t, row);
    uint64_t budget = t->peak + TABLE_BOOKKEEPING;
    table_planned(t, budget);
    if (getenv("RF_TEST_VERBOSE"))
        printf("# %llu bytes: %g kept, %g again; the reference keeps %g, %g again\n",
               (unsigned long long)budget, t->kept, t->again, row->kept, row->again);
    if (t->again > row->again)
        fail_msg("%llu bytes: %g products again; the reference has %g", (unsigned long long)budget,
                 t->again, row->again);
}

static void table_rows(const table *function, const table_row *rows, size_t num)
{
    table same = *function, large = *function;
    table_begin(&same, 1);
    table_begin(&large, function->form == TABLE_ATTENTION ? 1 : TABLE_BATCH);
    for (size_t i = 0; i < num; i++) {
        table_run_row(&same, &rows[i]);
        table_figures(&same, &rows[i]);
        table_budget(&large, &rows[i]);
    }
    table_end(&same);
    table_end(&large);
}

/* ---- the table ---- */

static const table table_cheap = {.form = TABLE_CHEAP, .num = 1, .sizes = {{1, 1, 1}}};
static const table table_chain = {.form = TABLE_CHAIN,
                                  .num = 5,
                                  .sizes = {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}}};
static const table table_uneven = {
    .form = TABLE_SHARED, .num = 4, .sizes = {{1, 1, 3}, {1, 1, 4}, {1, 1, 2}, {1, 1, 11}}};
static const table table_two = {.form = TABLE_PAIRS, .num = 2, .sizes = {{1, 1, 4}, {2, 2, 2}}};
static const table table_three = {
    .form = TABLE_PAIRS, .num = 3, .sizes = {{2, 2, 6}, {4, 4, 4}, {6, 6, 2}}};

/* AT-60: a cosine is run again for nothing. */
static void test_at60_cheap_values(void **state)
{
    static const table_row rows[] = {{"plain", 1, 0}, {NULL, 0, 0}};
    (void)state;
    table_rows(&table_cheap, rows, 2);
}

/* AT-61: of 10 MiB, b tenths keep b of 5 products up to a half, and cosines from there on. */
static void test_at61_even_chain(void **state)
{
    static const table_row rows[] = {
        {NULL, 0, 5},
        {"keep=#1:matmul", 1, 4},
        {"keep=#1:matmul,#3:matmul", 2, 3},
        {"keep=#1:matmul,#3:matmul,#5:matmul", 3, 2},
        {"keep=#1:matmul,#3:matmul,#5:matmul,#7:matmul", 4, 1},
        {"keep=matmul", 5, 0},
        {"plain", 10, 0},
    };
    (void)state;
    table_rows(&table_chain, rows, sizeof rows / sizeof rows[0]);
}

/* AT-62: the sums of 11, 3, 4 and 2 are hit, all sixteen. */
static void test_at62_uneven_products(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 16; set++) {
        char text[TABLE_TEXT] = "";
        double kept = 0;
        for (size_t i = 0, len = 0; i < 4; i++)
            if (set >> i & 1) { /* ops: product, cosine, sum, and the addition to the last sum */
                len += (size_t)snprintf(text + len, sizeof text - len, "%s#%zu:matmul",
                                        len ? "," : "keep=", i ? 4 * i - 1 : 0);
                kept += (double)table_uneven.sizes[i].to;
            }
        table_rows(&table_uneven, &(table_row){set ? text : NULL, kept, 20 - kept}, 1);
    }
}

/* AT-63: half of 8 MiB: the product of 4 runs again, not that of 8. */
static void test_at63_cheaper_product(void **state)
{
    static const table_row rows[] = {{"plain", 8, 0}, {"keep=#3:matmul", 4, 4}};
    (void)state;
    table_rows(&table_two, rows, 2);
}

/* AT-64: of 40 MiB, 28 keep two of three; 16 keep 12, which are more arithmetic than the 16. */
static void test_at64_cheaper_product_of_three(void **state)
{
    static const table_row rows[] = {
        {"plain", 40, 0}, {"keep=#3:matmul,#7:matmul", 28, 24}, {"keep=#7:matmul", 12, 88}};
    (void)state;
    table_rows(&table_three, rows, 3);
}

/* AT-65: of an attention and a product of the same bytes, the cheaper runs again. Here twice side
 * by side, as one alone is its own peak. (Ours is causal, half of the reference's arithmetic: it is
 * the cheaper one in more of the shapes.) */
static void test_at65_attention_or_product(void **state)
{
    static const int64_t shapes[][2] = {{1, 3}, {2, 5}, {4, 7}, {4, 9}, {2, 1}, {5, 2}};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        int64_t t = shapes[i][0], d = shapes[i][1];
        double bytes = (double)(2 * t * d);
        table function = {.form = TABLE_ATTENTION, .num = 2, .sizes = {{t, d, d}, {t, d, d}}};
        const table_row rows[] = {
            {"plain", 2 * bytes, 0},
            t < d ? (table_row){"keep=matmul", bytes, bytes * (double)t}
                  : (table_row){"keep=causal_attention", bytes, bytes * (double)d}};
        table_rows(&function, rows, 2);
    }
}

/* AT-68: from everything run again to everything kept, in bytes: held, monotone, and refused below.
 */
static void test_at68_from_nothing_to_everything(void **state)
{
    static const table *const all[] = {&table_cheap, &table_chain, &table_uneven, &table_two,
                                       &table_three};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        table t = *all[i];
        table_begin(&t, TABLE_BATCH);
        uint64_t plain = t.peak + TABLE_BOOKKEEPING;
        double everything = t.kept, seconds = 0;
        assert_null(table_plan(&t, 1, RF_E_BUDGET));
        uint64_t smallest = rf_context_error(t.ctx)->limit_needed;
        assert_null(table_plan(&t, smallest - 1, RF_E_BUDGET));
        for (uint64_t tenth = 0; tenth <= 10; tenth++) {
            rf_plan_info info = table_planned(&t, smallest + (plain - smallest) * tenth / 10);
            assert_true(!tenth || info.seconds <= seconds * (1 + 1e-9));
            seconds = info.seconds;
        }
        assert_true(t.kept == everything && t.again == 0);
        table_end(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at60_cheap_values),
        cmocka_unit_test(test_at61_even_chain),
        cmocka_unit_test(test_at62_uneven_products),
        cmocka_unit_test(test_at63_cheaper_product),
        cmocka_unit_test(test_at64_cheaper_product_of_three),
        cmocka_unit_test(test_at65_attention_or_product),
        cmocka_unit_test(test_at68_from_nothing_to_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
