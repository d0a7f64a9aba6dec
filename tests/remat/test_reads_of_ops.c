/* test_reads_of_ops.c: X21: what early stop spares is told for every op in docs/ops.md, and true.
 * The table there is the one made here from the ops' own `reads`; kernels are counted to see that
 * an op runs again for its own backward exactly if that reads one of its results, and ops in place
 * whenever their region does. */
#include "support/world.h"

#include <stdio.h>

/* ---- what the ops say ---- */

static void reads_view(rf_view *view, const rf_op_sample_input *in)
{
    int64_t stride = 1;
    *view = (rf_view){0};
    view->shape.dtype = (uint8_t)(in->absent ? RF_ABSENT : in->integer ? RF_I64 : RF_F32);
    view->shape.rank = (uint8_t)in->rank;
    for (size_t i = in->rank; i-- > 0;) {
        view->shape.dims[i] = in->dims[i];
        view->strides[i] = stride;
        stride *= in->dims[i];
    }
}

/* Inputs that can have a gradient. */
static uint32_t reads_wanted(const rf_op_sample *sample)
{
    uint32_t wanted = 0;
    for (size_t i = 0; i < sample->num_in; i++)
        wanted |= (uint32_t)(!sample->in[i].absent && !sample->in[i].integer) << i;
    return wanted;
}

/* What backward reads if every input that can have a gradient wants one. */
static rf_op_reads reads_of_sample(rf_context *ctx, const rf_op_class *op,
                                   const rf_op_sample *sample)
{
    rf_view in[RF_MAX_INPUTS], out[RF_MAX_OUTPUTS] = {{{0}, {0}, 0, 0}};
    rf_op_call call = {.ctx = ctx, .op = op, .attrs = sample->attrs, .in = in, .out = out};
    uint32_t wanted = reads_wanted(sample);
    call.num_in = sample->num_in;
    call.num_out = op->num_out + op->num_aux;
    for (size_t i = 0; i < sample->num_in; i++)
        reads_view(&in[i], &sample->in[i]);
    if (!strcmp(op->name, "mul_inplace")) /* the second one's is refused */
        wanted = 1;
    assert_ok(ctx, op->infer(&call));
    return op->reads(&call, wanted);
}

/* Of all samples together. */
static rf_op_reads reads_of(rf_context *ctx, const rf_op_class *op)
{
    rf_op_reads all = {0, 0};
    rf_op_sample sample;
    for (size_t k = 0; k < 100; k++) {
        memset(&sample, 0, sizeof sample);
        if (!op->sample(k, &sample))
            break;
        rf_op_reads one = reads_of_sample(ctx, op, &sample);
        all.inputs |= one.inputs;
        all.outputs |= one.outputs;
    }
    return all;
}

static int reads_has_gradient(const rf_op_class *op)
{
    return op->sample && op->backward && op->reads && !(op->traits & RF_OP_NO_GRAD);
}

/* ---- the table ---- */

typedef struct table {
    char text[16384];
    size_t len;
} table;

static void table_add(table *t, const char *text)
{
    size_t len = strlen(text);
    assert_true(t->len + len < sizeof t->text);
    memcpy(t->text + t->len, text, len + 1);
    t->len += len;
}

/* "0, 1", or a dash; results from `aux` on are auxiliaries, which callers never see. */
static void table_numbers(table *t, uint32_t mask, size_t aux)
{
    char text[32];
    const char *between = " ";
    for (size_t i = 0; i < 32; i++)
        if (mask >> i & 1) {
            snprintf(text, sizeof text, "%s%zu%s", between, i, i >= aux ? " (auxiliary)" : "");
            table_add(t, text);
            between = ", ";
        }
    table_add(t, mask ? " |" : " - |");
}

static void table_row(table *t, const rf_op_class *op, rf_op_reads reads)
{
    table_add(t, "| `");
    table_add(t, op->name);
    table_add(t, "` |");
    table_numbers(t, reads.inputs, 32);
    table_numbers(t, reads.outputs, op->num_out);
    table_add(t, op->traits & RF_OP_VIEW      ? " it has no kernel |\n"
                 : op->traits & RF_OP_INPLACE ? " whenever its region does |\n"
                 : reads.outputs              ? " yes |\n"
                                              : " no |\n");
}

