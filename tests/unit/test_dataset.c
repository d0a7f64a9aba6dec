/* Token streams and batches: every token where it belongs, every sample once an epoch, the same
 * bits from any position, and one clear line for each kind of bad data. */
#include <refrain/data.h>

#include "data/shuffle.h"
#include "support/failing.h"
#include "support/files.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static int begin(void **state)
{
    rf_context *ctx = NULL;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = 1;
    if (system("rm -rf d && mkdir d") != 0 || rf_context_create(&ctx, &opts))
        return 1;
    *state = ctx;
    return 0;
}

static int end(void **state)
{
    rf_context_destroy(*state);
    return 0;
}

static void message_has(rf_context *ctx, const char *part)
{
    const char *message = rf_context_error(ctx)->message;
    if (!strstr(message, part) || strchr(message, '\n'))
        fail_msg("'%s' is not in '%s'", part, message);
}

/* ---- the permutation ---- */

static void test_shuffle_is_a_permutation(void **state)
{
    static unsigned char seen[5000];
    (void)state;
    for (uint64_t num = 1; num <= 5000; num = num < 300 ? num + 1 : num * 3 / 2)
        for (uint64_t key = 0; key < 3; key++) {
            memset(seen, 0, sizeof seen);
            for (uint64_t i = 0; i < num; i++) {
                uint64_t at = rf_shuffle_at(key, num, i);
                assert_true(at < num && !seen[at]);
                seen[at] = 1;
            }
        }
}

/* Each of 10 places is as likely for each of 10 indices: chi squared of 99 cells and 20,000 keys.
 * The keys are 0, 1, 2 ..., so that near keys must not give near orders. */
static void test_shuffle_is_even(void **state)
{
    double cells[10][10] = {{0}}, chi = 0;
    (void)state;
    for (uint64_t key = 0; key < 20000; key++)
        for (uint64_t i = 0; i < 10; i++)
            cells[i][rf_shuffle_at(key, 10, i)]++;
    for (int i = 0; i < 10; i++)
        for (int j = 0; j < 10; j++)
            chi += (cells[i][j] - 2000) * (cells[i][j] - 2000) / 2000;
    assert_true(chi > 40 && chi < 150); /* 81 degrees of freedom: mean 81, deviation 13 */
}

