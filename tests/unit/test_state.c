/* State files: everything comes back; no damage anywhere goes unnoticed or changes anything; what
 * belongs to another model, optimiser or data is refused by name. */
#include <refrain/io.h>

#include "support/failing.h"
#include "support/files.h"
#include "support/small_model.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

/* All that a state file speaks of, with contents that are a function of `salt`. */
typedef struct world {
    rf_context *ctx;
    rf_module *module;
    rf_optim *optim;
    rf_dataset *data;
    rf_state state;
} world;

static rf_status salt_tensor(void *payload, const char *path, rf_tensor *t)
{
    unsigned *salt = payload;
    unsigned char bytes[512];
    (void)path;
    for (size_t i = 0; i < rf_tensor_bytes(t); i++)
        bytes[i] = (unsigned char)((i * 13 + *salt * 57) % 59);
    ++*salt;
    return rf_tensor_copy_from(t, bytes, rf_tensor_bytes(t));
}

static rf_dataset *open_data(rf_context *ctx, uint64_t context)
{
    const char *path = "data";
    rf_dataset_options opts = RF_DATASET_OPTIONS_INIT;
    rf_dataset *data = NULL;
    opts.context = context;
    opts.batch = 2;
    files_put_text(path, "some text to train on, which is long enough for a few samples");
    return rf_dataset_open(&data, ctx, &path, 1, &opts) ? NULL : data;
}

/* Returns 0 if memory runs out; world_end is right either way. */
static int world_begin(world *w, rf_context *ctx, unsigned salt)
{
    *w = (world){.ctx = ctx, .state = RF_STATE_INIT};
    w->module = small_model(ctx, salt);
    if (!w->module || rf_optim_adamw(&w->optim, w->module, NULL))
        return 0;
    w->data = open_data(ctx, 5);
    if (!w->data || rf_optim_each_state(w->optim, salt_tensor, &salt))
        return 0;
    rf_optim_set_steps(w->optim, salt * 1000);
    rf_optim_set_lr(w->optim, 1.0 / (salt + 3));
    rf_dataset_set_position(w->data, salt * 77);
    rf_context_set_rng(ctx, (rf_rng){salt, salt * UINT64_C(1000000007)});
    w->state.module = w->module;
    w->state.optim = w->optim;
    w->state.data = w->data;
    w->state.options = "width=64\nname=\xC3\xA9\n";
    return 1;
}

static void world_end(world *w)
{
    rf_dataset_close(w->data);
    rf_optim_destroy(w->optim);
    rf_module_destroy(w->module);
}

/* A hash over everything that a load may change. */
static rf_status add_to_hash(void *payload, const char *path, rf_tensor *t)
{
    uint64_t *hash = payload;
    unsigned char bytes[512];
    size_t len = rf_tensor_bytes(t);
    rf_status status = rf_tensor_copy_out(t, bytes, len);
    *hash = rf_hash64(path, strlen(path), *hash);
    *hash = rf_hash64(bytes, len, *hash);
    return status;
}

static uint64_t world_hash(const world *w)
{
    uint64_t hash = 1, small[5];
    double lr = rf_optim_lr(w->optim);
    assert_int_equal(rf_module_each_param(w->module, 0, add_to_hash, &hash), RF_OK);
    assert_int_equal(rf_module_each_buffer(w->module, add_to_hash, &hash), RF_OK);
    assert_int_equal(rf_optim_each_state(w->optim, add_to_hash, &hash), RF_OK);
    rf_rng rng = rf_context_rng(w->ctx);
    small[0] = rf_optim_steps(w->optim);
    small[1] = rf_dataset_position(w->data);
    small[2] = rng.seed;
    small[3] = rng.offset;
    memcpy(&small[4], &lr, sizeof lr);
    return rf_hash64(small, sizeof small, hash);
}

static void message_has(rf_context *ctx, const char *part)
{
    const char *message = rf_context_error(ctx)->message;
    if (!strstr(message, part) || strchr(message, '\n'))
        fail_msg("'%s' is not in '%s'", part, message);
}

