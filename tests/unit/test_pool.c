/* The pool of a context's storages: where blocks lie, with and without a plan; what stays resident;
 * and a long random life against a model. */
#define _GNU_SOURCE
#include "support/world.h"
#include "support/failing.h"
#include "mem/pool.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
enum { sanitized = 1 };
#elif defined(__SANITIZE_THREAD__)
enum { sanitized = 1 };
#else
enum { sanitized = 0 };
#endif

enum { KIB = 1024, MIB = 1024 * 1024 };

static const rf_allocator libc_allocator = {rf_alloc_libc, NULL};

static rf_pool *pool_of(const rf_pool_options *opts)
{
    rf_pool *pool = rf_pool_create(&libc_allocator, opts);
    assert_non_null(pool);
    return pool;
}

static rf_pool_info info_of(const rf_pool *pool)
{
    rf_pool_info info;
    rf_pool_get_info(pool, &info);
    return info;
}

static char *get(rf_pool *pool, size_t bytes)
{
    char *p = rf_pool_get(pool, bytes);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    return p;
}

static uint64_t page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Bytes of [base, base + bytes) that are resident. */
static uint64_t resident_of(char *base, uint64_t bytes)
{
    uint64_t pages = bytes / page_size(), resident = 0;
    unsigned char *vec = calloc(pages, 1);
    assert_int_equal(mincore(base, pages * page_size(), vec), 0);
    for (uint64_t i = 0; i < pages; i++)
        resident += vec[i] & 1;
    free(vec);
    return resident * page_size();
}

/* ---- without a plan ---- */

static void test_best_fit_and_coalescing(void **state)
{
    const rf_pool_options opts = {.limit = MIB};
    rf_pool *pool = pool_of(&opts);
    char *p[6];
    (void)state;
    static const size_t bytes[6] = {1000, 640, 100, 320, 0, 64};
    for (int i = 0; i < 6; i++)
        p[i] = get(pool, bytes[i]);
    assert_ptr_equal(p[1], p[0] + 1024);
    assert_ptr_equal(p[2], p[1] + 640);
    assert_ptr_equal(p[5], p[4] + 64);
    assert_int_equal(info_of(pool).used, 1024 + 640 + 128 + 320 + 64 + 64);
    assert_int_equal(info_of(pool).blocks, 6);
    rf_pool_put(pool, p[1], 640);
    rf_pool_put(pool, p[3], 320);
    assert_ptr_equal(get(pool, 300), p[3]); /* the tightest gap, not the first */
    assert_ptr_equal(get(pool, 300), p[1]);
    rf_pool_put(pool, p[1], 300);
    rf_pool_put(pool, p[0], 1000); /* joins what is behind it */
    assert_ptr_equal(get(pool, 1600), p[0]);
    rf_pool_put(pool, NULL, 5);
    rf_pool_put(pool, p[0], 1600);
    rf_pool_put(pool, p[2], 100); /* joins what is before it */
    assert_ptr_equal(get(pool, 1024 + 640 + 128), p[0]);
    rf_pool_destroy(pool);
    rf_pool_destroy(NULL);
}

static void test_what_is_too_large_is_refused(void **state)
{
    const rf_pool_options opts = {.limit = MIB, .reserve = 2 * MIB};
    rf_pool *pool = pool_of(&opts);
    (void)state;
    assert_null(rf_pool_get(pool, 3 * MIB));
    assert_null(rf_pool_get(pool, SIZE_MAX));
    assert_null(rf_pool_get(pool, SIZE_MAX - 63));
    assert_int_equal(info_of(pool).used, 0);
    char *p = get(pool, 2 * MIB);
    assert_null(rf_pool_get(pool, 64 * KIB));
    rf_pool_put(pool, p, 2 * MIB);
    get(pool, 64 * KIB);
    assert_int_equal(info_of(pool).blocks, 1);
    rf_pool_destroy(pool);
}

/* ---- with one ---- */

