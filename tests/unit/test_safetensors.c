/* Safetensors: files made by hand for the reader, hostile ones above all; what the writer makes is
 * read by code that shares nothing with it; modules there and back. */
#include <refrain/io.h>

#include "support/failing.h"
#include "support/files.h"
#include "support/plain_safetensors.h"
#include "support/small_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int begin(void **state)
{
    rf_context *ctx = NULL;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = 1;
    if (rf_context_create(&ctx, &opts))
        return 1;
    *state = ctx;
    return 0;
}

static int end(void **state)
{
    rf_context_destroy(*state);
    remove("m.safetensors");
    return 0;
}

static void message_has(rf_context *ctx, const char *part)
{
    const char *message = rf_context_error(ctx)->message;
    if (!strstr(message, part) || strchr(message, '\n'))
        fail_msg("'%s' is not in '%s'", part, message);
}

/* A file of a header and data_len bytes 0, 1, 2 ... behind it; len is what it says of the header.
 */
static void put_file(const char *header, size_t header_len, uint64_t len, size_t data_len)
{
    unsigned char *file = calloc(1, 8 + header_len + data_len);
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)(len >> 8 * i);
    memcpy(file + 8, header, header_len);
    for (size_t i = 0; i < data_len; i++)
        file[8 + header_len + i] = (unsigned char)i;
    files_put("m.safetensors", file, 8 + header_len + data_len);
    free(file);
}

static void put_header(const char *header, size_t data_len)
{
    put_file(header, strlen(header), strlen(header), data_len);
}

/* ---- the reader ---- */