typedef struct two_worlds {
    world a, b;
} two_worlds;

static int begin(void **state)
{
    static two_worlds two;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *first, *second;
    opts.threads = 1;
    if (rf_context_create(&first, &opts) || rf_context_create(&second, &opts))
        return 1;
    if (!world_begin(&two.a, first, 1) || !world_begin(&two.b, second, 2))
        return 1;
    *state = &two;
    return rf_state_save(&two.a.state, "s.state");
}

static int end(void **state)
{
    two_worlds *two = *state;
    world_end(&two->a);
    world_end(&two->b);
    rf_context_destroy(two->a.ctx);
    rf_context_destroy(two->b.ctx);
    remove("s.state");
    return 0;
}

/* ---- what is right ---- */

static void test_everything_comes_back(void **state)
{
    two_worlds *two = *state;
    uint64_t before = world_hash(&two->a);
    assert_true(before != world_hash(&two->b));
    assert_int_equal(rf_state_load(&two->b.state, "s.state"), RF_OK);
    assert_true(world_hash(&two->b) == before);
    assert_true(world_hash(&two->a) == before);
    /* And saves to the same bytes. */
    size_t len;
    unsigned char *file = files_get("s.state", &len);
    assert_int_equal(rf_state_save(&two->b.state, "t.state"), RF_OK);
    assert_true(files_equal("t.state", file, len));
    free(file);
    remove("t.state");
}

static void test_options(void **state)
{
    two_worlds *two = *state;
    char *text;
    assert_int_equal(rf_state_options(&text, two->b.ctx, "s.state"), RF_OK);
    assert_string_equal(text, "width=64\nname=\xC3\xA9\n");
    rf_text_free(two->b.ctx, text);
    two->a.state.options = NULL;
    assert_int_equal(rf_state_save(&two->a.state, "s.state"), RF_OK);
    assert_int_equal(rf_state_options(&text, two->b.ctx, "s.state"), RF_OK);
    assert_string_equal(text, "");
    rf_text_free(two->b.ctx, text);
    assert_int_equal(rf_state_options(&text, two->b.ctx, "none"), RF_E_IO);
    assert_null(text);
}

/* A file may have more than is asked for. */
static void test_parts_may_be_passed_over(void **state)
{
    two_worlds *two = *state;
    world *b = &two->b;
    uint64_t position = rf_dataset_position(b->data), steps = rf_optim_steps(b->optim), ours, his;
    b->state.data = NULL;
    b->state.optim = NULL;
    assert_int_equal(rf_state_load(&b->state, "s.state"), RF_OK);
    assert_int_equal(rf_dataset_position(b->data), position);
    assert_int_equal(rf_optim_steps(b->optim), steps);
    assert_int_equal(rf_module_hash(two->a.module, &his), RF_OK);
    assert_int_equal(rf_module_hash(b->module, &ours), RF_OK);
    assert_true(ours == his);
}

static void test_parts_may_not_be_missing(void **state)
{
    two_worlds *two = *state;
    world *a = &two->a, *b = &two->b;
    uint64_t before = world_hash(b);
    a->state.data = NULL;
    assert_int_equal(rf_state_save(&a->state, "s.state"), RF_OK);
    assert_int_equal(rf_state_load(&b->state, "s.state"), RF_E_NOT_FOUND);
    message_has(b->ctx, "s.state: it was saved without a data position");
    a->state.data = a->data;
    a->state.optim = NULL;
    assert_int_equal(rf_state_save(&a->state, "s.state"), RF_OK);
    assert_int_equal(rf_state_load(&b->state, "s.state"), RF_E_NOT_FOUND);
    message_has(b->ctx, "s.state: it was saved without an optimiser");
    assert_true(world_hash(b) == before);
    b->state.optim = NULL;
    assert_int_equal(rf_state_load(&b->state, "s.state"), RF_OK);
}