static void test_planned_blocks_lie_where_the_plan_says(void **state)
{
    static const rf_pool_block plan[] = {{100, 256}, {1000, 1024}, {64, 0}, {1000, 2048}};
    const rf_pool_options opts = {.limit = MIB, .arena = 4096};
    rf_pool *pool = pool_of(&opts);
    (void)state;
    assert_int_equal(rf_pool_plan(pool, plan, 4), 1);
    char *before = get(pool, 100); /* no step has begun */
    for (int step = 0; step < 3; step++) {
        rf_pool_step_begin(pool);
        char *a = get(pool, 100), *base = a - 256;
        assert_ptr_equal(get(pool, 1000), base + 1024);
        char *extra = get(pool, 500); /* not known */
        assert_true(extra >= base + 4096);
        assert_ptr_equal(get(pool, 64), base);
        assert_ptr_equal(get(pool, 1000), base + 2048);
        char *more = get(pool, 1000); /* one more than the plan has */
        assert_true(more >= base + 4096);
        assert_true(before >= base + 4096);
        rf_pool_put(pool, a, 100);
        rf_pool_put(pool, base + 1024, 1000);
        rf_pool_put(pool, base, 64);
        rf_pool_put(pool, base + 2048, 1000);
        rf_pool_put(pool, extra, 500);
        rf_pool_put(pool, more, 1000);
    }
    rf_pool_info info = info_of(pool);
    assert_int_equal(info.planned, 12);
    assert_int_equal(info.displaced, 0);
    assert_int_equal(info.unplanned, 7);
    assert_int_equal(info.arena_top, 2048 + 1024);
    rf_pool_destroy(pool);
}

static void test_a_place_that_is_taken_is_not_used(void **state)
{
    static const rf_pool_block plan[] = {{640, 0}, {640, 640}, {1280, 0}};
    const rf_pool_options opts = {.limit = MIB, .arena = 1280};
    rf_pool *pool = pool_of(&opts);
    (void)state;
    assert_int_equal(rf_pool_plan(pool, plan, 3), 1);
    rf_pool_step_begin(pool);
    char *a = get(pool, 640), *b = get(pool, 640);
    rf_pool_put(pool, a, 640); /* b is still there, against the plan */
    char *c = get(pool, 1280);
    assert_true(c >= b + 640);
    memset(c, 1, 1280);
    rf_pool_put(pool, b, 640);
    rf_pool_step_begin(pool);
    assert_ptr_equal(get(pool, 640), a);
    assert_ptr_equal(get(pool, 640), b);
    assert_int_equal(info_of(pool).displaced, 1);
    rf_pool_destroy(pool);
}

/* Requests that are missing, that come early and that are not known lead to no loss of step. */
static void test_the_sequence_is_found_again(void **state)
{
    rf_pool_block plan[64];
    const rf_pool_options opts = {.limit = MIB, .arena = MIB};
    rf_pool *pool = pool_of(&opts);
    (void)state;
    for (uint64_t i = 0; i < 64; i++)
        plan[i] = (rf_pool_block){64 * (i + 1), 8192 * i};
    assert_int_equal(rf_pool_plan(pool, plan, 64), 1);
    rf_pool_step_begin(pool);
    char *base = get(pool, 64);
    for (size_t i = 1; i < 64; i++) {
        if (i % 7 == 3) /* never asked for */
            continue;
        if (i % 9 == 5) /* not known */
            assert_true(get(pool, 64 * 65) >= base + MIB);
        assert_ptr_equal(get(pool, 64 * (i + 1)), base + 8192 * i);
    }
    rf_pool_step_begin(pool);
    rf_pool_destroy(pool);

    pool = pool_of(&opts); /* pairs the other way round */
    assert_int_equal(rf_pool_plan(pool, plan, 64), 1);
    rf_pool_step_begin(pool);
    base = get(pool, 128) - 8192;
    for (size_t i = 0; i < 64; i += i ? 2 : 2) {
        if (i)
            assert_ptr_equal(get(pool, 64 * (i + 2)), base + 8192 * (i + 1));
        assert_ptr_equal(get(pool, 64 * (i + 1)), base + 8192 * i);
    }
    assert_int_equal(info_of(pool).planned, 64);
    rf_pool_destroy(pool);
}

/* What outlives a step is known, and lies behind the arena, where it is in no later step's way. */
static void test_planned_blocks_of_the_rest(void **state)
{
    static const rf_pool_block plan[] = {{640, 0}, {640, RF_POOL_REST}, {640, 640}};
    const rf_pool_options opts = {.limit = MIB, .arena = 4096};
    rf_pool *pool = pool_of(&opts);
    (void)state;
    assert_int_equal(rf_pool_plan(pool, plan, 3), 1);
    rf_pool_step_begin(pool);
    char *base = get(pool, 640);
    assert_true(get(pool, 640) >= base + 4096);
    assert_ptr_equal(get(pool, 640), base + 640);
    assert_int_equal(info_of(pool).planned, 3);
    assert_int_equal(info_of(pool).arena_top, 1280);
    rf_pool_destroy(pool);
}

