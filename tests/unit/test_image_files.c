/* Images in IDX files: every image where it belongs, every one once an epoch, the same bits from
 * any position, and one clear line for each kind of bad file. */
#include <refrain/data.h>

#include "support/files.h"
#include "support/world.h"

#include <stdio.h>

enum { NUM = 7, ROWS = 2, COLUMNS = 3, AREA = ROWS * COLUMNS };

static size_t put_head(unsigned char *to, int rank, const uint32_t *dims)
{
    const unsigned char head[4] = {0, 0, 8, (unsigned char)rank};
    memcpy(to, head, 4);
    for (int i = 0; i < rank; i++)
        for (int b = 0; b < 4; b++)
            to[4 + 4 * i + b] = (unsigned char)(dims[i] >> (24 - 8 * b));
    return 4 + 4 * (size_t)rank;
}

/* Pixel p of image i is 10 i + p, its label i mod 5. */
static void make_files(void)
{
    unsigned char bytes[16 + NUM * AREA];
    const uint32_t dims[3] = {NUM, ROWS, COLUMNS};
    size_t n = put_head(bytes, 3, dims);
    for (int i = 0; i < NUM * AREA; i++)
        bytes[n++] = (unsigned char)(10 * (i / AREA) + i % AREA);
    files_put("images", bytes, n);
    n = put_head(bytes, 1, dims);
    for (int i = 0; i < NUM; i++)
        bytes[n++] = (unsigned char)(i % 5);
    files_put("labels", bytes, n);
}

static rf_images *open_files(world *w, uint64_t batch, uint64_t held_out)
{
    rf_images *data;
    rf_images_options opts = {sizeof opts, batch, held_out, 3, 100};
    make_files();
    assert_ok(w->ctx, rf_images_open(&data, w->ctx, "images", "labels", &opts));
    return data;
}

/* The numbers of a batch's images, checked pixel by pixel. */
static int read_batch(world *w, rf_tensor *images, rf_tensor *labels, int numbers[NUM])
{
    float x[NUM * AREA];
    int32_t label[NUM];
    int n = (int)rf_tensor_dim(images, 0);
    assert_int_equal(rf_tensor_rank(images), 4);
    assert_int_equal(rf_tensor_count(images), n * AREA);
    assert_int_equal(rf_tensor_dim(images, 2), ROWS);
    assert_ok(w->ctx, rf_tensor_copy_out(images, x, rf_tensor_bytes(images)));
    assert_ok(w->ctx, rf_tensor_copy_out(labels, label, rf_tensor_bytes(labels)));
    for (int i = 0; i < n; i++) {
        numbers[i] = (int)(x[i * AREA] * 10 + 0.5f);
        assert_int_equal(label[i], numbers[i] % 5);
        for (int p = 0; p < AREA; p++)
            assert_true(x[i * AREA + p] == (float)((10 * numbers[i] + p) / 100.0));
    }
    return n;
}

static void test_every_image_once_an_epoch(void **state)
{
    world *w = *state;
    rf_tensor *images, *labels;
    int numbers[NUM], orders = 0, last[5] = {0};
    rf_images *data = open_files(w, 2, 2);
    assert_int_equal(rf_images_num(data), 5);
    assert_int_equal(rf_images_held_out(data), 2);
    assert_int_equal(rf_images_classes(data), 5);
    for (int epoch = 0; epoch < 20; epoch += 2) { /* 5 batches of 2 are two epochs */
        int all[10], seen[2][5] = {{0}};
        for (int b = 0; b < 5; b++) {
            assert_ok(w->ctx, rf_images_next(data, w->s, &images, &labels));
            assert_int_equal(read_batch(w, images, labels, numbers), 2);
            all[2 * b] = numbers[0];
            all[2 * b + 1] = numbers[1];
        }
        for (int i = 0; i < 10; i++) {
            assert_in_range(all[i], 0, 4);
            assert_int_equal(seen[i / 5][all[i]]++, 0);
        }
        orders += memcmp(last, all, sizeof last) != 0;
        memcpy(last, all, sizeof last);
    }
    assert_true(orders > 5);
    assert_int_equal(rf_images_position(data), 50);
    rf_images_close(data);
}

