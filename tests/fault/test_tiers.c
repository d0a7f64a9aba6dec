/* test_tiers.c: X18 and X22: every allocation failing over nested, selective, spilled and hooked
 * regions; a folder that is not there, a disk that is full; and the order of copies. */
#include "support/world.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIDE = 24 };

/* Three steps, the middle one a region of its own; label "mid". */
static rf_status middle(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    out->v[0] = rf_exp(s, rf_sin(s, rf_matmul(s, in->v[0], in->v[1])));
    return rf_scope_status(s);
}

static rf_status whole(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const char *const *fates = payload;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_tensor *v[2] = {rf_cos(s, in->v[0]), in->v[1]}, *y = NULL;
    rf_values from = {v, 2}, to = {&y, 1};
    opts.fates = fates[1];
    opts.verify = RF_VERIFY_VALUES;
    opts.debug = 1;
    rf_status status = rf_checkpoint_call(s, (rf_function){middle, NULL, NULL}, &from, &to, &opts);
    if (status)
        return status;
    out->v[0] = rf_sum(s, rf_tanh(s, rf_matmul(s, y, in->v[1])));
    return rf_scope_status(s);
}

typedef struct scene {
    const char *fates[2];
    int tier, grouped, guarded;
} scene;

/* One step: gradients of x into dx. */
static rf_status play(rf_context *ctx, const scene *c, float *dx)
{
    rf_scope *s = NULL;
    rf_backward_group *group = NULL;
    rf_mutation_guard *guard = NULL;
    float host[SIDE * SIDE];
    int64_t dims[2] = {SIDE, SIDE};
    union {
        const char *const *in;
        void *out;
    } fates = {.in = c->fates};
    for (int i = 0; i < SIDE * SIDE; i++)
        host[i] = (float)(i % 13) / 26 - 0.2F;
    rf_status status = rf_scope_open(&s, ctx, NULL);
    if (status)
        return status;
    rf_tensor *v[2] = {rf_tensor_copy_in(s, RF_F32, 2, dims, host),
                       rf_tensor_copy_in(s, RF_F32, 2, dims, host)};
    rf_tensor *loss = NULL;
    rf_values in = {v, 2}, out = {&loss, 1};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.fates = c->fates[0];
    status = rf_scope_status(s);
    for (int i = 0; i < 2 && !status; i++)
        status = rf_tensor_set_requires_grad(v[i], 1);
    if (!status && c->tier)
        status = rf_scope_push_saved_tier(s, (rf_device)c->tier);
    if (!status && c->guarded)
        status = rf_mutation_guard_open(&guard, ctx);
    if (!status)
        status = rf_checkpoint_call(s, (rf_function){whole, fates.out, NULL}, &in, &out, &opts);
    if (!status && c->grouped)
        status = rf_backward_group_open(&group, ctx, "all");
    if (!status)
        status = rf_backward(s, loss);
    rf_backward_group_close(group);
    if (!status)
        status = rf_tensor_copy_out(rf_grad(v[0]), dx, sizeof host);
    rf_scope_close(s);
    rf_mutation_guard_close(guard);
    return status;
}

static const scene scenes[] = {
    {{NULL, NULL}, 0, 0, 0},
    {{"keep=matmul", "keep=sin"}, 0, 1, 0},
    {{"host=*", "host=matmul;keep=exp"}, 0, 0, 1},
    {{"file=*", "file=*"}, 0, 0, 0},
    {{"file=tanh", NULL}, RF_DEVICE_HOST, 1, 0},
    {{NULL, "file=sin"}, RF_DEVICE_FILE, 0, 1},
};

static rf_context *counted(counting *c, const char *folder)
{
    rf_context *ctx = NULL;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.alloc = counting_alloc;
    opts.alloc_payload = c;
    opts.threads = 1;
    opts.isa = "portable";
    opts.spill_folder = folder;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    return ctx;
}