static void test_bad_plans_are_refused(void **state)
{
    static const rf_pool_block good[] = {{4096, 0}, {0, 4096 - 64}};
    static const rf_pool_block bad[] = {
        {4096, 64}, {64, 32}, {UINT64_MAX, 0}, {1, UINT64_MAX - 63}, {0, 4096}};
    const rf_pool_options opts = {.limit = MIB, .arena = 4096};
    rf_pool *pool = pool_of(&opts);
    (void)state;
    if (page_size() == 4096)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            assert_int_equal(rf_pool_plan(pool, &bad[i], 1), 0);
    assert_int_equal(rf_pool_plan(pool, good, 2), 1);
    rf_pool_step_begin(pool);
    char *p = get(pool, 4096);
    assert_int_equal(rf_pool_plan(pool, NULL, 0), 1); /* no plan any more; its block lives on */
    rf_pool_step_begin(pool);
    assert_true(get(pool, 4096) >= p + 4096);
    rf_pool_destroy(pool);
}

/* ---- what stays resident ---- */

static void test_no_more_is_kept_than_the_limit(void **state)
{
    const rf_pool_options opts = {.limit = 4 * MIB, .reserve = 32 * MIB};
    rf_pool *pool = pool_of(&opts);
    char *p[8];
    (void)state;
    for (int i = 0; i < 8; i++) { /* two at a time: every other one stays */
        p[i] = get(pool, MIB / 2);
        memset(p[i], i, MIB / 2);
    }
    assert_int_equal(info_of(pool).kept, 4 * MIB);
    for (int i = 0; i < 8; i += 2)
        rf_pool_put(pool, p[i], MIB / 2);
    char *large = get(pool, 2 * MIB); /* fits no gap: they pay for it */
    memset(large, 9, 2 * MIB);
    assert_int_equal(info_of(pool).kept, 4 * MIB);
    assert_in_range(resident_of(p[0], 32 * MIB), 0, 4 * MIB);
    for (int i = 1; i < 8; i += 2)
        for (size_t j = 0; j < MIB / 2; j++)
            assert_int_equal(p[i][j], i);
    rf_pool_put(pool, large, 2 * MIB);
    assert_int_equal(info_of(pool).kept, 4 * MIB); /* free, and kept for the next one */
    rf_pool_set_limit(pool, 3 * MIB);
    assert_int_equal(info_of(pool).kept, 3 * MIB);
    rf_pool_trim(pool, 0);
    assert_int_equal(info_of(pool).kept, 2 * MIB); /* in use */
    assert_int_equal(resident_of(p[0], 32 * MIB), 2 * MIB);
    rf_pool_destroy(pool);
}

static void test_more_in_use_than_the_limit(void **state)
{
    const rf_pool_options opts = {.limit = MIB, .reserve = 32 * MIB};
    rf_pool *pool = pool_of(&opts);
    (void)state;
    char *a = get(pool, 3 * MIB), *b = get(pool, MIB);
    memset(a, 1, 3 * MIB);
    memset(b, 2, MIB);
    assert_int_equal(info_of(pool).kept, 4 * MIB);
    rf_pool_put(pool, a, 3 * MIB);
    assert_int_equal(info_of(pool).kept, MIB); /* given back at once */
    assert_int_equal(b[MIB - 1], 2);
    rf_pool_destroy(pool);
}

static void test_the_rest_goes_before_the_arena(void **state)
{
    static const rf_pool_block plan[] = {{MIB, 0}};
    const rf_pool_options opts = {.limit = 3 * MIB, .arena = MIB};
    rf_pool *pool = pool_of(&opts);
    (void)state;
    assert_int_equal(rf_pool_plan(pool, plan, 1), 1);
    rf_pool_step_begin(pool);
    char *planned = get(pool, MIB), *rest = get(pool, MIB);
    memset(planned, 1, MIB);
    memset(rest, 2, MIB);
    rf_pool_put(pool, planned, MIB);
    rf_pool_put(pool, rest, MIB);
    rf_pool_set_limit(pool, MIB);
    assert_int_equal(resident_of(planned, MIB), MIB);
    rf_pool_set_limit(pool, MIB / 2); /* and the low end of it last */
    assert_int_equal(resident_of(planned, MIB / 2), MIB / 2);
    rf_pool_destroy(pool);
}