static void test_reads_what_is_there(void **state)
{
    rf_safetensors *file;
    rf_safetensors_entry entry;
    put_header(" {\"b\" :{\"shape\":[2,0],\"dtype\":\"F32\",\"data_offsets\":[4,4]}}", 4);
    assert_int_equal(rf_safetensors_open(&file, *state, "m.safetensors"), RF_E_FORMAT);
    put_header(
        "{\"b\" : {\"shape\" : [2] , \"dtype\":\"I8\", \"data_offsets\":[4,6], \"new\":[{}]},"
        "\"\\u0061\\n\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[6,8]},"
        "\"__metadata__\":{\"format\":\"pt\",\"a\":\"\"},"
        "\"c\":{\"dtype\":\"F32\",\"shape\":[0,9],\"data_offsets\":[0,0]},"
        "\"d\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}   ",
        8);
    assert_int_equal(rf_safetensors_open(&file, *state, "m.safetensors"), RF_OK);
    assert_int_equal(rf_safetensors_num(file), 4);
    assert_int_equal(rf_safetensors_find(file, "c"), 0);
    assert_int_equal(rf_safetensors_find(file, "d"), 1);
    assert_int_equal(rf_safetensors_find(file, "b"), 2);
    assert_int_equal(rf_safetensors_find(file, "a\n"), 3);
    assert_int_equal(rf_safetensors_find(file, "e"), 4);
    assert_int_equal(rf_safetensors_find(file, ""), 4);
    assert_int_equal(rf_safetensors_get(file, 0, &entry), RF_OK);
    assert_true(entry.rank == 2 && entry.dims[0] == 0 && entry.dims[1] == 9 && entry.bytes == 0);
    assert_int_equal(rf_safetensors_get(file, 2, &entry), RF_OK);
    assert_string_equal(entry.name, "b");
    assert_string_equal(entry.dtype_name, "I8");
    assert_int_equal(entry.dtype, RF_DTYPES);
    assert_int_equal(rf_safetensors_get(file, 3, &entry), RF_OK);
    assert_true(entry.rank == 0 && entry.bytes == 2 && entry.dtype == RF_DTYPES);
    assert_int_equal(rf_safetensors_get(file, 4, &entry), RF_E_ARGUMENT);
    assert_string_equal(rf_safetensors_metadata(file, "format"), "pt");
    assert_string_equal(rf_safetensors_metadata(file, "a"), "");
    assert_null(rf_safetensors_metadata(file, "b"));
    rf_safetensors_close(file);
    rf_safetensors_close(NULL);
    put_header("{}", 0);
    assert_int_equal(rf_safetensors_open(&file, *state, "m.safetensors"), RF_OK);
    assert_int_equal(rf_safetensors_num(file), 0);
    rf_safetensors_close(file);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        const char *why;
    } cases[] = {
        {"[]", 0, "no JSON object"},
        {"12", 0, "no JSON object"},
        {"{}x", 0, "something after the end"},
        {"{}", 4, "bytes after the last tensor"},
        {"{\"a\":3}", 0, "no object"},
        {"{\"a\":{}}", 0, "lacks its dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "lacks its"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "lacks its"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "lacks its"},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype"},
        {"{\"a\":{\"dtype\":\"F32\\u0000\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown"},
        {"{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no string"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "no list"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,],\"data_offsets\":[0,4]}}", 4, "no value"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}}", 4, "no number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "no size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "no size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1e0],\"data_offsets\":[0,4]}}", 4, "no size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775808],\"data_offsets\":[0,4]}}", 4,
         "no size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         "does not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", 4,
         "does not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "does not fit"},
        {"{\"a\\n\\u001b[2J\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
         "'a??[2J'"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "does not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
         "too many"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "no range"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[]}}", 4, "no range"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, "too many"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "no range"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "no size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, "cut short"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "after the last"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
         "bytes that are no tensor's"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
         6, "shares bytes"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
         4, "shares bytes"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
         5, "bytes that are no tensor's"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
         4, "'a' is there twice"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2,
         "a field twice"},
        {"{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "zero"},
        {"{\"__metadata__\":3}", 0, "metadata that is no object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "metadata that is no string"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "twice in the metadata"},
        {"{\"__metadata__\":{\"a\":\"\\u0000\"}}", 0, "zero"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "is there twice"},
        {"{\"__metadata__\":{}", 0, "the text ends"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}", 2, "the text ends"},
        {"{\"a\xFF\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "invalid UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rf_safetensors *file = (void *)1;
        put_header(cases[i].header, cases[i].data);
        rf_status status = rf_safetensors_open(&file, *state, "m.safetensors");
        if (status != RF_E_FORMAT || file)
            fail_msg("%s: %s", cases[i].header, rf_status_name(status));
        message_has(*state, cases[i].why);
        message_has(*state, "m.safetensors: ");
    }
}

static void test_bad_lengths(void **state)
{
    rf_safetensors *file;
    const uint64_t lengths[] = {3, 100, UINT64_MAX, (uint64_t)1 << 63, 0, 1};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        put_file("{}", 2, lengths[i], 0);
        assert_int_equal(rf_safetensors_open(&file, *state, "m.safetensors"), RF_E_FORMAT);
        message_has(*state, "no safetensors file");
    }
    for (size_t len = 0; len < 8; len++) {
        files_put("m.safetensors", "\2\0\0\0\0\0\0", len);
        assert_int_equal(rf_safetensors_open(&file, *state, "m.safetensors"), RF_E_FORMAT);
    }
    /* A file with a hole is as long as it likes and costs nothing. */
    put_file("{}", 2, 100000001, 0);
    assert_int_equal(system("truncate -s 300000000 m.safetensors"), 0);
    assert_int_equal(rf_safetensors_open(&file, *state, "m.safetensors"), RF_E_FORMAT);
    message_has(*state, "longer than 100 MB");
    assert_int_equal(rf_safetensors_open(&file, *state, "none.safetensors"), RF_E_IO);
    assert_int_equal(rf_safetensors_open(&file, *state, "."), RF_E_IO);
}

/* ---- conversions ---- */

static rf_tensor *make(rf_context *ctx, rf_dtype dtype, int64_t num)
{
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    rf_tensor *t;
    opts.dtype = dtype;
    opts.rank = 1;
    opts.dims = &num;
    assert_int_equal(rf_tensor_create(&t, ctx, &opts), RF_OK);
    return t;
}

