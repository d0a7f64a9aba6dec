/* XXH64 against published values and against itself in pieces; little-endian bytes. */
#include "base/bytes.h"
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static uint64_t whole(const void *data, size_t len, uint64_t seed)
{
    rf_hasher h;
    rf_hasher_begin(&h, seed);
    rf_hasher_add(&h, data, len);
    return rf_hasher_end(&h);
}

/* The values of xxHash's own sanity check (its tests/sanity_test_vectors.h and xxhsum): a buffer
 * made by a multiplicative generator, at lengths around every branch. */
static void test_published_values(void **state)
{
    static const uint64_t prime = 2654435761u, prime64 = UINT64_C(11400714785074694797);
    static const struct {
        size_t len;
        uint64_t plain, seeded;
    } known[] = {
        {0, UINT64_C(0xEF46DB3751D8E999), UINT64_C(0xAC75FDA2929B17EF)},
        {1, UINT64_C(0xE934A84ADB052768), UINT64_C(0x5014607643A9B4C3)},
        {4, UINT64_C(0x9136A0DCA57457EE), UINT64_C(0xCAAB286BD8E9FDB5)},
        {14, UINT64_C(0x8282DCC4994E35C8), UINT64_C(0xC3BD6BF63DEB6DF0)},
        {222, UINT64_C(0xB641AE8CB691C174), UINT64_C(0x20CB8AB7AE10C14A)},
    };
    unsigned char data[222];
    uint64_t byte = prime;
    (void)state;
    for (size_t i = 0; i < sizeof data; i++, byte *= prime64)
        data[i] = (unsigned char)(byte >> 56);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_int_equal(whole(data, known[i].len, 0), known[i].plain);
        assert_int_equal(whole(data, known[i].len, prime), known[i].seeded);
    }
    assert_int_equal(whole("abc", 3, 0), UINT64_C(0x44BC2CF5AD770999));
}

static void test_pieces_equal_the_whole(void **state)
{
    unsigned char data[200];
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 37 + 11);
    for (size_t len = 0; len <= sizeof data; len++)
        for (size_t piece = 1; piece < 70; piece += 3) {
            rf_hasher h;
            rf_hasher_begin(&h, 7);
            for (size_t at = 0; at < len; at += piece)
                rf_hasher_add(&h, data + at, len - at < piece ? len - at : piece);
            assert_int_equal(rf_hasher_end(&h), whole(data, len, 7));
        }
}

static void test_every_byte_counts(void **state)
{
    unsigned char data[100] = {0};
    uint64_t before = whole(data, sizeof data, 0);
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        for (int bit = 0; bit < 8; bit++) {
            data[i] = (unsigned char)(1 << bit);
            assert_int_not_equal(whole(data, sizeof data, 0), before);
            data[i] = 0;
        }
}

static void test_numbers_as_bytes(void **state)
{
    static const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 0x88};
    unsigned char out[8];
    (void)state;
    assert_int_equal(rf_get_u16(bytes), 0x0201);
    assert_int_equal(rf_get_u32(bytes), 0x04030201);
    assert_int_equal(rf_get_u64(bytes), UINT64_C(0x8807060504030201));
    rf_put_u64(out, UINT64_C(0x8807060504030201));
    assert_memory_equal(out, bytes, 8);
    rf_swap_bytes(out, 2, 4);
    assert_memory_equal(out, "\4\3\2\1\x88\7\6\5", 8);
    rf_swap_bytes(out, 8, 1);
    assert_memory_equal(out, "\4\3\2\1\x88\7\6\5", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_values),
        cmocka_unit_test(test_pieces_equal_the_whole),
        cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_numbers_as_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