static void test_without_a_limit_what_was_in_use_is_kept(void **state)
{
    const rf_pool_options opts = {.reserve = 256 * MIB};
    rf_pool *pool = pool_of(&opts);
    (void)state;
    uint64_t slack = 64 * page_size();
    char *a = get(pool, 8 * MIB), *b = get(pool, 8 * MIB);
    memset(a, 1, 8 * MIB);
    memset(b, 1, 8 * MIB);
    rf_pool_put(pool, a, 8 * MIB);
    assert_int_equal(info_of(pool).kept, 16 * MIB);
    char *c = get(pool, 9 * MIB); /* a's pages make room */
    memset(c, 1, 9 * MIB);
    assert_in_range(resident_of(a, 128 * MIB), 17 * MIB, 17 * MIB + 17 * MIB / 32 + slack);
    rf_pool_destroy(pool);
}

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* The same requests again: no page faults, no calls of the system. */
static void test_no_faults_after_the_first_step(void **state)
{
    rf_pool_block plan[20];
    const rf_pool_options opts = {.limit = 16 * MIB, .arena = 8 * MIB};
    rf_pool *pool = pool_of(&opts);
    rf_pool_info first = {0};
    long before = 0;
    (void)state;
    for (uint64_t i = 0; i < 20; i++)
        plan[i] = (rf_pool_block){300 * KIB + 64 * i, (i % 4) * 512 * KIB};
    assert_int_equal(rf_pool_plan(pool, plan, 20), 1);
    for (int step = 0; step < 6; step++) {
        char *live[20];
        if (step == 1) {
            first = info_of(pool);
            before = faults();
        }
        rf_pool_step_begin(pool);
        for (size_t i = 0; i < 20; i++) {
            if (i >= 4)
                rf_pool_put(pool, live[i - 4], plan[i - 4].bytes);
            live[i] = get(pool, plan[i].bytes);
            memset(live[i], 1, plan[i].bytes);
            char *extra = get(pool, 100 * KIB * (1 + i % 3));
            memset(extra, 2, 100 * KIB);
            rf_pool_put(pool, extra, 100 * KIB * (1 + i % 3));
        }
        for (size_t i = 16; i < 20; i++)
            rf_pool_put(pool, live[i], plan[i].bytes);
    }
    assert_int_equal(info_of(pool).planned, 120);
    assert_int_equal(info_of(pool).page_gets, first.page_gets);
    assert_int_equal(info_of(pool).page_puts, 0);
    if (!sanitized)
        assert_in_range(faults() - before, 0, 8);
    rf_pool_destroy(pool);
}

/* ---- failures ---- */

static uint64_t data_of_process(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmData: %llu kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib * KIB;
}

/* In a process of its own: what is given back counts for the limit no more. */
static int life_under_a_limit(void)
{
    const rf_pool_options opts = {.limit = 8 * MIB};
    rf_pool *pool = rf_pool_create(&libc_allocator, &opts);
    struct rlimit limit = {data_of_process() + 12 * MIB, data_of_process() + 12 * MIB};
    if (!pool || !data_of_process() || setrlimit(RLIMIT_DATA, &limit))
        return 77;
    if (rf_pool_get(pool, 16 * MIB))
        return 1; /* no memory is an answer */
    for (int i = 0; i < 20; i++) {
        char *p = rf_pool_get(pool, 5 * MIB + (size_t)i * 64), *q = rf_pool_get(pool, MIB);
        if (!p || !q)
            return 2;
        memset(p, 1, 5 * MIB);
        memset(q, 1, MIB);
        char *r = rf_pool_get(pool, 10 * MIB); /* more than there is */
        if (r)
            return 3;
        rf_pool_put(pool, p, 5 * MIB + (size_t)i * 64);
        if (!(r = rf_pool_get(pool, 9 * MIB))) /* p's pages go */
            return 4;
        memset(r, 1, 9 * MIB);
        rf_pool_put(pool, q, MIB);
        rf_pool_put(pool, r, 9 * MIB);
    }
    rf_pool_destroy(pool);
    return 0;
}