/* ---- what is not ---- */

static void test_other_data(void **state)
{
    two_worlds *two = *state;
    world *b = &two->b;
    uint64_t before;
    rf_dataset_close(b->data);
    b->data = b->state.data = open_data(b->ctx, 6);
    before = world_hash(b);
    assert_int_equal(rf_state_load(&b->state, "s.state"), RF_E_STATE);
    message_has(b->ctx, "s.state: it was saved with other data");
    assert_true(world_hash(b) == before);
}

static void test_another_model(void **state)
{
    two_worlds *two = *state;
    world *b = &two->b;
    rf_module *part = rf_module_find(b->module, "h.0");
    rf_state only = RF_STATE_INIT;
    uint64_t before = world_hash(b);
    only.module = part;
    assert_int_equal(rf_state_load(&only, "s.state"), RF_E_NOT_FOUND);
    message_has(b->ctx, "s.state: it holds 'wte' where the model has 'weight'");
    only.module = rf_module_find(two->a.module, "h.0");
    assert_int_equal(rf_state_save(&only, "s.state"), RF_OK);
    only.module = b->module;
    assert_int_equal(rf_state_load(&only, "s.state"), RF_E_NOT_FOUND);
    message_has(b->ctx, "it holds 'weight' where the model has 'wte'");
    assert_true(world_hash(b) == before);
}

/* A module that has only the beginning of the file's tensors, and one that has one more. */
static void test_more_and_fewer_tensors(void **state)
{
    two_worlds *two = *state;
    rf_state only = RF_STATE_INIT;
    int64_t dims[] = {2, 2};
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    rf_tensor *t;
    uint64_t before;
    opts.rank = 2;
    opts.dims = dims;
    only.module = rf_module_find(two->a.module, "h.1");
    assert_int_equal(rf_state_save(&only, "less.state"), RF_OK);
    assert_int_equal(rf_tensor_create(&t, two->a.ctx, &opts), RF_OK);
    assert_int_equal(rf_module_add_param(only.module, "more", t), RF_OK);
    assert_int_equal(rf_state_load(&only, "less.state"), RF_E_NOT_FOUND);
    message_has(two->a.ctx, "it holds a part 'END ' where 'PARM' is wanted");
    assert_int_equal(rf_state_save(&only, "more.state"), RF_OK);
    only.module = rf_module_find(two->b.module, "h.1");
    before = world_hash(&two->b);
    assert_int_equal(rf_state_load(&only, "more.state"), RF_E_NOT_FOUND);
    assert_true(world_hash(&two->b) == before); /* nor what fits, before what does not */
    message_has(two->b.ctx, "it holds a part 'PARM' where 'END ' is wanted");
    rf_tensor_drop(t);
    dims[0] = 4;
    dims[1] = 1;
    assert_int_equal(rf_tensor_create(&t, two->b.ctx, &opts), RF_OK);
    assert_int_equal(rf_module_add_param(only.module, "more", t), RF_OK);
    assert_int_equal(rf_state_load(&only, "more.state"), RF_E_SHAPE);
    message_has(two->b.ctx, "'more' was saved as (2, 2) f32 and is now (4, 1) f32");
    rf_tensor_drop(t);
    remove("less.state");
    remove("more.state");
}

static void test_bad_arguments(void **state)
{
    two_worlds *two = *state;
    rf_state other = two->a.state;
    other.size = 8;
    assert_int_equal(rf_state_save(&other, "s.state"), RF_E_ARGUMENT);
    assert_int_equal(rf_state_load(&other, "s.state"), RF_E_ARGUMENT);
    other = (rf_state)RF_STATE_INIT;
    assert_int_equal(rf_state_save(&other, "s.state"), RF_E_ARGUMENT);
    assert_int_equal(rf_state_load(&two->b.state, "none"), RF_E_IO);
    assert_int_equal(rf_state_load(&two->b.state, "."), RF_E_IO);
    files_put_text("text", "just some text, longer than the front of a state file is");
    assert_int_equal(rf_state_load(&two->b.state, "text"), RF_E_FORMAT);
    message_has(two->b.ctx, "text: no state file");
}