static void test_positions(void **state)
{
    world *w = *state;
    rf_tensor *images, *labels;
    int first[NUM], again[NUM];
    rf_images *data = open_files(w, 3, 0);
    for (uint64_t at = 0; at < 9; at++) {
        rf_images_set_position(data, at);
        assert_ok(w->ctx, rf_images_next(data, w->s, &images, &labels));
        read_batch(w, images, labels, first);
        rf_images_set_position(data, 100);
        rf_images_set_position(data, at);
        assert_ok(w->ctx, rf_images_next(data, w->s, &images, &labels));
        read_batch(w, images, labels, again);
        assert_memory_equal(first, again, 3 * sizeof *first);
    }
    rf_images_close(data);
}

static void test_held_out(void **state)
{
    world *w = *state;
    rf_tensor *images, *labels;
    int numbers[NUM];
    rf_images *data = open_files(w, 2, 3);
    assert_ok(w->ctx, rf_images_held_out_batch(data, w->s, 0, &images, &labels));
    assert_int_equal(read_batch(w, images, labels, numbers), 2);
    assert_int_equal(numbers[0], 4);
    assert_int_equal(numbers[1], 5);
    assert_ok(w->ctx, rf_images_held_out_batch(data, w->s, 1, &images, &labels));
    assert_int_equal(read_batch(w, images, labels, numbers), 1);
    assert_int_equal(numbers[0], 6);
    assert_int_equal(rf_images_held_out_batch(data, w->s, 2, &images, &labels), RF_E_NOT_FOUND);
    assert_int_equal(rf_images_held_out_batch(data, w->s, UINT64_MAX, &images, &labels),
                     RF_E_NOT_FOUND);
    assert_null(images);
    assert_int_equal(rf_images_position(data), 0);
    rf_images_close(data);
}

/* ---- bad files ---- */

static void refused(world *w, const char *const paths[2], rf_status want, const char *part)
{
    rf_images *data;
    rf_images_options opts = {sizeof opts, 2, 3, 0, 0};
    assert_int_equal(rf_images_open(&data, w->ctx, paths[0], paths[1], &opts), want);
    assert_null(data);
    const char *message = rf_context_error(w->ctx)->message;
    if (!strstr(message, part) || strchr(message, '\n'))
        fail_msg("'%s' is not in '%s'", part, message);
}

/* A file whose header says dims, with `bytes` bytes after it. */
static void put_file(const char *path, int rank, const uint32_t dims[3], size_t bytes)
{
    unsigned char data[256] = {0};
    size_t n = put_head(data, rank, dims);
    files_put(path, data, n + bytes);
}

static void test_bad_files(void **state)
{
    world *w = *state;
    make_files();
    refused(w, (const char *[2]){"nothing", "labels"}, RF_E_IO, "nothing: can't be opened");
    refused(w, (const char *[2]){"images", "/"}, RF_E_IO, "it is a folder");
    refused(w, (const char *[2]){"labels", "images"}, RF_E_FORMAT, "labels: no idx3-ubyte file");
    files_put("empty", "", 0);
    refused(w, (const char *[2]){"empty", "labels"}, RF_E_FORMAT, "empty: too short");
    refused(w, (const char *[2]){"images", "empty"}, RF_E_FORMAT, "empty: too short");
    put_file("bad", 3, (uint32_t[3]){4, 2, 2}, 15);
    refused(w, (const char *[2]){"bad", "labels"}, RF_E_FORMAT, "bad: it has 15 bytes");
    put_file("bad", 3, (uint32_t[3]){4, 2, 2}, 17);
    refused(w, (const char *[2]){"bad", "labels"}, RF_E_FORMAT, "bad: it has 17 bytes");
    put_file("bad", 3, (uint32_t[3]){4, 2, 2}, 16);
    refused(w, (const char *[2]){"bad", "labels"}, RF_E_FORMAT, "labels: 7 labels, but bad has 4");
    put_file("bad", 3, (uint32_t[3]){UINT32_MAX, UINT32_MAX, UINT32_MAX}, 1);
    refused(w, (const char *[2]){"bad", "labels"}, RF_E_FORMAT, "bad: it has 1 bytes");
    /* 2^64 and 0 elements are not the same, nor is 0 any image */
    put_file("bad", 3, (uint32_t[3]){1u << 31, 1u << 31, 4}, 0);
    refused(w, (const char *[2]){"bad", "labels"}, RF_E_FORMAT, "bad: it has 0 bytes");
    put_file("bad", 3, (uint32_t[3]){7, 0, 4}, 0);
    refused(w, (const char *[2]){"bad", "labels"}, RF_E_FORMAT, "without pixels");
    put_file("bad", 3, (uint32_t[3]){3, 1, 1}, 3);
    put_file("few", 1, (uint32_t[3]){3}, 3);
    refused(w, (const char *[2]){"bad", "few"}, RF_E_ARGUMENT, "none is left for training");
    refused(w, (const char *[2]){"images", NULL}, RF_E_ARGUMENT, "two files are wanted");
}