static void test_the_systems_limit_is_an_answer(void **state)
{
    (void)state;
    if (sanitized || getenv("RF_TEST_FAST")) /* a simulated machine may know no limits */
        skip();
    int status = 0;
    pid_t child = fork();
    if (!child)
        _exit(life_under_a_limit());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_each_allocation_fails_once(void **state)
{
    static const rf_pool_block plan[] = {{64, 0}, {64, 64}};
    const rf_pool_options opts = {.limit = MIB, .arena = MIB, .blocks = 1};
    size_t failed = 0;
    (void)state;
    for (size_t k = 1; failed + 1 >= k; k++) {
        failing_allocator a = {.fail_at = k};
        const rf_allocator alloc = {failing_alloc, &a};
        rf_pool *pool = rf_pool_create(&alloc, &opts);
        failed += !pool;
        if (pool) {
            char *live[300] = {0};
            failed += !rf_pool_plan(pool, plan, 2);
            rf_pool_step_begin(pool);
            for (int i = 0; i < 300; i++) {
                live[i] = rf_pool_get(pool, 64);
                if (!live[i]) { /* and once more */
                    failed++;
                    live[i] = get(pool, 64);
                }
            }
            for (int i = 0; i < 300; i += 2) /* freeing needs no memory */
                rf_pool_put(pool, live[i], 64);
            for (int i = 1; i < 300; i += 2)
                rf_pool_put(pool, live[i], 64);
            assert_int_equal(info_of(pool).used, 0);
            rf_pool_destroy(pool);
        }
        assert_int_equal(a.bytes, 0);
        assert_true(k < 50);
    }
    assert_true(failed >= 6);
}

/* ---- against a model ---- */

enum { MODEL_BLOCKS = 400, MODEL_PLAN = 300 };

typedef struct model_block {
    unsigned char *p;
    size_t bytes;
    unsigned char fill;
} model_block;

typedef struct model {
    rf_pool *pool;
    model_block blocks[MODEL_BLOCKS];
    size_t num;
    rf_pool_block plan[MODEL_PLAN];
    uint64_t random, used;
} model;

static uint32_t model_random(model *m, uint32_t below)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((m->random >> 33) % below);
}

static size_t model_bytes(model *m)
{
    static const uint32_t most[] = {1, 64, 200, 5000, 70000, 400000};
    return model_random(m, most[model_random(m, 6)] + 1);
}

static void model_check(const model_block *b)
{
    for (size_t i = 0; i < b->bytes; i++)
        assert_int_equal(b->p[i], b->fill);
}

static void model_get(model *m, size_t bytes)
{
    model_block b = {rf_pool_get(m->pool, bytes), bytes, (unsigned char)model_random(m, 256)};
    assert_non_null(b.p);
    for (size_t i = 0; i < m->num; i++) {
        const model_block *other = &m->blocks[i];
        size_t mine = (b.bytes + 64) & ~(size_t)63, its = (other->bytes + 64) & ~(size_t)63;
        if (b.p < other->p + (its ? its - 64 : 0) && other->p < b.p + (mine ? mine - 64 : 0))
            fail_msg("two blocks overlap");
        assert_ptr_not_equal(b.p, other->p);
    }
    memset(b.p, b.fill, bytes);
    m->used += (bytes ? bytes + 63 : 64) & ~(size_t)63;
    m->blocks[m->num++] = b;
}

static void model_put(model *m, size_t i)
{
    model_block b = m->blocks[i];
    model_check(&b);
    m->blocks[i] = m->blocks[--m->num];
    m->used -= (b.bytes ? b.bytes + 63 : 64) & ~(size_t)63;
    rf_pool_put(m->pool, b.p, b.bytes);
}

static void model_plan(model *m, uint64_t arena)
{
    for (size_t i = 0; i < MODEL_PLAN; i++) {
        m->plan[i].bytes = model_bytes(m);
        m->plan[i].offset = 64 * model_random(m, (uint32_t)(arena - m->plan[i].bytes) / 64);
    }
    assert_int_equal(rf_pool_plan(m->pool, m->plan, MODEL_PLAN), 1);
}