/* ---- damage ---- */

static void test_every_changed_byte_is_seen(void **state)
{
    two_worlds *two = *state;
    uint64_t before = world_hash(&two->b);
    size_t len, step = getenv("RF_TEST_FAST") ? 7 : 1;
    unsigned char *file = files_get("s.state", &len);
    for (size_t i = 0; i < len; i += step) {
        file[i] ^= (unsigned char)(1 << i % 8);
        files_put("s.state", file, len);
        file[i] ^= (unsigned char)(1 << i % 8);
        rf_status status = rf_state_load(&two->b.state, "s.state");
        if (status != RF_E_FORMAT)
            fail_msg("byte %zu: %s", i, rf_status_name(status));
    }
    assert_true(world_hash(&two->b) == before);
    files_put("s.state", file, len);
    assert_int_equal(rf_state_load(&two->b.state, "s.state"), RF_OK);
    free(file);
}

static void test_every_cut_is_seen(void **state)
{
    two_worlds *two = *state;
    uint64_t before = world_hash(&two->b);
    size_t len, step = getenv("RF_TEST_FAST") ? 7 : 1;
    unsigned char *file = files_get("s.state", &len);
    unsigned char *more = calloc(1, len + 64);
    memcpy(more, file, len);
    for (size_t cut = 0; cut < len; cut += step) {
        files_put("s.state", file, cut);
        assert_int_equal(rf_state_load(&two->b.state, "s.state"), RF_E_FORMAT);
    }
    for (size_t extra = 1; extra <= 64; extra++) {
        files_put("s.state", more, len + extra);
        assert_int_equal(rf_state_load(&two->b.state, "s.state"), RF_E_FORMAT);
    }
    assert_true(world_hash(&two->b) == before);
    free(file);
    free(more);
}

/* Damage in the options alone, read alone. */
static void test_damaged_options(void **state)
{
    two_worlds *two = *state;
    size_t len;
    char *text;
    unsigned char *file = files_get("s.state", &len);
    for (size_t i = 0; i < 80; i++) {
        file[i] ^= 0x10;
        files_put("s.state", file, len);
        file[i] ^= 0x10;
        assert_int_equal(rf_state_options(&text, two->b.ctx, "s.state"), RF_E_FORMAT);
        assert_null(text);
    }
    free(file);
}

static void test_another_version(void **state)
{
    two_worlds *two = *state;
    size_t len;
    unsigned char *file = files_get("s.state", &len);
    file[8] = 2;
    uint64_t hash = rf_hash64(file, 24, 0);
    for (int i = 0; i < 8; i++)
        file[24 + i] = (unsigned char)(hash >> 8 * i);
    files_put("s.state", file, len);
    assert_int_equal(rf_state_load(&two->b.state, "s.state"), RF_E_UNSUPPORTED);
    message_has(two->b.ctx, "a state file of version 2, and this program reads version 1");
    free(file);
}

/* ---- the layout, byte by byte, so that a file of today is read tomorrow ---- */