/* Elements of a type in a file, read as another. */
static void read_as(rf_context *ctx, const char *type, const void *data, size_t num, size_t width,
                    rf_dtype dtype, void *out)
{
    unsigned char file[8 + 96 + 256] = {96};
    char header[120];
    rf_safetensors *st;
    rf_tensor *t = make(ctx, dtype, (int64_t)num);
    int len = snprintf(header, sizeof header,
                       "{\"a\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", type,
                       num, num * width);
    assert_true(len > 0 && len <= 96);
    memset(file + 8, ' ', 96);
    memcpy(file + 8, header, (size_t)len);
    memcpy(file + 8 + 96, data, num * width);
    files_put("m.safetensors", file, 8 + 96 + num * width);
    assert_int_equal(rf_safetensors_open(&st, ctx, "m.safetensors"), RF_OK);
    assert_int_equal(rf_safetensors_read(st, 0, t), RF_OK);
    assert_int_equal(rf_tensor_copy_out(t, out, num * rf_dtype_size(dtype)), RF_OK);
    rf_safetensors_close(st);
    rf_tensor_drop(t);
}

static void test_half_precision(void **state)
{
    static const uint16_t half[] = {0,      0x8000, 0x3C00, 0xC000, 0x3555, 0x7BFF, 0x0001,
                                    0x03FF, 0x0400, 0x7C00, 0xFC00, 0x7E01, 0x3C01};
    static const float wanted[] = {0.0f,      -0.0f,    1.0f,         -2.0f,    0.333251953f,
                                   65504.0f,  0x1p-24f, 0x3FFp-24f,   0x1p-14f, INFINITY,
                                   -INFINITY, NAN,      1.0009765625f};
    float got[13];
    double wide[13];
    uint16_t brain[13];
    read_as(*state, "F16", half, 13, 2, RF_F32, got);
    read_as(*state, "F16", half, 13, 2, RF_F64, wide);
    read_as(*state, "F16", half, 13, 2, RF_BF16, brain);
    for (size_t i = 0; i < 13; i++) {
        if (i == 11) {
            assert_true(isnan(got[i]) && isnan(wide[i]) && (brain[i] & 0x7FFF) > 0x7F80);
            continue;
        }
        assert_memory_equal(&got[i], &wanted[i], 4);
        assert_true(wide[i] == (double)wanted[i] && !signbit(wide[i]) == !signbit(wanted[i]));
    }
    assert_int_equal(brain[5], 0x4780); /* 65504 is nearest to 65536 */
    assert_int_equal(brain[12], 0x3F80);
}

static void test_rounding(void **state)
{
    const double tie = 1 + 0x1p-8, above = 1 + 0x1p-8 + 0x1p-40, odd = 1 + 0x1.8p-7;
    const double wide[] = {tie,      above, tie - 0x1p-40, odd,      -above,   1e300,
                           0x1p-140, 0.1,   -0.0,          INFINITY, -INFINITY};
    const float narrow[] = {1.00390625f, 1.01171875f, 3.4e38f, -0.1f};
    uint16_t brain[11];
    float single[11];
    double back[4];
    read_as(*state, "F64", wide, 11, 8, RF_BF16, brain);
    static const uint16_t wanted[] = {0x3F80, 0x3F81, 0x3F80, 0x3F82, 0xBF81, 0x7F80,
                                      0x0000, 0x3DCD, 0x8000, 0x7F80, 0xFF80};
    for (size_t i = 0; i < 11; i++)
        assert_int_equal(brain[i], wanted[i]);
    read_as(*state, "F64", wide, 11, 8, RF_F32, single);
    for (size_t i = 0; i < 11; i++)
        assert_true(single[i] == (float)wide[i]);
    read_as(*state, "F32", narrow, 4, 4, RF_BF16, brain);
    assert_int_equal(brain[0], 0x3F80);
    assert_int_equal(brain[1], 0x3F82);
    assert_int_equal(brain[2], 0x7F80);
    assert_int_equal(brain[3], 0xBDCD);
    read_as(*state, "F32", narrow, 4, 4, RF_F64, back);
    for (size_t i = 0; i < 4; i++)
        assert_true(back[i] == (double)narrow[i]);
    read_as(*state, "BF16", brain, 4, 2, RF_F32, single);
    assert_true(single[0] == 1.0f && single[1] == 1.015625f);
}

