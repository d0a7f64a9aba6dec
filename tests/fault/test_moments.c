/* test_moments.c: moments in a file whose disk, folder, limit or memory fails: a typed error in one
 * line, nothing left behind, and a saved state as the way back. */
#define _GNU_SOURCE
#include "support/bag.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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
    assert_ok(ctx, rf_memory_get(ctx, device, RF_MEM_OPTIM, &info));
    return info.used;
}

static int says(rf_context *ctx, const char *what)
{
    const char *message = rf_context_error(ctx)->message;
    return strstr(message, what) && !strchr(message, '\n');
}

/* ---- memory and limits ---- */

static rf_status play(rf_context *ctx, bag *b, size_t *len, unsigned char **bits)
{
    rf_status status = bag_begin(b, ctx, RF_DEVICE_CPU, 1);
    *bits = NULL;
    if (!status)
        status = bag_optim(b, 4, RF_DEVICE_FILE);
    for (int step = 0; step < 3 && !status; step++)
        status = bag_step(b, step);
    if (status)
        return status;
    *bits = bag_bits(b, len);
    return *bits ? RF_OK : rf_context_error(ctx)->code;
}

static void test_every_allocation_may_fail(void **state)
{
    unsigned char *wanted = NULL;
    (void)state;
    for (uint64_t k = 0;; k++) {
        counting c = {0};
        rf_context *ctx = counted(&c, NULL);
        unsigned char *bits;
        size_t len = 0;
        bag b = {0};
        c.made = 0;
        c.fail_at = k;
        rf_status status = play(ctx, &b, &len, &bits);
        int reached = k && c.made >= k;
        c.fail_at = 0;
        assert_int_equal(status, reached ? RF_E_MEMORY : RF_OK);
        if (b.optim && !reached && k)
            assert_memory_equal(bits, wanted, len);
        free(k ? bits : NULL);
        wanted = k ? wanted : bits;
        bag_end(&b);
        assert_int_equal(held(ctx, RF_DEVICE_CPU), 0);
        assert_int_equal(held(ctx, RF_DEVICE_FILE), 0);
        b = (bag){0};
        assert_ok(ctx, play(ctx, &b, &len, &bits));
        assert_memory_equal(bits, wanted, len);
        free(bits);
        bag_end(&b);
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
        if (k && !reached)
            break;
    }
    free(wanted);
}

/* A step takes the memory that it takes with moments in memory, and no more. */
static void test_a_step_allocates_nothing_for_them(void **state)
{
    uint64_t made[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        counting c = {0};
        rf_context *ctx = counted(&c, NULL);
        bag b;
        assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, 1));
        assert_ok(ctx, bag_optim(&b, 4, i ? RF_DEVICE_FILE : RF_DEVICE_CPU));
        assert_ok(ctx, bag_step(&b, 0));
        assert_ok(ctx, bag_grads(&b, 1));
        uint64_t before = c.made;
        assert_ok(ctx, rf_optim_step(b.optim));
        made[i] = c.made - before;
        bag_end(&b);
        rf_context_destroy(ctx);
    }
    assert_int_equal(made[0], made[1]);
}

static void test_limits(void **state)
{
    counting c = {0};
    rf_context *ctx = counted(&c, NULL);
    bag b;
    (void)state;
    assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, 0));
    uint64_t bytes = 2 * (uint64_t)b.bytes;
    assert_ok(ctx, rf_memory_set_limit(ctx, RF_DEVICE_FILE, RF_MEM_ALL, bytes - 1));
    assert_int_equal(bag_optim(&b, 4, RF_DEVICE_FILE), RF_E_BUDGET);
    assert_int_equal(rf_context_error(ctx)->bytes_wanted, bytes);
    assert_int_equal(rf_context_error(ctx)->limit, bytes - 1);
    assert_null(b.optim);
    assert_int_equal(held(ctx, RF_DEVICE_CPU), 0);
    assert_ok(ctx, rf_memory_set_limit(ctx, RF_DEVICE_FILE, RF_MEM_ALL, bytes));
    assert_ok(ctx, bag_optim(&b, 4, RF_DEVICE_FILE));
    rf_optim_destroy(b.optim);
    static const rf_device nowhere[] = {RF_DEVICE_META, RF_DEVICE_HOST, (rf_device)77};
    for (size_t i = 0; i < 3; i++)
        for (int rule = 1; rule < 4; rule += 2) {
            assert_int_equal(bag_optim(&b, rule, nowhere[i]), RF_E_ARGUMENT);
            assert_true(says(ctx, "moments wait in memory"));
        }
    bag_end(&b);
    rf_context_destroy(ctx);
    assert_int_equal(c.live, 0);
}