static void test_layout(void **state)
{
    static const unsigned char magic[] = {0x89, 'R', 'F', 'S', '\r', '\n', 0x1A, '\n', 1, 0, 0, 0};
    two_worlds *two = *state;
    size_t len;
    unsigned char *file = files_get("s.state", &len);
    assert_memory_equal(file, magic, sizeof magic);
    assert_int_equal(file[12], 3); /* data and optimiser */
    assert_int_equal(file[16] + 256 * (size_t)file[17], len);
    assert_memory_equal(file + 32, "OPTS\0\0\0\0\x11\0\0\0\0\0\0\0width=64\nname=", 30);
    assert_memory_equal(file + 80, "RNG \0\0\0\0\x10\0\0\0\0\0\0\0", 16);
    uint64_t hash = rf_hash64(file + 80, 32, 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(file[112 + i], (unsigned char)(hash >> 8 * i));
    assert_memory_equal(file + 120, "DATA\0\0\0\0\x10\0\0\0\0\0\0\0", 16);
    assert_memory_equal(file + 160, "STEP\0\0\0\0\x10\0\0\0\0\0\0\0", 16);
    /* wte: name of 3, f32, rank 2, (5, 3), 60 bytes padded to 64 */
    assert_memory_equal(file + 200,
                        "PARM\0\0\0\0\x64\0\0\0\0\0\0\0"
                        "\3\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"
                        "\5\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0wte\0\0\0\0\0",
                        56);
    assert_memory_equal(file + 200 + 16 + 104 + 8, "PARM", 4);
    assert_memory_equal(file + len - 24, "END \0\0\0\0\0\0\0\0\0\0\0\0", 16);
    (void)two;
    free(file);
}

/* ---- disks, kills, memory ---- */

static void test_full_disk(void **state)
{
    two_worlds *two = *state;
    assert_int_equal(rf_state_save(&two->a.state, "/dev/full"), RF_E_IO);
    message_has(two->a.ctx, "/dev/full: can't be written: no space left");
}

/* Save for ever, with the step in the file. Never returns. */
static void save_for_ever(int pipe_end)
{
    rf_context *ctx;
    world w;
    if (rf_context_create(&ctx, NULL) || !world_begin(&w, ctx, 1))
        _exit(1);
    for (uint64_t i = 0;; i++) {
        rf_optim_set_steps(w.optim, i);
        if (rf_state_save(&w.state, "s.state"))
            _exit(2);
        if (i == 0 && write(pipe_end, "x", 1) != 1)
            _exit(3);
    }
}

static void test_killed_while_saving(void **state)
{
    two_worlds *two = *state;
    int rounds = getenv("RF_TEST_FAST") ? 10 : 30;
    for (int round = 0; round < rounds; round++) {
        int ends[2], status;
        char byte;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            save_for_ever(ends[1]);
        close(ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        nanosleep(&(struct timespec){0, round * 97000L + 1000}, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        close(ends[0]);
        assert_int_equal(rf_state_load(&two->b.state, "s.state"), RF_OK);
    }
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t k = 1, done = 0; !done; k++) {
        failing_allocator a = {0};
        rf_context *ctx = failing_context(&a);
        char *text = NULL;
        world w;
        assert_true(world_begin(&w, ctx, 1));
        a.calls = 0;
        a.fail_at = k;
        rf_status status = rf_state_save(&w.state, "s.state");
        if (!status)
            status = rf_state_load(&w.state, "s.state");
        if (!status)
            status = rf_state_options(&text, ctx, "s.state");
        done = a.calls < k;
        assert_int_equal(status, done ? RF_OK : RF_E_MEMORY);
        a.fail_at = 0;
        rf_text_free(ctx, text);
        assert_int_equal(rf_state_load(&w.state, "s.state"), RF_OK);
        world_end(&w);
        rf_context_destroy(ctx);
        assert_int_equal(a.bytes, 0);
    }
}

#define STATE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_everything_comes_back),
        STATE_TEST(test_options),
        STATE_TEST(test_parts_may_be_passed_over),
        STATE_TEST(test_parts_may_not_be_missing),
        STATE_TEST(test_other_data),
        STATE_TEST(test_another_model),
        STATE_TEST(test_more_and_fewer_tensors),
        STATE_TEST(test_bad_arguments),
        STATE_TEST(test_every_changed_byte_is_seen),
        STATE_TEST(test_every_cut_is_seen),
        STATE_TEST(test_damaged_options),
        STATE_TEST(test_another_version),
        STATE_TEST(test_layout),
        STATE_TEST(test_full_disk),
        STATE_TEST(test_killed_while_saving),
        STATE_TEST(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