static void test_same_type_is_copied_bit_for_bit(void **state)
{
    static const uint32_t patterns[] = {0x7FA00001, 0xFFFFFFFF, 0, 0x80000000};
    static const int64_t whole[] = {INT64_MIN, INT64_MAX, -1};
    uint32_t bits[4];
    int64_t numbers[3];
    unsigned char bytes[5];
    read_as(*state, "F32", patterns, 4, 4, RF_F32, bits);
    assert_memory_equal(bits, patterns, sizeof bits);
    read_as(*state, "I32", patterns, 4, 4, RF_I32, bits);
    assert_memory_equal(bits, patterns, sizeof bits);
    read_as(*state, "I64", whole, 3, 8, RF_I64, numbers);
    assert_memory_equal(numbers, whole, sizeof numbers);
    read_as(*state, "U8", "\0\1\xFF\x80\x7F", 5, 1, RF_U8, bytes);
    assert_memory_equal(bytes, "\0\1\xFF\x80\x7F", 5);
}

static void test_what_can_not_be_converted(void **state)
{
    static const char *const types[] = {"I8", "BOOL", "I32", "F8_E4M3", "U16"};
    char header[120];
    for (size_t i = 0; i < 5; i++) {
        rf_safetensors *st;
        rf_tensor *t = make(*state, RF_F32, 4), *other = make(*state, RF_F32, 5);
        size_t bytes = i == 2 ? 16 : i == 4 ? 8 : 4;
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,%zu]}}", types[i],
                 bytes);
        put_header(header, bytes);
        assert_int_equal(rf_safetensors_open(&st, *state, "m.safetensors"), RF_OK);
        assert_int_equal(rf_safetensors_read(st, 0, t), RF_E_DTYPE);
        message_has(*state, "can't become f32");
        assert_int_equal(rf_safetensors_read(st, 0, other), RF_E_SHAPE);
        message_has(*state, "'a' has shape (4), but (5) is wanted");
        assert_int_equal(rf_safetensors_read(st, 1, t), RF_E_ARGUMENT);
        rf_safetensors_close(st);
        rf_tensor_drop(t);
        rf_tensor_drop(other);
    }
}

/* More elements than one piece, so that pieces are joined right. */
static void test_long_conversions(void **state)
{
    enum { NUM = 20001 };
    uint16_t *half = malloc(2 * NUM);
    float *got = malloc(4 * NUM);
    char header[128];
    rf_safetensors *st;
    rf_tensor *t = make(*state, RF_F32, NUM);
    int len = snprintf(header, sizeof header,
                       "{\"a\":{\"dtype\":\"BF16\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", NUM,
                       2 * NUM);
    unsigned char *file = calloc(1, 8 + (size_t)len + 2 * NUM);
    file[0] = (unsigned char)len;
    memcpy(file + 8, header, (size_t)len);
    for (size_t i = 0; i < NUM; i++)
        half[i] = (uint16_t)(0x3F80 + i % 100);
    memcpy(file + 8 + len, half, 2 * NUM);
    files_put("m.safetensors", file, 8 + (size_t)len + 2 * NUM);
    assert_int_equal(rf_safetensors_open(&st, *state, "m.safetensors"), RF_OK);
    assert_int_equal(rf_safetensors_read(st, 0, t), RF_OK);
    assert_int_equal(rf_tensor_copy_out(t, got, 4 * NUM), RF_OK);
    for (size_t i = 0; i < NUM; i++) {
        uint32_t bits;
        memcpy(&bits, &got[i], 4);
        assert_int_equal(bits, (uint32_t)half[i] << 16);
    }
    rf_safetensors_close(st);
    rf_tensor_drop(t);
    free(half);
    free(got);
    free(file);
}