static void test_bad_options(void **state)
{
    world *w = *state;
    rf_images *data;
    make_files();
    for (int i = 0; i < 4; i++) {
        rf_images_options opts = RF_IMAGES_OPTIONS_INIT;
        opts.size += i == 0;
        opts.white = i == 1 ? -1 : 0;
        opts.batch = i == 2 ? UINT64_MAX : 0;
        opts.held_out = i == 3 ? UINT64_MAX : 0;
        assert_int_equal(rf_images_open(&data, w->ctx, "images", "labels", &opts), RF_E_ARGUMENT);
    }
}

/* A file that is cut short while it is open. */
static void test_a_file_that_shrinks(void **state)
{
    world *w = *state;
    rf_tensor *images, *labels;
    rf_images *data = open_files(w, NUM, 0);
    files_put("images", "", 0);
    rf_status status = rf_images_next(data, w->s, &images, &labels);
    assert_true(status == RF_OK || status == RF_E_IO); /* whether it is the same file */
    assert_int_equal(rf_images_position(data), status == RF_OK);
    rf_images_close(data);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    make_files();
    for (uint64_t k = 1; k < 1000; k++) {
        counting c = {0};
        rf_context *ctx;
        rf_scope *s;
        rf_images *data;
        rf_tensor *images, *labels;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.alloc = counting_alloc;
        opts.alloc_payload = &c;
        assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
        c.made = 0;
        c.fail_at = k;
        rf_status status = rf_images_open(&data, ctx, "images", "labels", NULL);
        if (!status)
            status = rf_scope_open(&s, ctx, NULL);
        if (!status) {
            status = rf_images_next(data, s, &images, &labels);
            rf_scope_close(s);
        }
        int reached = c.made >= k;
        assert_int_equal(status, reached ? RF_E_MEMORY : RF_OK);
        rf_images_close(data);
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
        if (!reached)
            return;
    }
    fail_msg("it never succeeds");
}

/* The digits that come with the tests. */
static void test_the_digits(void **state)
{
    world *w = *state;
    rf_images *data;
    const char *folder = RF_SOURCE_DIR "/tests/data/";
    char paths[2][1024];
    snprintf(paths[0], sizeof paths[0], "%sdigits-images.idx3-ubyte", folder);
    snprintf(paths[1], sizeof paths[1], "%sdigits-labels.idx1-ubyte", folder);
    assert_ok(w->ctx, rf_images_open(&data, w->ctx, paths[0], paths[1], NULL));
    assert_int_equal(rf_images_num(data), 1797);
    assert_int_equal(rf_images_rows(data), 8);
    assert_int_equal(rf_images_columns(data), 8);
    assert_int_equal(rf_images_classes(data), 10);
    rf_images_close(data);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_every_image_once_an_epoch),
        WORLD_TEST(test_positions),
        WORLD_TEST(test_held_out),
        WORLD_TEST(test_bad_files),
        WORLD_TEST(test_bad_options),
        WORLD_TEST(test_a_file_that_shrinks),
        WORLD_TEST(test_the_digits),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
