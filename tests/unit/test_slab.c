/* test_slab.c: small objects by size: none overlaps another, all of them are zeroed, and a trim
 * gives back every chunk that nothing is in and lets the room in the others be cut anew. */
#include "base/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct chunk_count {
    size_t bytes, num;
} chunk_count;

static void *count_get(void *payload, size_t bytes)
{
    chunk_count *count = payload;
    count->bytes += bytes;
    count->num++;
    return aligned_alloc(64, bytes);
}

static void count_put(void *payload, void *p, size_t bytes)
{
    chunk_count *count = payload;
    count->bytes -= bytes;
    count->num--;
    free(p);
}

static rf_slab slab_new(chunk_count *count)
{
    *count = (chunk_count){0, 0};
    return (rf_slab){.chunk_get = count_get, .chunk_put = count_put, .payload = count};
}

static uint32_t slab_random(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % n;
}

enum { OBJECTS = 700, ROUNDS = 30000 };

typedef struct object {
    unsigned char *p;
    size_t bytes;
    unsigned char mark;
} object;

static void object_make(rf_slab *slab, object *o, size_t bytes, unsigned char mark)
{
    *o = (object){rf_slab_get(slab, bytes), bytes, mark};
    assert_non_null(o->p);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(o->p[i], 0);
    memset(o->p, mark, bytes);
}

static void object_end(rf_slab *slab, object *o)
{
    for (size_t i = 0; i < o->bytes; i++)
        assert_int_equal(o->p[i], o->mark);
    rf_slab_put(slab, o->p, o->bytes);
    o->p = NULL;
}

static void test_objects_are_apart(void **state)
{
    chunk_count count;
    rf_slab slab = slab_new(&count);
    object objects[OBJECTS] = {{0}};
    uint64_t random = 1;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        object *o = &objects[slab_random(&random, OBJECTS)];
        if (o->p)
            object_end(&slab, o);
        else
            object_make(&slab, o, 1 + slab_random(&random, round % 50 ? 300 : 3000),
                        (unsigned char)(1 + round % 255));
        if (round % 777 == 0)
            rf_slab_trim(&slab);
    }
    for (int i = 0; i < OBJECTS; i++)
        if (objects[i].p)
            object_end(&slab, &objects[i]);
    rf_slab_trim(&slab);
    assert_int_equal(count.bytes, 0);
    rf_slab_end(&slab);
}

/* Chunks for objects of these sizes, beside one that stays. */
static size_t chunks_for(rf_slab *slab, const chunk_count *count, size_t bytes, int num)
{
    void *objects[256];
    for (int i = 0; i < num; i++)
        assert_non_null(objects[i] = rf_slab_get(slab, bytes));
    size_t most = count->num;
    for (int i = 0; i < num; i++)
        rf_slab_put(slab, objects[i], bytes);
    return most;
}

/* Without a trim, what was cut into small objects would never make a large one. */
static void test_a_trim_forgets_what_was_cut(void **state)
{
    chunk_count count;
    rf_slab slab = slab_new(&count);
    (void)state;
    void *stays = rf_slab_get(&slab, 100);
    size_t large = chunks_for(&slab, &count, 1500, 200);
    for (int i = 0; i < 5; i++) {
        rf_slab_trim(&slab);
        assert_int_equal(count.num, 1);
        chunks_for(&slab, &count, 64 + 64 * (size_t)i, 256);
        rf_slab_trim(&slab);
        assert_int_equal(chunks_for(&slab, &count, 1500, 200), large);
    }
    rf_slab_put(&slab, stays, 100);
    rf_slab_trim(&slab);
    assert_int_equal(count.num, 0);
    rf_slab_end(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_are_apart),
        cmocka_unit_test(test_a_trim_forgets_what_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