/* ---- the writer ---- */

static void test_written_files_by_another_reader(void **state)
{
    rf_module *m = small_model(*state, 3);
    static const struct {
        const char *name, *dtype;
        size_t rank;
        long long dims[3];
        size_t width;
    } wanted[] = {
        {"wte", "F32", 2, {5, 3}, 4},           {"scale", "BF16", 0, {0}, 2},
        {"h.0.weight", "F64", 3, {2, 1, 3}, 8}, {"h.0.bias", "F32", 1, {0}, 4},
        {"h.1.weight", "BF16", 1, {7}, 2},      {"mask", "U8", 1, {5}, 1},
        {"h.0.count", "I64", 0, {0}, 8},
    };
    size_t len, covered = 0, last = 0;
    plain_tensor found;
    assert_non_null(m);
    assert_int_equal(rf_module_save(m, "m.safetensors", NULL), RF_OK);
    unsigned char *file = files_get("m.safetensors", &len);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        unsigned char bytes[256];
        rf_tensor *t =
            i < 5 ? rf_module_param(m, wanted[i].name) : rf_module_buffer(m, wanted[i].name);
        assert_int_equal(plain_safetensors_find(file, len, wanted[i].name, &found), 1);
        assert_string_equal(found.dtype, wanted[i].dtype);
        assert_int_equal(found.rank, wanted[i].rank);
        for (size_t axis = 0; axis < found.rank; axis++)
            assert_int_equal(found.dims[axis], wanted[i].dims[axis]);
        assert_int_equal(found.bytes, rf_tensor_bytes(t));
        assert_int_equal(rf_tensor_copy_out(t, bytes, found.bytes), RF_OK);
        assert_memory_equal(found.data, bytes, found.bytes);
        assert_int_equal(found.data_at % wanted[i].width, 0);
        assert_true(found.header_at > last); /* in order of paths */
        last = found.header_at;
        covered += found.bytes;
    }
    size_t header = file[0] + 256 * (size_t)file[1];
    assert_int_equal(header % 8, 0);
    assert_int_equal(8 + header + covered, len);
    assert_false(plain_safetensors_find(file, len, "h.1.tied", &found));
    assert_memory_equal(file + 8, "{\"__metadata__\":{\"format\":\"pt\"},", 32);
    free(file);
    rf_module_destroy(m);
}

/* Data begin at a multiple of 8, however long the header is. */
static void test_header_is_padded(void **state)
{
    rf_module *m = small_model(*state, 1);
    char value[9] = "";
    const char *const metadata[] = {"a", value, NULL};
    for (size_t len = 0; len <= 8; len++) {
        size_t bytes;
        memset(value, 'x', len);
        assert_int_equal(rf_module_save(m, "m.safetensors", metadata), RF_OK);
        unsigned char *file = files_get("m.safetensors", &bytes);
        assert_int_equal(file[0] % 8, 0);
        free(file);
    }
    rf_module_destroy(m);
}