static uint64_t held(rf_context *ctx, rf_device device)
{
    rf_memory_info info;
    assert_ok(ctx, rf_memory_get(ctx, device, RF_MEM_ACTIVATION, &info));
    return info.used;
}

static void test_x18_every_allocation_may_fail(void **state)
{
    (void)state;
    static float wanted[SIDE * SIDE], got[SIDE * SIDE];
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        for (uint64_t k = 0;; k++) {
            counting c = {0};
            rf_context *ctx = counted(&c, NULL);
            c.made = 0;
            c.fail_at = k;
            rf_status status = play(ctx, &scenes[i], got);
            int reached = k && c.made >= k;
            c.fail_at = 0;
            if (!k && !i)
                memcpy(wanted, got, sizeof got);
            if (status || !reached) /* reading ahead may do without */
                assert_int_equal(status, reached ? RF_E_MEMORY : RF_OK);
            if (!status) /* whatever the fates */
                assert_memory_equal(got, wanted, sizeof got);
            assert_int_equal(held(ctx, RF_DEVICE_CPU), 0);
            assert_int_equal(held(ctx, RF_DEVICE_HOST), 0);
            assert_int_equal(held(ctx, RF_DEVICE_FILE), 0);
            if (reached) {
                assert_ok(ctx, play(ctx, &scenes[i], got));
                assert_memory_equal(got, wanted, sizeof got);
            }
            rf_context_destroy(ctx);
            assert_int_equal(c.live, 0);
            if (k && !reached)
                break;
        }
}

static void test_x18_no_such_folder(void **state)
{
    (void)state;
    static float got[SIDE * SIDE];
    counting c = {0};
    rf_context *ctx = counted(&c, "no/such/folder");
    assert_int_equal(play(ctx, &scenes[3], got), RF_E_IO);
    assert_non_null(strstr(rf_context_error(ctx)->message, "no/such/folder"));
    assert_int_equal(held(ctx, RF_DEVICE_CPU), 0);
    assert_int_equal(held(ctx, RF_DEVICE_FILE), 0);
    assert_ok(ctx, play(ctx, &scenes[2], got)); /* other tiers go on */
    rf_context_destroy(ctx);
    assert_int_equal(c.live, 0);
}

/* In a child whose files may not grow past a few pages: what a full disk looks like. 0: all is
 * well. */
static int full_disk(void)
{
    static float got[SIDE * SIDE];
    counting c = {0};
    struct rlimit small = {8192, 8192};
    rf_context *ctx = counted(&c, NULL);
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &small))
        return 1;
    if (play(ctx, &scenes[3], got) != RF_E_IO)
        return 2;
    if (!strstr(rf_context_error(ctx)->message, "cannot write"))
        return 3;
    if (held(ctx, RF_DEVICE_CPU) || held(ctx, RF_DEVICE_FILE))
        return 4;
    if (play(ctx, &scenes[1], got))
        return 5;
    rf_context_destroy(ctx);
    return c.live ? 6 : 0;
}