static void test_no_such_folder(void **state)
{
    counting c = {0};
    rf_context *ctx = counted(&c, "no/such/folder");
    bag b;
    (void)state;
    assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, 1));
    assert_int_equal(bag_optim(&b, 4, RF_DEVICE_FILE), RF_E_IO);
    assert_true(says(ctx, "no/such/folder"));
    assert_null(b.optim);
    assert_int_equal(held(ctx, RF_DEVICE_CPU), 0);
    assert_int_equal(held(ctx, RF_DEVICE_FILE), 0);
    assert_ok(ctx, bag_optim(&b, 0, RF_DEVICE_FILE)); /* has none, needs no file */
    rf_optim_destroy(b.optim);
    assert_ok(ctx, bag_optim(&b, 4, RF_DEVICE_CPU));
    bag_end(&b);
    rf_context_destroy(ctx);
    assert_int_equal(c.live, 0);
}

/* ---- the disk: in a child, whose files may be limited ---- */

#define WANT(condition)      \
    do {                     \
        if (!(condition))    \
            return __LINE__; \
    } while (0)

static int limit_files(rlim_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit))
        return -1;
    limit.rlim_cur = bytes;
    return setrlimit(RLIMIT_FSIZE, &limit);
}

/* Told when the optimiser is made, before anything depends on it. */
static int disk_too_small(void)
{
    counting c = {0};
    rf_context *ctx = counted(&c, NULL);
    bag b;
    WANT(!bag_begin(&b, ctx, RF_DEVICE_CPU, 0));
    WANT(!limit_files(1 << 20));
    WANT(bag_optim(&b, 4, RF_DEVICE_FILE) == RF_E_IO);
    WANT(says(ctx, "spill: cannot make room in"));
    WANT(!b.optim && !held(ctx, RF_DEVICE_CPU) && !held(ctx, RF_DEVICE_FILE));
    WANT(!limit_files(RLIM_INFINITY));
    WANT(!bag_optim(&b, 4, RF_DEVICE_FILE));
    WANT(!bag_step(&b, 0));
    bag_end(&b);
    rf_context_destroy(ctx);
    return c.live ? __LINE__ : 0;
}

static int state_of(bag *b, rf_state *state)
{
    *state = (rf_state)RF_STATE_INIT;
    state->module = b->m;
    state->optim = b->optim;
    return 0;
}

/* What was moved and can't be written is lost; a saved state is the way back, with the same bits.
 */
static int write_fails_at(int small, size_t params, const char *message)
{
    counting c = {0};
    rf_context *ctx = counted(&c, NULL);
    rf_state saved;
    size_t len[3];
    unsigned char *bits[3];
    bag b;
    WANT(!bag_begin(&b, ctx, RF_DEVICE_CPU, small));
    for (size_t i = params; i < BAG_PARAMS; i++)
        WANT(!rf_tensor_set_requires_grad(b.params[i], 0));
    WANT(!bag_optim(&b, 4, RF_DEVICE_FILE));
    WANT(!bag_step(&b, 0) && !bag_step(&b, 1));
    WANT(!state_of(&b, &saved) && !rf_state_save(&saved, "saved"));
    WANT(!bag_step(&b, 2));
    WANT((bits[0] = bag_bits(&b, &len[0])));
    WANT(!rf_state_load(&saved, "saved"));

    WANT(!limit_files(4096));
    WANT(bag_step(&b, 2) == RF_E_IO);
    WANT(says(ctx, message) && says(ctx, "load a saved state"));
    WANT(rf_optim_steps(b.optim) == 2);
    WANT(!limit_files(RLIM_INFINITY));
    WANT(bag_step(&b, 2) == RF_E_IO);
    WANT(says(ctx, "spill: moments were lost"));
    WANT(!bag_bits(&b, &len[1]));
    WANT(rf_state_save(&saved, "worse") == RF_E_IO && access("worse", F_OK));
    WANT(!rf_state_load(&saved, "saved"));
    WANT(!bag_step(&b, 2));
    WANT((bits[2] = bag_bits(&b, &len[2])));
    WANT(len[2] == len[0] && !memcmp(bits[2], bits[0], len[0]));
    free(bits[0]);
    free(bits[2]);
    bag_end(&b);
    rf_context_destroy(ctx);
    return c.live ? __LINE__ : 0;
}

static int write_fails(void)
{
    return write_fails_at(1, BAG_PARAMS, "spill: cannot write the moments of ");
}

static int write_fails_halfway(void)
{
    return write_fails_at(0, BAG_PARAMS, "spill: cannot write the moments of large");
}

/* Nothing comes after it: found out before the step says that it went well. */
static int last_write_fails(void)
{
    return write_fails_at(1, 1, "spill: cannot write the moments of large");
}

/* The file that has no name, by way of the process's own list; -1: none. */
static int spill_file(void)
{
    char path[300], target[300];
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    int found = -1;
    while (folder && found < 0 && (entry = readdir(folder))) {
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n < 0 ? 0 : n] = 0;
        if (strstr(target, "(deleted)"))
            found = atoi(entry->d_name);
    }
    if (folder)
        closedir(folder);
    return found;
}