static void test_metadata(void **state)
{
    static const char *const good[] = {"made by", "Refrain \"0.1\"\n", "\xC3\xA9", "", NULL};
    static const char *const twice[] = {"a", "1", "b", "2", "a", "3", NULL};
    static const char *const odd[] = {"a", NULL, NULL};
    static const char *const bytes[] = {"a", "\xFF", NULL};
    static const char *const none[] = {NULL};
    rf_module *m = small_model(*state, 1);
    rf_safetensors *file;
    assert_int_equal(rf_module_save(m, "m.safetensors", good), RF_OK);
    assert_int_equal(rf_safetensors_open(&file, *state, "m.safetensors"), RF_OK);
    assert_string_equal(rf_safetensors_metadata(file, "made by"), "Refrain \"0.1\"\n");
    assert_string_equal(rf_safetensors_metadata(file, "\xC3\xA9"), "");
    assert_null(rf_safetensors_metadata(file, "format"));
    rf_safetensors_close(file);
    assert_int_equal(rf_module_save(m, "m.safetensors", twice), RF_E_ARGUMENT);
    assert_int_equal(rf_module_save(m, "m.safetensors", odd), RF_E_ARGUMENT);
    assert_int_equal(rf_module_save(m, "m.safetensors", bytes), RF_E_ARGUMENT);
    assert_int_equal(rf_safetensors_open(&file, *state, "m.safetensors"), RF_OK);
    rf_safetensors_close(file);
    assert_int_equal(rf_module_save(m, "m.safetensors", none), RF_OK);
    assert_int_equal(rf_module_save(m, "/dev/full", none), RF_E_IO);
    message_has(*state, "/dev/full: can't be written: no space left");
    rf_module_destroy(m);
}

/* ---- modules ---- */

static uint64_t hash_of(rf_module *m)
{
    uint64_t hash = 0;
    assert_int_equal(rf_module_hash(m, &hash), RF_OK);
    return hash;
}

static void buffers_are_equal(rf_module *a, rf_module *b)
{
    for (size_t i = 0; i < SMALL_MODEL_BUFFERS; i++) {
        unsigned char x[64], y[64];
        rf_tensor *t = rf_module_buffer(a, small_model_buffers[i]);
        rf_tensor *u = rf_module_buffer(b, small_model_buffers[i]);
        assert_int_equal(rf_tensor_copy_out(t, x, rf_tensor_bytes(t)), RF_OK);
        assert_int_equal(rf_tensor_copy_out(u, y, rf_tensor_bytes(u)), RF_OK);
        assert_memory_equal(x, y, rf_tensor_bytes(t));
    }
}

static void test_modules_there_and_back(void **state)
{
    rf_module *a = small_model(*state, 1), *b = small_model(*state, 2);
    assert_true(hash_of(a) != hash_of(b));
    assert_int_equal(rf_module_save(a, "m.safetensors", NULL), RF_OK);
    assert_int_equal(rf_module_load(b, "m.safetensors", NULL), RF_OK);
    assert_int_equal(hash_of(a), hash_of(b));
    buffers_are_equal(a, b);
    rf_module_destroy(a);
    rf_module_destroy(b);
}

/* The hash, from what stands in the file. */
static void test_the_hash_is_of_the_bytes_in_order(void **state)
{
    rf_module *m = small_model(*state, 9);
    unsigned char all[512], *file;
    size_t len, at = 0;
    plain_tensor found;
    assert_int_equal(rf_module_save(m, "m.safetensors", NULL), RF_OK);
    file = files_get("m.safetensors", &len);
    for (size_t i = 0; i < SMALL_MODEL_PARAMS; i++) {
        assert_int_equal(plain_safetensors_find(file, len, small_model_params[i], &found), 1);
        memcpy(all + at, found.data, found.bytes);
        at += found.bytes;
    }
    assert_int_equal(rf_hash64(all, at, 0), hash_of(m));
    free(file);
    rf_module_destroy(m);
}

/* The saved file with names changed by hand: old and new are equally long. */
static void rename_in_file(const char *old, const char *fresh)
{
    size_t len, width = strlen(old);
    unsigned char *file = files_get("m.safetensors", &len);
    assert_int_equal(strlen(fresh), width);
    for (size_t at = 0; at + width <= len; at++)
        if (memcmp(file + at, old, width) == 0)
            memcpy(file + at, fresh, width);
    files_put("m.safetensors", file, len);
    free(file);
}