static void test_shuffle_of_large_numbers(void **state)
{
    const uint64_t nums[] = {UINT64_C(1) << 32, (UINT64_C(1) << 62) + 1, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (uint64_t index = nums[i] - 1000; index < nums[i]; index++)
            assert_true(rf_shuffle_at(5, nums[i], index) < nums[i]);
}

/* These numbers are in state files, in effect: a change would give resumed runs other batches. */
static void test_shuffle_stays_as_it_is(void **state)
{
    (void)state;
    assert_int_equal(rf_shuffle_at(1, 1000, 0), 188);
    assert_int_equal(rf_shuffle_at(1, 1000, 999), 436);
    assert_int_equal(rf_shuffle_at(2, UINT64_C(1) << 40, 7), UINT64_C(694211091750));
    assert_true(rf_shuffle_mix(3, 4) == UINT64_C(3521583462059481702));
}

/* ---- batches ---- */

/* Token i of the files that this makes is i mod 251. */
static void put_counting(const char *path, size_t first, size_t num)
{
    unsigned char *data = malloc(num + 1);
    for (size_t i = 0; i < num; i++)
        data[i] = (unsigned char)((first + i) % 251);
    files_put(path, data, num);
    free(data);
}

static rf_dataset *open_file(rf_context *ctx, const char *path, rf_dataset_options opts)
{
    rf_dataset *data;
    assert_int_equal(rf_dataset_open(&data, ctx, &path, 1, &opts), RF_OK);
    return data;
}

static rf_dataset_options options(uint64_t context, uint64_t batch)
{
    rf_dataset_options opts = RF_DATASET_OPTIONS_INIT;
    opts.context = context;
    opts.batch = batch;
    return opts;
}

/* The next batch, or batch `held` of the held-out part if that is not negative, as (B, T + 1):
 * inputs, and the last target; all other targets must agree with the inputs. Returns B. */
static size_t take(rf_dataset *data, rf_context *ctx, int64_t held, int32_t *out, size_t context)
{
    static int32_t ids[4096], targets[4096];
    rf_scope *s;
    rf_tensor *x, *y;
    assert_int_equal(rf_scope_open(&s, ctx, NULL), RF_OK);
    rf_status status = held < 0 ? rf_dataset_next(data, s, &x, &y)
                                : rf_dataset_held_out_batch(data, s, (uint64_t)held, &x, &y);
    assert_int_equal(status, RF_OK);
    assert_int_equal(rf_tensor_dtype(x), RF_I32);
    assert_int_equal(rf_tensor_dtype(y), RF_I32);
    assert_true(rf_tensor_rank(x) == 2 && rf_tensor_rank(y) == 2);
    size_t rows = (size_t)rf_tensor_dim(x, 0);
    assert_true((size_t)rf_tensor_dim(x, 1) == context && rows == (size_t)rf_tensor_dim(y, 0));
    assert_int_equal(rf_tensor_copy_out(x, ids, 4 * rows * context), RF_OK);
    assert_int_equal(rf_tensor_copy_out(y, targets, 4 * rows * context), RF_OK);
    for (size_t row = 0; row < rows; row++) {
        memcpy(out + row * (context + 1), ids + row * context, 4 * context);
        out[row * (context + 1) + context] = targets[row * context + context - 1];
        for (size_t t = 1; t < context; t++)
            assert_int_equal(targets[row * context + t - 1], ids[row * context + t]);
    }
    rf_scope_close(s);
    return rows;
}

/* Every sample of an epoch once, each from its own place, from an offset that epochs differ in. */
static void test_epochs(void **state)
{
    enum { TOKENS = 247, CONTEXT = 7, SAMPLES = (TOKENS - CONTEXT) / CONTEXT };
    put_counting("d/count", 0, TOKENS);
    rf_dataset *data = open_file(*state, "d/count", options(CONTEXT, 5));
    int32_t batch[5 * (CONTEXT + 1)];
    int offsets[CONTEXT] = {0}, kinds = 0, ordered = 0;
    assert_int_equal(rf_dataset_tokens(data), TOKENS);
    assert_int_equal(rf_dataset_held_out(data), 0);
    assert_int_equal(rf_dataset_batches(data), 7); /* 34 samples, 5 a batch */
    size_t row = 5;
    for (int epoch = 0; epoch < 40; epoch++) {
        int seen[SAMPLES] = {0}, last = -1;
        for (int sample = 0; sample < SAMPLES; sample++, row++) {
            if (row == 5) {
                assert_int_equal(take(data, *state, -1, batch, CONTEXT), 5);
                row = 0;
            }
            const int32_t *x = batch + row * (CONTEXT + 1);
            for (int t = 1; t <= CONTEXT; t++)
                assert_int_equal(x[t], x[0] + t);
            if (!sample)
                offsets[x[0] % CONTEXT]++;
            assert_int_equal(seen[x[0] / CONTEXT]++, 0);
            ordered += x[0] > last;
            last = x[0];
        }
    }
    for (int i = 0; i < CONTEXT; i++)
        kinds += offsets[i] > 0;
    assert_true(kinds >= 6);
    assert_true(ordered > 40 * SAMPLES / 3 && ordered < 40 * SAMPLES * 2 / 3);
    rf_dataset_close(data);
}

static void test_positions(void **state)
{
    enum { CONTEXT = 9, NUM = 30 };
    put_counting("d/count", 0, 200);
    rf_dataset *data = open_file(*state, "d/count", options(CONTEXT, 3));
    rf_dataset *again = open_file(*state, "d/count", options(CONTEXT, 3));
    static int32_t all[NUM][3 * (CONTEXT + 1)], one[3 * (CONTEXT + 1)];
    for (uint64_t i = 0; i < NUM; i++) {
        assert_int_equal(rf_dataset_position(data), i);
        take(data, *state, -1, all[i], CONTEXT);
    }
    for (uint64_t i = NUM; i-- > 0;) {
        rf_dataset_set_position(again, i);
        take(again, *state, -1, one, CONTEXT);
        assert_memory_equal(one, all[i], sizeof one);
        assert_int_equal(rf_dataset_position(again), i + 1);
    }
    rf_dataset_set_position(again, UINT64_MAX); /* no crash, whatever a file says */
    take(again, *state, -1, one, CONTEXT);
    rf_dataset_close(data);
    rf_dataset_close(again);
}

static void test_seeds_and_fingerprints(void **state)
{
    put_counting("d/a", 0, 500);
    put_counting("d/b", 1, 500);
    rf_dataset_options opts = options(10, 4), other;
    rf_dataset *data = open_file(*state, "d/a", opts);
    int32_t batch[44], second[44];
    uint64_t mark = rf_dataset_fingerprint(data);
    take(data, *state, -1, batch, 10);
    rf_dataset_close(data);
    for (int i = 0; i < 7; i++) {
        other = opts;
        other.seed = i == 1;
        other.context = i == 2 ? 11 : 10;
        other.batch = i == 3 ? 3 : 4;
        other.held_out = i == 4 ? 0.5 : 0;
        other.vocab = i == 6 ? 256 : 0;
        data = open_file(*state, i == 5 ? "d/b" : "d/a", other);
        assert_int_equal(rf_dataset_fingerprint(data) == mark, i == 0 || i == 6);
        if (i < 2) {
            take(data, *state, -1, second, 10);
            assert_int_equal(memcmp(batch, second, sizeof batch) == 0, i == 0);
        }
        rf_dataset_close(data);
    }
}

/* What is held out is no part of it: other text there is the same training. */
static void test_fingerprint_of_the_training_part(void **state)
{
    rf_dataset_options opts = options(4, 1);
    uint64_t marks[2];
    opts.held_out = 0.5;
    for (int i = 0; i < 2; i++) {
        unsigned char text[200] = {0};
        memset(text + 100, i, 100);
        files_put("d/a", text, 200);
        rf_dataset *data = open_file(*state, "d/a", opts);
        marks[i] = rf_dataset_fingerprint(data);
        rf_dataset_close(data);
    }
    assert_true(marks[0] == marks[1]);
}

/* From less than one epoch's worth up, around every border. */
static void test_all_sizes(void **state)
{
    for (size_t context = 1; context <= 5; context++)
        for (size_t tokens = context + 1; tokens < 6 * context + 3; tokens++) {
            put_counting("d/n", 0, tokens);
            rf_dataset *data = open_file(*state, "d/n", options(context, 2));
            int32_t batch[12];
            for (int i = 0; i < 12; i++) {
                take(data, *state, -1, batch, context);
                for (size_t row = 0; row < 2; row++) {
                    const int32_t *x = batch + row * (context + 1);
                    for (size_t t = 0; t <= context; t++)
                        assert_int_equal(x[t], x[0] + (int)t);
                    assert_true((size_t)x[context] < tokens);
                }
            }
            rf_dataset_close(data);
        }
}

static void test_held_out(void **state)
{
    enum { CONTEXT = 4 };
    put_counting("d/count", 0, 200);
    rf_dataset_options opts = options(CONTEXT, 3);
    opts.held_out = 0.2;
    rf_dataset *data = open_file(*state, "d/count", opts);
    int32_t batch[3 * (CONTEXT + 1)];
    size_t samples = 0;
    rf_scope *s;
    rf_tensor *x = (void *)1, *y = (void *)1;
    assert_int_equal(rf_dataset_tokens(data), 160);
    assert_int_equal(rf_dataset_held_out(data), 40);
    for (int64_t index = 0; index < 3; index++) {
        size_t rows = take(data, *state, index, batch, CONTEXT);
        assert_int_equal(rows, 3);
        for (size_t row = 0; row < rows; row++, samples++)
            for (size_t t = 0; t <= CONTEXT; t++)
                assert_int_equal(batch[row * (CONTEXT + 1) + t], 160 + samples * CONTEXT + t);
    }
    assert_int_equal(samples, 9);
    assert_int_equal(rf_scope_open(&s, *state, NULL), RF_OK);
    assert_int_equal(rf_dataset_held_out_batch(data, s, 3, &x, &y), RF_E_NOT_FOUND);
    assert_true(!x && !y);
    assert_int_equal(rf_dataset_held_out_batch(data, s, UINT64_MAX, &x, &y), RF_E_NOT_FOUND);
    rf_scope_close(s);
    for (int i = 0; i < 60; i++) {
        take(data, *state, -1, batch, CONTEXT);
        for (size_t j = 0; j < 3 * (CONTEXT + 1); j++)
            assert_true(batch[j] < 160);
    }
    assert_int_equal(rf_dataset_position(data), 60);
    rf_dataset_close(data);
    opts.batch = 5; /* 9 samples: 5 and 4 */
    data = open_file(*state, "d/count", opts);
    static int32_t more[5 * (CONTEXT + 1)];
    assert_int_equal(take(data, *state, 0, more, CONTEXT), 5);
    assert_int_equal(take(data, *state, 1, more, CONTEXT), 4);
    assert_int_equal(more[0], 180);
    rf_dataset_close(data);
    opts.held_out = 0;
    data = open_file(*state, "d/count", opts);
    assert_int_equal(rf_scope_open(&s, *state, NULL), RF_OK);
    assert_int_equal(rf_dataset_held_out_batch(data, s, 0, &x, &y), RF_E_NOT_FOUND);
    rf_scope_close(s);
    rf_dataset_close(data);
}

/* ---- files ---- */

/* Files of all sizes, empty ones among them, make one stream in order of names, and many more of
 * them than are open at once. */
static void test_many_files_are_one_stream(void **state)
{
    enum { CONTEXT = 11 };
    size_t total = 0;
    for (int i = 0; i < 100; i++) {
        char path[32];
        size_t num = i % 10 == 3 ? 0 : (size_t)(i * i) % 7 + 1;
        snprintf(path, sizeof path, "d/%02d", i);
        put_counting(path, total, num);
        total += num;
    }
    files_put_text("d/.hidden", "not this");
    assert_int_equal(mkdir("d/zfolder", 0700), 0);
    files_put_text("d/zfolder/inside", "nor this");
    assert_int_equal(symlink("01", "d/zlink"), 0);
    assert_int_equal(mkfifo("d/zfifo", 0600), 0);
    for (int slash = 0; slash < 2; slash++) {
        rf_dataset *data = open_file(*state, slash ? "d/" : "d", options(CONTEXT, 4));
        int32_t batch[4 * (CONTEXT + 1)];
        assert_int_equal(rf_dataset_tokens(data), total);
        for (int i = 0; i < 60; i++) {
            take(data, *state, -1, batch, CONTEXT);
            for (size_t row = 0; row < 4; row++)
                for (int t = 1; t <= CONTEXT; t++) {
                    const int32_t *x = batch + row * (CONTEXT + 1);
                    assert_int_equal(x[t], (x[0] + t) % 251);
                }
        }
        rf_dataset_close(data);
    }
}

static void test_files_in_the_order_given(void **state)
{
    static const char *const paths[] = {"d/b", "d/a", "d/b"};
    rf_dataset_options opts = options(8, 1);
    rf_dataset *data;
    int32_t batch[9];
    files_put_text("d/a", "xyz");
    files_put_text("d/b", "123");
    assert_int_equal(rf_dataset_open(&data, *state, paths, 3, &opts), RF_OK);
    take(data, *state, -1, batch, 8);
    for (int i = 0; i < 9; i++)
        assert_int_equal(batch[i], "123xyz123"[i]);
    rf_dataset_close(data);
}

/* 50 files of 3 tokens, more than are open at once, so that each is opened again and again. */
static void put_many_files(void)
{
    for (size_t i = 0; i < 50; i++) {
        char path[32];
        snprintf(path, sizeof path, "d/%02zu", i);
        put_counting(path, 3 * i, 3);
    }
}

/* Files stay found if the program goes to another folder. */
static void test_another_working_folder(void **state)
{
    int32_t batch[6];
    char folder[4096];
    assert_non_null(getcwd(folder, sizeof folder));
    put_many_files();
    rf_dataset *data = open_file(*state, "d", options(5, 1));
    assert_int_equal(chdir("/"), 0);
    rf_scope *s;
    rf_tensor *x, *y;
    assert_int_equal(rf_scope_open(&s, *state, NULL), RF_OK);
    rf_status status = RF_OK;
    for (int i = 0; i < 50 && !status; i++)
        status = rf_dataset_next(data, s, &x, &y);
    rf_scope_close(s);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(status, RF_OK);
    take(data, *state, -1, batch, 5);
    rf_dataset_close(data);
}

static void test_wide_tokens(void **state)
{
    static const unsigned char bytes[] = {1, 0, 2, 1, 0xFF, 0xFF, 3, 0};
    int32_t batch[4];
    files_put("d/t", bytes, 8);
    rf_dataset_options opts = options(3, 1);
    opts.type = RF_TOKEN_U16;
    rf_dataset *data = open_file(*state, "d/t", opts);
    take(data, *state, -1, batch, 3);
    assert_true(batch[0] == 1 && batch[1] == 0x102 && batch[2] == 0xFFFF && batch[3] == 3);
    rf_dataset_close(data);
    static const unsigned char wide[] = {1, 0, 0, 0, 2, 1, 0, 0x7F};
    files_put("d/t", wide, 8);
    opts.type = RF_TOKEN_U32;
    opts.context = 1;
    data = open_file(*state, "d/t", opts);
    take(data, *state, -1, batch, 1);
    assert_true(batch[0] == 1 && batch[1] == 0x7F000102);
    rf_dataset_close(data);
}

/* ---- what is refused ---- */

static void refused(rf_context *ctx, const char *path, rf_dataset_options opts, rf_status status,
                    const char *message)
{
    rf_dataset *data = (void *)1;
    assert_int_equal(rf_dataset_open(&data, ctx, &path, 1, &opts), status);
    assert_null(data);
    message_has(ctx, message);
}

static void test_bad_files(void **state)
{
    rf_dataset_options opts = options(4, 1);
    files_put_text("d/empty", "");
    files_put_text("d/four", "1234");
    files_put_text("d/five", "12345");
    assert_int_equal(mkfifo("d/fifo", 0600), 0);
    assert_int_equal(mkdir("d/none", 0700), 0);
    alarm(20);
    refused(*state, "d/fifo", opts, RF_E_IO, "d/fifo: it is no regular file");
    alarm(0);
    refused(*state, "d/missing", opts, RF_E_IO, "d/missing: can't be opened: no such file");
    refused(*state, "/dev/zero", opts, RF_E_IO, "/dev/zero: it is no regular file");
    refused(*state, "d/none", opts, RF_E_ARGUMENT, "d/none: no data: the folder has no regular");
    refused(*state, "d/empty", opts, RF_E_ARGUMENT, "d/empty: no data: it is empty");
    refused(*state, "d/four", opts, RF_E_ARGUMENT,
            "d/four: it has 4 tokens, and one sample needs 5");
    rf_dataset_close(open_file(*state, "d/five", opts));
    opts.type = RF_TOKEN_U16;
    refused(*state, "d/five", opts, RF_E_FORMAT, "d/five: 5 bytes are no whole number of 2-byte");
    opts.type = RF_TOKEN_U32;
    refused(*state, "d/five", opts, RF_E_FORMAT, "no whole number of 4-byte tokens");
    opts.type = RF_TOKEN_U8;
    opts.held_out = 0.3;
    refused(*state, "d/five", opts, RF_E_ARGUMENT, "the part for training has 4 tokens");
    put_counting("d/count", 0, 30);
    opts.held_out = 0.1;
    refused(*state, "d/count", opts, RF_E_ARGUMENT, "d/count: the held-out part has 3 tokens");
}

static void test_vocabulary(void **state)
{
    static const char *const paths[] = {"d/a", "d/b"};
    rf_dataset_options opts = options(2, 1);
    rf_dataset *data;
    files_put_text("d/a", "abab");
    files_put_text("d/b", "abz");
    opts.vocab = 'z';
    assert_int_equal(rf_dataset_open(&data, *state, paths, 2, &opts), RF_E_FORMAT);
    message_has(*state, "d/b: the token 122 at byte 2 is past the vocabulary's last, 121");
    opts.vocab = 'z' + 1;
    assert_int_equal(rf_dataset_open(&data, *state, paths, 2, &opts), RF_OK);
    rf_dataset_close(data);
    /* In the held-out part too, and past what is read at once. */
    unsigned char *many = calloc(2, 100001);
    many[200001] = 3;
    files_put("d/a", many, 200002);
    free(many);
    opts.type = RF_TOKEN_U16;
    opts.vocab = 0x300;
    opts.held_out = 0.5;
    refused(*state, "d/a", opts, RF_E_FORMAT, "d/a: the token 768 at byte 200000");
    files_put("d/a", "\0\0\0\0\0\0\0\0\0\0\0\x80", 12);
    opts = options(2, 1);
    opts.type = RF_TOKEN_U32;
    refused(*state, "d/a", opts, RF_E_FORMAT, "d/a: the token 2147483648 at byte 8");
    opts.vocab = UINT64_MAX;
    refused(*state, "d/a", opts, RF_E_FORMAT, "d/a: the token 2147483648 at byte 8");
}

static void test_bad_options(void **state)
{
    rf_dataset *data;
    const char *path = "d/count";
    const double shares[] = {-0.1, 1, 2, NAN};
    put_counting(path, 0, 100);
    refused(*state, path, options(0, 1), RF_E_ARGUMENT, "a context of 0 tokens");
    refused(*state, path, options(UINT64_MAX, 1), RF_E_ARGUMENT, "a context of");
    refused(*state, path, options(4, UINT64_MAX), RF_E_ARGUMENT, "a batch of");
    refused(*state, path, options(4, UINT64_C(1) << 61), RF_E_ARGUMENT, "a batch of");
    rf_dataset_options opts = options(4, 1);
    for (size_t i = 0; i < 4; i++) {
        opts.held_out = shares[i];
        refused(*state, path, opts, RF_E_ARGUMENT, "the held-out share");
    }
    opts = options(4, 1);
    opts.type = (rf_token_type)3;
    refused(*state, path, opts, RF_E_ARGUMENT, "no type of tokens 3");
    opts = options(4, 1);
    assert_int_equal(rf_dataset_open(&data, *state, &path, 0, &opts), RF_E_ARGUMENT);
    opts.size = 1;
    assert_int_equal(rf_dataset_open(&data, *state, &path, 1, &opts), RF_E_ARGUMENT);
    assert_int_equal(rf_dataset_open(&data, *state, &path, 1, NULL), RF_E_ARGUMENT);
    rf_dataset_close(NULL);
}

static void test_files_that_change(void **state)
{
    static const char *const paths[] = {"d/a", "d/b"};
    rf_dataset_options opts = options(4, 1);
    rf_dataset *data;
    rf_scope *s;
    rf_tensor *x, *y;
    put_counting("d/a", 0, 3);
    put_counting("d/b", 3, 3);
    assert_int_equal(rf_scope_open(&s, *state, NULL), RF_OK);
    assert_int_equal(rf_dataset_open(&data, *state, paths, 2, &opts), RF_OK);
    assert_int_equal(truncate("d/b", 1), 0); /* while it is open */
    assert_int_equal(rf_dataset_next(data, s, &x, &y), RF_E_IO);
    assert_true(!x && !y);
    message_has(*state, "d/b: it ends at byte 1, earlier than when it was opened");
    assert_int_equal(rf_dataset_position(data), 0);
    put_counting("d/b", 3, 3);
    assert_int_equal(rf_dataset_next(data, s, &x, &y), RF_OK);
    rf_dataset_close(data);
    rf_scope_close(s);
}

/* A file that is closed in between is looked at again when it is opened again. */
static void test_files_that_change_while_closed(void **state)
{
    rf_dataset *data;
    rf_scope *s;
    rf_tensor *x, *y;
    rf_status status = RF_OK;
    put_many_files();
    data = open_file(*state, "d", options(5, 1));
    put_counting("d/00", 100, 3); /* of the same size; number 32 has its place among the open */
    assert_int_equal(rf_scope_open(&s, *state, NULL), RF_OK);
    for (int i = 0; i < 60 && !status; i++)
        status = rf_dataset_next(data, s, &x, &y);
    assert_int_equal(status, RF_E_IO);
    message_has(*state, "d/00: it was changed since the data were opened");
    rf_scope_close(s);
    rf_dataset_close(data);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        char path[32];
        snprintf(path, sizeof path, "d/%d", i);
        put_counting(path, 0, 9);
    }
    for (size_t k = 1, done = 0; !done; k++) {
        static const char *const paths[] = {"d", "d/1"};
        rf_dataset_options opts = options(4, 2);
        failing_allocator a = {0};
        rf_context *ctx = failing_context(&a);
        rf_dataset *data = NULL;
        rf_scope *s = NULL;
        rf_tensor *x = NULL, *y = NULL;
        a.calls = 0;
        a.fail_at = k;
        rf_status status = rf_dataset_open(&data, ctx, paths, 2, &opts);
        if (!status)
            status = rf_scope_open(&s, ctx, NULL);
        if (!status) {
            status = rf_dataset_next(data, s, &x, &y);
            assert_int_equal(!status, x && y);
            assert_int_equal(rf_dataset_position(data), !status);
        }
        done = a.calls < k;
        assert_int_equal(status, done ? RF_OK : RF_E_MEMORY);
        rf_scope_close(s);
        rf_dataset_close(data);
        rf_context_destroy(ctx);
        assert_int_equal(a.bytes, 0);
    }
}

#define DATA_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shuffle_is_a_permutation),
        cmocka_unit_test(test_shuffle_is_even),
        cmocka_unit_test(test_shuffle_of_large_numbers),
        cmocka_unit_test(test_shuffle_stays_as_it_is),
        DATA_TEST(test_epochs),
        DATA_TEST(test_positions),
        DATA_TEST(test_seeds_and_fingerprints),
        DATA_TEST(test_fingerprint_of_the_training_part),
        DATA_TEST(test_all_sizes),
        DATA_TEST(test_held_out),
        DATA_TEST(test_many_files_are_one_stream),
        DATA_TEST(test_files_in_the_order_given),
        DATA_TEST(test_another_working_folder),
        DATA_TEST(test_wide_tokens),
        DATA_TEST(test_bad_files),
        DATA_TEST(test_vocabulary),
        DATA_TEST(test_bad_options),
        DATA_TEST(test_files_that_change),
        DATA_TEST(test_files_that_change_while_closed),
        DATA_TEST(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