static void test_x18_a_full_disk(void **state)
{
    (void)state;
    int how = 0;
    pid_t child = fork();
    if (!child)
        _exit(full_disk());
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

/* ---- X22: the log of copies ---- */

enum { COPIES = 256 };
typedef struct copies {
    rf_event v[COPIES];
    size_t num;
    double ops_began[COPIES]; /* when the op after copy i began */
} copies;

static void copies_note(void *payload, const rf_event *e)
{
    copies *c = payload;
    if (e->kind == RF_EVENT_COPY && c->num < COPIES)
        c->v[c->num++] = *e;
    if (e->kind == RF_EVENT_OP && c->num && !(c->ops_began[c->num - 1] > 0))
        c->ops_began[c->num - 1] = e->begin;
}

static void test_x22_copies_in_order(void **state)
{
    (void)state;
    static float got[SIDE * SIDE];
    static copies log;
    counting c = {0};
    rf_context *ctx = counted(&c, NULL);
    rf_trace_set(ctx, copies_note, &log);
    assert_ok(ctx, play(ctx, &scenes[3], got));
    rf_trace_set(ctx, NULL, NULL);
    int64_t there = 0, back = 0;
    for (size_t i = 0; i < log.num; i++) {
        const rf_event *e = &log.v[i];
        assert_int_equal(e->device, RF_DEVICE_FILE);
        assert_true(e->end >= e->begin && e->begin > 0);
        if (e->bytes > 0) {
            there += e->bytes;
            continue;
        }
        back -= e->bytes;
        /* it was written before it was read, and read before the next op began */
        int written = 0;
        for (size_t k = 0; k < i; k++)
            written |= log.v[k].storage == e->storage && log.v[k].bytes == -e->bytes &&
                       log.v[k].end <= e->begin;
        assert_true(written);
        if (log.ops_began[i] > 0)
            assert_true(e->end <= log.ops_began[i]);
    }
    /* cos, tanh, its matmul and sum of the outer region; matmul, sin and exp of the inner one */
    assert_int_equal(there, 6 * SIDE * SIDE * 4 + 4);
    /* each at most once, but for the sum */
    assert_true(back > 0 && back <= there - 4);
    rf_context_destroy(ctx);
}

/* Kernels ran while bytes were on their way, both there and back: intervals of the log meet. */
static rf_status chain(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_scope *inner = NULL;
    (void)payload;
    if (rf_scope_open(&inner, rf_scope_context(s), s))
        return RF_E_MEMORY;
    rf_tensor *x = in->v[0];
    for (int i = 0; i < 6; i++)
        x = rf_sin(inner, rf_exp(inner, x));
    out->v[0] = rf_keep(inner, rf_sum(inner, x));
    rf_status status = rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

enum { EVENTS = 512 };
typedef struct intervals {
    rf_event v[EVENTS];
    size_t num;
} intervals;

static void intervals_note(void *payload, const rf_event *e)
{
    intervals *all = payload;
    if ((e->kind == RF_EVENT_COPY || e->kind == RF_EVENT_OP) && all->num < EVENTS)
        all->v[all->num++] = *e;
}

/* How many kernels ran while bytes went one way. */
static size_t meetings(const intervals *all, int away)
{
    size_t num = 0;
    for (size_t i = 0; i < all->num; i++)
        for (size_t k = 0; k < all->num; k++) {
            const rf_event *copy = &all->v[i], *op = &all->v[k];
            num += copy->kind == RF_EVENT_COPY && op->kind == RF_EVENT_OP &&
                   (copy->bytes > 0) == away && copy->begin < op->end && op->begin < copy->end;
        }
    return num;
}

static void test_x22_copies_overlap_kernels(void **state)
{
    (void)state;
    static intervals all;
    counting c = {0};
    rf_context *ctx = counted(&c, NULL);
    rf_scope *s = NULL;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.fates = "file=exp";
    assert_ok(ctx, rf_scope_open(&s, ctx, NULL));
    rf_tensor *x = rf_full(s, RF_F32, 1, (int64_t[]){1 << 20}, 0.1), *loss = NULL;
    assert_ok(ctx, rf_tensor_set_requires_grad(x, 1));
    rf_values in = {&x, 1}, out = {&loss, 1};
    rf_trace_set(ctx, intervals_note, &all);
    assert_ok(ctx, rf_checkpoint_call(s, (rf_function){chain, NULL, NULL}, &in, &out, &opts));
    assert_ok(ctx, rf_backward(s, loss));
    rf_trace_set(ctx, NULL, NULL);
    assert_true(meetings(&all, 1) > 0);
    assert_true(meetings(&all, 0) > 0);
    rf_scope_close(s);
    rf_context_destroy(ctx);
    assert_int_equal(c.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_x18_every_allocation_may_fail),
        cmocka_unit_test(test_x18_no_such_folder),
        cmocka_unit_test(test_x18_a_full_disk),
        cmocka_unit_test(test_x22_copies_in_order),
        cmocka_unit_test(test_x22_copies_overlap_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