static void test_missing_and_superfluous_names(void **state)
{
    static const char *const ignored[] = {"x*", "h.?.wei*", NULL};
    static const char *const nothing[] = {"weight", NULL};
    rf_module *m = small_model(*state, 1), *other = small_model(*state, 2);
    uint64_t before = hash_of(other);
    assert_int_equal(rf_module_save(m, "m.safetensors", NULL), RF_OK);
    rename_in_file("h.1.weight", "h.1.height");
    assert_int_equal(rf_module_load(other, "m.safetensors", ignored), RF_E_NOT_FOUND);
    message_has(*state, "m.safetensors: it has no 'h.1.weight'");
    assert_int_equal(rf_module_save(m, "m.safetensors", NULL), RF_OK);
    rename_in_file("\"mask\"", "\"mark\"");
    assert_int_equal(rf_module_load(other, "m.safetensors", ignored), RF_E_NOT_FOUND);
    message_has(*state, "it has no 'mask'");
    /* A module that has less. */
    rf_module *part = rf_module_find(other, "h.0");
    assert_int_equal(rf_module_save(part, "m.safetensors", NULL), RF_OK);
    rename_in_file("\"bias\"", "\"gain\"");
    assert_int_equal(rf_module_load(part, "m.safetensors", NULL), RF_E_NOT_FOUND);
    assert_int_equal(hash_of(other), before);
    assert_int_equal(rf_module_save(m, "m.safetensors", NULL), RF_OK);
    assert_int_equal(rf_module_load(rf_module_find(other, "h.1"), "m.safetensors", nothing),
                     RF_E_NOT_FOUND);
    rf_module_destroy(m);
    rf_module_destroy(other);
}

static void test_ignored_names(void **state)
{
    static const char *const ignored[] = {"attn.bias", "*.attn.bias", "lm_head.*", NULL};
    static const char *const fewer[] = {"attn.bias", "lm_head.*", NULL};
    rf_module *m = small_model(*state, 1);
    rf_module *part = rf_module_find(m, "h.1"); /* weight (7) bf16, tied (5, 3) f32 */
    rf_tensor *weight = rf_module_param(part, "weight");
    unsigned char bytes[14];
    static const char header[] =
        "{\"lm_head.w\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]},"
        "\"t.weight\":{\"dtype\":\"BF16\",\"shape\":[7],\"data_offsets\":[2,16]},"
        "\"t.attn.bias\":{\"dtype\":\"BOOL\",\"shape\":[2,2],\"data_offsets\":[16,20]},"
        "\"t.x.attn.bias\":{\"dtype\":\"BOOL\",\"shape\":[2,2],\"data_offsets\":[20,24]},"
        "\"t.tied\":{\"dtype\":\"F32\",\"shape\":[5,3],\"data_offsets\":[24,84]}}";
    put_header(header, 84);
    assert_int_equal(rf_module_load(part, "m.safetensors", NULL), RF_E_NOT_FOUND);
    message_has(*state, "the model has no place for 'lm_head.w'");
    assert_int_equal(rf_module_load(part, "m.safetensors", fewer), RF_E_NOT_FOUND);
    message_has(*state, "no place for 't.x.attn.bias'");
    assert_int_equal(rf_module_load(part, "m.safetensors", ignored), RF_OK);
    assert_int_equal(rf_tensor_copy_out(weight, bytes, 14), RF_OK);
    for (size_t i = 0; i < 14; i++)
        assert_int_equal(bytes[i], i + 2);
    rf_module_destroy(m);
}

