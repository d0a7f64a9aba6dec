/* test_threads.c: contexts are independent: several on several threads, regions in each, give what
 * they give alone (under the thread sanitizer too, with serial kernels); two contexts with
 * different thread counts in one process keep their results; and a host program's own thread
 * settings stay. */
#include "support/world.h"
#include "support/gpt.h"

#include <pthread.h>
#if defined(RF_HAVE_OPENMP)
#include <omp.h>
#endif

enum { THREADS = 4, STEPS = 3 };

typedef struct job {
    size_t threads;
    int form;
    uint64_t hash;
    rf_status status;
} job;

/* Train a small GPT in a context of its own. */
static void *train(void *payload)
{
    job *j = payload;
    gpt g = {NULL, NULL, 0};
    float loss;
    rf_context *ctx;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = j->threads;
    opts.seed = 11;
    j->status = rf_context_create(&ctx, &opts);
    if (j->status)
        return NULL;
    j->status = gpt_create(&g, ctx, 0.1);
    if (!j->status)
        j->status = gpt_apply(&g, j->form);
    for (uint32_t i = 0; i < STEPS && !j->status; i++)
        j->status = gpt_step(&g, i, &loss);
    if (!j->status)
        j->status = rf_module_hash(g.model, &j->hash);
    gpt_destroy(&g);
    rf_context_destroy(ctx);
    return NULL;
}

static uint64_t alone(size_t threads)
{
    job j = {.threads = threads, .form = GPT_PLAIN};
    train(&j);
    assert_int_equal(j.status, RF_OK);
    return j.hash;
}

static void test_contexts_on_threads(void **state)
{
    static const int forms[THREADS] = {GPT_PLAIN, GPT_BLOCK, GPT_NESTED, GPT_SEQUENTIAL + 2};
    pthread_t threads[THREADS];
    job jobs[THREADS];
    uint64_t wanted = alone(1);
    (void)state;
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){.threads = 1, .form = forms[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, train, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].status, RF_OK);
        assert_int_equal(jobs[i].hash, wanted);
    }
}

/* One context with one thread and one with two, their steps in turn. */
static void test_two_thread_counts_in_one_process(void **state)
{
    uint64_t wanted[2] = {alone(1), alone(2)}, hash;
    rf_context *ctx[2];
    gpt g[2];
    float loss;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.threads = i + 1;
        opts.seed = 11;
        assert_int_equal(rf_context_create(&ctx[i], &opts), RF_OK);
        assert_ok(ctx[i], gpt_create(&g[i], ctx[i], 0.1));
    }
    for (uint32_t n = 0; n < STEPS; n++)
        for (size_t i = 0; i < 2; i++)
            assert_ok(ctx[i], gpt_step(&g[i], n, &loss));
    for (size_t i = 0; i < 2; i++) {
        assert_ok(ctx[i], rf_module_hash(g[i].model, &hash));
        assert_int_equal(hash, wanted[i]);
        gpt_destroy(&g[i]);
        rf_context_destroy(ctx[i]);
    }
}

/* A host program that uses OpenMP: its setting, and what it computes with it, stay. */
static void test_a_host_with_openmp(void **state)
{
    (void)state;
#if defined(RF_HAVE_OPENMP)
    enum { N = 1000 };
    static double before[N], after[N];
    for (int count = 1; count <= 3; count++) {
        omp_set_num_threads(count);
#pragma omp parallel for
        for (int i = 0; i < N; i++)
            before[i] = i * 0.1 + omp_get_num_threads();
        uint64_t one = alone(1), two = alone(2);
        assert_int_equal(omp_get_max_threads(), count);
#pragma omp parallel for
        for (int i = 0; i < N; i++)
            after[i] = i * 0.1 + omp_get_num_threads();
        assert_memory_equal(before, after, sizeof before);
        omp_set_num_threads(4 - count); /* and ours do not depend on it */
        assert_int_equal(alone(1), one);
        assert_int_equal(alone(2), two);
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contexts_on_threads),
        cmocka_unit_test(test_two_thread_counts_in_one_process),
        cmocka_unit_test(test_a_host_with_openmp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