/* A file that ends too early. Parameters of one chunk are as they were, and so is the rest. */
static int read_falls_short(void)
{
    counting c = {0};
    rf_context *ctx = counted(&c, NULL);
    rf_state saved;
    size_t len[2];
    unsigned char *bits[2];
    bag b;
    WANT(!bag_begin(&b, ctx, RF_DEVICE_CPU, 1));
    WANT(!bag_optim(&b, 4, RF_DEVICE_FILE));
    WANT(!bag_step(&b, 0) && !bag_step(&b, 1));
    WANT(!state_of(&b, &saved) && !rf_state_save(&saved, "saved"));
    WANT((bits[0] = bag_bits(&b, &len[0])));
    int file = spill_file();
    WANT(file >= 0 && !ftruncate(file, 0));
    WANT(bag_step(&b, 3) == RF_E_IO);
    WANT(says(ctx, "spill: cannot read the moments of large") && !says(ctx, "saved state"));
    WANT(rf_state_save(&saved, "worse") == RF_E_IO && access("worse", F_OK));
    WANT(!rf_state_load(&saved, "saved"));
    WANT((bits[1] = bag_bits(&b, &len[1])));
    WANT(len[1] == len[0] && !memcmp(bits[1], bits[0], len[0]));
    free(bits[0]);
    free(bits[1]);
    bag_end(&b);
    rf_context_destroy(ctx);
    return c.live ? __LINE__ : 0;
}

/* Parameters and counters after a read that failed are those before. */
static int read_fails_without_a_trace(void)
{
    counting c = {0};
    rf_context *ctx = counted(&c, NULL);
    bag b;
    WANT(!bag_begin(&b, ctx, RF_DEVICE_CPU, 1));
    WANT(!bag_optim(&b, 4, RF_DEVICE_FILE));
    WANT(!bag_step(&b, 0));
    float before[2000];
    WANT(rf_tensor_bytes(b.params[0]) == sizeof before);
    memcpy(before, rf_tensor_data(b.params[0]), sizeof before);
    int file = spill_file();
    WANT(file >= 0 && !ftruncate(file, 0));
    for (int i = 0; i < 2; i++) {
        WANT(bag_step(&b, 1) == RF_E_IO);
        WANT(says(ctx, "spill: cannot read"));
        WANT(!memcmp(before, rf_tensor_data(b.params[0]), sizeof before));
        WANT(rf_optim_steps(b.optim) == 1);
    }
    bag_end(&b);
    rf_context_destroy(ctx);
    return c.live ? __LINE__ : 0;
}

/* A large parameter of which a part was moved is not to be gone on with. */
static int read_fails_halfway(void)
{
    counting c = {0};
    rf_context *ctx = counted(&c, NULL);
    rf_state saved;
    size_t len[2];
    unsigned char *bits[2];
    bag b;
    WANT(!bag_begin(&b, ctx, RF_DEVICE_CPU, 0));
    WANT(!bag_optim(&b, 4, RF_DEVICE_FILE));
    WANT(!bag_step(&b, 0) && !bag_step(&b, 1));
    WANT(!state_of(&b, &saved) && !rf_state_save(&saved, "saved"));
    WANT(!bag_step(&b, 3) && (bits[0] = bag_bits(&b, &len[0])));
    WANT(!rf_state_load(&saved, "saved"));
    int file = spill_file();
    WANT(file >= 0 && !ftruncate(file, 5 << 20));
    WANT(bag_step(&b, 3) == RF_E_IO);
    WANT(says(ctx, "cannot read the moments of large") && says(ctx, "load a saved state"));
    WANT(bag_step(&b, 3) == RF_E_IO && says(ctx, "spill: moments were lost"));
    WANT(!rf_state_load(&saved, "saved"));
    WANT(!bag_step(&b, 3) && (bits[1] = bag_bits(&b, &len[1])));
    WANT(len[1] == len[0] && !memcmp(bits[1], bits[0], len[0]));
    free(bits[0]);
    free(bits[1]);
    bag_end(&b);
    rf_context_destroy(ctx);
    return c.live ? __LINE__ : 0;
}

static void in_child(int (*play_there)(void))
{
    int how = 0;
    pid_t child = fork();
    if (!child) {
        int line = play_there();
        if (line)
            fprintf(stderr, "# line %d\n", line);
        _exit(line != 0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how)); /* not by SIGXFSZ, whose default stands */
    assert_int_equal(WEXITSTATUS(how), 0);
}

static void test_disk_too_small(void **state)
{
    (void)state;
    in_child(disk_too_small);
}

static void test_write_fails(void **state)
{
    (void)state;
    in_child(write_fails);
    in_child(write_fails_halfway);
    in_child(last_write_fails);
}

static void test_read_falls_short(void **state)
{
    (void)state;
    if (access("/proc/self/fd", R_OK))
        skip();
    in_child(read_falls_short);
    in_child(read_fails_without_a_trace);
    in_child(read_fails_halfway);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_a_step_allocates_nothing_for_them),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_such_folder),
        cmocka_unit_test(test_disk_too_small),
        cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_read_falls_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