/* The first path (tied) alone does not tell the prefix: only under one of them is everything. */
static void test_the_prefix_is_one_for_all(void **state)
{
    rf_module *m = small_model(*state, 1);
    rf_module *part = rf_module_find(m, "h.1");
    static const char *const ignored[] = {"a.*", "tied", NULL};
    static const char header[] =
        "{\"tied\":{\"dtype\":\"F32\",\"shape\":[5,3],\"data_offsets\":[0,60]},"
        "\"a.tied\":{\"dtype\":\"F32\",\"shape\":[5,3],\"data_offsets\":[60,120]},"
        "\"b.c.tied\":{\"dtype\":\"F32\",\"shape\":[5,3],\"data_offsets\":[120,180]},"
        "\"b.c.weight\":{\"dtype\":\"BF16\",\"shape\":[7],\"data_offsets\":[180,194]}}";
    unsigned char bytes[60];
    put_header(header, 194);
    assert_int_equal(rf_module_load(part, "m.safetensors", ignored), RF_OK);
    assert_int_equal(rf_tensor_copy_out(rf_module_param(part, "tied"), bytes, 60), RF_OK);
    assert_int_equal(bytes[0], 120);
    rename_in_file("b.c.weight", "b.d.weight");
    assert_int_equal(rf_module_load(part, "m.safetensors", ignored), RF_E_NOT_FOUND);
    message_has(*state, "it has no 'a.weight'");
    rf_module_destroy(m);
}

static void test_wrong_shapes_change_nothing(void **state)
{
    rf_module *m = small_model(*state, 1), *other = small_model(*state, 2);
    uint64_t before = hash_of(other);
    assert_int_equal(rf_module_save(m, "m.safetensors", NULL), RF_OK);
    rename_in_file("\"shape\":[2,1,3]", "\"shape\":[3,1,2]");
    assert_int_equal(rf_module_load(other, "m.safetensors", NULL), RF_E_SHAPE);
    message_has(*state, "'h.0.weight' has shape (3, 1, 2), but (2, 1, 3) is wanted");
    assert_int_equal(rf_module_save(m, "m.safetensors", NULL), RF_OK);
    rename_in_file("\"U8\"", "\"I8\"");
    assert_int_equal(rf_module_load(other, "m.safetensors", NULL), RF_E_DTYPE);
    assert_int_equal(hash_of(other), before);
    rf_module_destroy(m);
    rf_module_destroy(other);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t k = 1, done = 0; !done; k++) {
        failing_allocator a = {0};
        rf_context *ctx = failing_context(&a);
        rf_module *m = small_model(ctx, 1);
        a.calls = 0;
        a.fail_at = k;
        rf_status status = rf_module_save(m, "m.safetensors", NULL);
        if (!status)
            status = rf_module_load(m, "m.safetensors", NULL);
        done = a.calls < k;
        assert_int_equal(status, done ? RF_OK : RF_E_MEMORY);
        a.fail_at = 0;
        assert_int_equal(rf_module_save(m, "m.safetensors", NULL), RF_OK);
        rf_module_destroy(m);
        rf_context_destroy(ctx);
        assert_int_equal(a.bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_what_is_there, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_lengths, begin, end),
        cmocka_unit_test_setup_teardown(test_half_precision, begin, end),
        cmocka_unit_test_setup_teardown(test_rounding, begin, end),
        cmocka_unit_test_setup_teardown(test_same_type_is_copied_bit_for_bit, begin, end),
        cmocka_unit_test_setup_teardown(test_what_can_not_be_converted, begin, end),
        cmocka_unit_test_setup_teardown(test_long_conversions, begin, end),
        cmocka_unit_test_setup_teardown(test_written_files_by_another_reader, begin, end),
        cmocka_unit_test_setup_teardown(test_header_is_padded, begin, end),
        cmocka_unit_test_setup_teardown(test_metadata, begin, end),
        cmocka_unit_test_setup_teardown(test_modules_there_and_back, begin, end),
        cmocka_unit_test_setup_teardown(test_the_hash_is_of_the_bytes_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_missing_and_superfluous_names, begin, end),
        cmocka_unit_test_setup_teardown(test_ignored_names, begin, end),
        cmocka_unit_test_setup_teardown(test_the_prefix_is_one_for_all, begin, end),
        cmocka_unit_test_setup_teardown(test_wrong_shapes_change_nothing, begin, end),
        cmocka_unit_test_setup_teardown(test_every_allocation_may_fail, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