/* A step: mostly what the plan says, and what it does not know. */
static void model_step(model *m)
{
    rf_pool_step_begin(m->pool);
    for (size_t i = 0; i < MODEL_PLAN; i++) {
        while (m->num && (m->num >= MODEL_BLOCKS - 2 || model_random(m, 5) < 2))
            model_put(m, model_random(m, (uint32_t)m->num));
        if (model_random(m, 8))
            model_get(m, m->plan[i].bytes);
        if (!model_random(m, 8))
            model_get(m, model_bytes(m));
    }
}

static void test_a_random_life(void **state)
{
    const uint64_t limits[] = {0, 2 * MIB, 6 * MIB};
    int steps = getenv("RF_TEST_FAST") ? 3 : 20;
    (void)state;
    for (uint32_t life = 0; life < 6; life++) {
        uint64_t arena = life % 2 ? 4 * MIB : 0, limit = limits[life / 2];
        const rf_pool_options opts = {.limit = limit, .arena = arena, .reserve = 256 * MIB};
        model m = {.pool = pool_of(&opts), .random = life};
        if (arena)
            model_plan(&m, arena);
        else
            for (size_t i = 0; i < MODEL_PLAN; i++)
                m.plan[i].bytes = model_bytes(&m);
        char *base = NULL;
        for (int step = 0; step < steps; step++) {
            model_step(&m);
            rf_pool_info info = info_of(m.pool);
            assert_int_equal(info.used, m.used);
            assert_int_equal(info.blocks, m.num);
            /* No more than the limit; or no free page, and those in use touch at most two more
             * each. */
            uint64_t most = limit ? limit : info.used_peak + info.used_peak / 32 + 64 * page_size();
            uint64_t busy = info.used + 2 * m.num * page_size();
            assert_in_range(info.kept, 0, most > busy ? most : busy);
            if (!arena &&
                !base) { /* the first block lies at its beginning, if nothing is planned */
                while (m.num)
                    model_put(&m, 0);
                model_get(&m, 64);
                base = (char *)m.blocks[0].p;
            }
            if (base)
                assert_in_range(resident_of(base, 256 * MIB), 0, info_of(m.pool).kept);
        }
        if (arena)
            assert_true(info_of(m.pool).planned > (uint64_t)steps * MODEL_PLAN / 20);
        while (m.num)
            model_put(&m, m.num - 1);
        rf_pool_trim(m.pool, 0);
        assert_int_equal(info_of(m.pool).used, 0);
        assert_int_equal(info_of(m.pool).kept, 0); /* every page went back: nothing was lost */
        rf_pool_destroy(m.pool);
    }
}

#if defined(__SANITIZE_ADDRESS__)
static void test_free_ranges_are_poisoned(void **state)
{
    const rf_pool_options opts = {.limit = MIB};
    rf_pool *pool = pool_of(&opts);
    (void)state;
    char *a = get(pool, 100), *b = get(pool, 64);
    assert_false(__asan_address_is_poisoned(a + 99));
    assert_true(__asan_address_is_poisoned(a + 104));
    rf_pool_put(pool, a, 100);
    assert_true(__asan_address_is_poisoned(a));
    assert_false(__asan_address_is_poisoned(b));
    assert_ptr_equal(get(pool, 128), a);
    assert_false(__asan_address_is_poisoned(a + 127));
    rf_pool_destroy(pool);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_fit_and_coalescing),
        cmocka_unit_test(test_what_is_too_large_is_refused),
        cmocka_unit_test(test_planned_blocks_lie_where_the_plan_says),
        cmocka_unit_test(test_a_place_that_is_taken_is_not_used),
        cmocka_unit_test(test_the_sequence_is_found_again),
        cmocka_unit_test(test_planned_blocks_of_the_rest),
        cmocka_unit_test(test_bad_plans_are_refused),
        cmocka_unit_test(test_no_more_is_kept_than_the_limit),
        cmocka_unit_test(test_more_in_use_than_the_limit),
        cmocka_unit_test(test_the_rest_goes_before_the_arena),
        cmocka_unit_test(test_without_a_limit_what_was_in_use_is_kept),
        cmocka_unit_test(test_no_faults_after_the_first_step),
        cmocka_unit_test(test_the_systems_limit_is_an_answer),
        cmocka_unit_test(test_each_allocation_fails_once),
        cmocka_unit_test(test_a_random_life),
#if defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(test_free_ranges_are_poisoned),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