static char *page_text(void)
{
    FILE *file = fopen(RF_SOURCE_DIR "/docs/ops.md", "rb");
    assert_non_null(file);
    char *text = calloc(1, 65536);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static void test_x21_the_page_is_true(void **state)
{
    world *w = *state;
    static table t;
    t.len = 0;
    table_add(&t,
              "| op | reads of its inputs | of its results | runs again for its own backward |\n");
    table_add(&t, "|---|---|---|---|\n");
    for (size_t i = 0; i < rf_op_count(w->ctx); i++) {
        const rf_op_class *op = rf_op_at(w->ctx, i);
        if (reads_has_gradient(op))
            table_row(&t, op, reads_of(w->ctx, op));
    }
    table_add(&t, "\n");
    char *page = page_text();
    if (!strstr(page, t.text)) {
        FILE *file = fopen("ops-table.md", "wb");
        if (file) {
            fputs(t.text, file);
            fclose(file);
        }
        fail_msg(
            "docs/ops.md has another table; the right one is ops-table.md in the test's folder");
    }
    free(page);
}

/* ---- and what runs ---- */

/* The op last in its region, on inputs that the region computes. */
static rf_status run_last(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const sample_op *p = payload;
    rf_tensor *handles[RF_MAX_INPUTS];
    rf_values inner = {handles, in->num};
    int other = !strcmp(p->op->name, "affine");
    for (size_t i = 0; i < in->num; i++) {
        int is_float = in->v[i] && rf_tensor_dtype(in->v[i]) == RF_F32;
        handles[i] = !is_float ? in->v[i]
                     : other   ? rf_neg(s, in->v[i])
                               : rf_affine(s, in->v[i], 1, 0);
    }
    return sample_call(payload, s, &inner, out);
}

enum { PLAIN, EARLY, WHOLE };

/* How often the op's kernel runs in a forward and a backward; -1: nothing to run backward from. */
static int64_t run_count(const sample_op *op, int form)
{
    world w = {NULL, NULL};
    rf_tensor *in[RF_MAX_INPUTS], *results[RF_MAX_OUTPUTS] = {NULL}, *loss = NULL;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.no_early_stop = form == WHOLE;
    assert_int_equal(rf_context_create(&w.ctx, NULL), RF_OK);
    assert_ok(w.ctx, rf_scope_open(&w.s, w.ctx, NULL));
    rf_values values = {in, sample_inputs(w.s, op->sample, RF_F32, in)},
              out = {results, op->op->num_out};
    sample_op payload = *op;
    rf_op_counts_reset(w.ctx);
    if (form == PLAIN)
        assert_ok(w.ctx, run_last(&payload, w.s, &values, &out));
    else
        assert_ok(w.ctx, rf_checkpoint_call(w.s, (rf_function){run_last, &payload, NULL}, &values,
                                            &out, &opts));
    for (size_t j = 0; j < out.num; j++)
        if (results[j] && rf_tensor_requires_grad(results[j])) {
            rf_tensor *part = rf_sum(w.s, results[j]);
            loss = loss ? rf_add(w.s, loss, part) : part;
        }
    if (loss)
        assert_ok(w.ctx, rf_backward(w.s, loss));
    int64_t count = loss ? (int64_t)rf_op_counts_of(w.ctx, op->op->name).executed : -1;
    rf_scope_close(w.s);
    rf_context_destroy(w.ctx);
    return count;
}

static void run_sample(rf_context *ctx, const rf_op_class *op, const rf_op_sample *sample)
{
    sample_op payload = {op, sample};
    int64_t plain = run_count(&payload, PLAIN);
    if (plain < 0)
        return;
    rf_op_reads reads = reads_of_sample(ctx, op, sample);
    /* what of it the region computes; without early stop, what stands outside is asked for too */
    int inside = reads.outputs || reads.inputs & reads_wanted(sample);
    int any = reads.outputs || reads.inputs;
    int64_t expected = op->traits & RF_OP_INPLACE ? inside : reads.outputs != 0;
    int64_t early = run_count(&payload, EARLY) - plain, whole = run_count(&payload, WHOLE) - plain;
    if (early != expected || whole != any)
        fail_msg("%s: ran %d times more with early stop, not %d; %d without, not %d", op->name,
                 (int)early, (int)expected, (int)whole, any);
}

static void test_x21_kernels_run_as_told(void **state)
{
    world *w = *state;
    rf_op_sample sample;
    for (size_t i = 0; i < rf_op_count(w->ctx); i++) {
        const rf_op_class *op = rf_op_at(w->ctx, i);
        for (size_t k = 0; reads_has_gradient(op) && !(op->traits & RF_OP_VIEW) && k < 100; k++) {
            memset(&sample, 0, sizeof sample);
            if (!op->sample(k, &sample))
                break;
            run_sample(w->ctx, op, &sample);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_x21_the_page_is_true, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_x21_kernels_run_as_told, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
