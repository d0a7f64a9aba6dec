/* test_threads_regions.c: regions on several threads at once. Nothing about a region is the
 * process's: each context has its own stack of regions, settings, counters and generator; and none
 * of it is a thread's, so that a context may be handed from one thread to the next between calls.
 * Run under the thread sanitizer too. */
#include "support/modules.h"

#include <refrain/nn.h>

#include <pthread.h>
#include <time.h>

enum { THREADS = 4, STEPS = 4, DEPTH = 4, WIDTH = 8, ROWS = 4 };

/* ---- what every thread does ---- */

/* Which regions, and how they are run. */
typedef enum job_form {
    FORM_PLAIN,
    FORM_NESTED,      /* modules in modules, each a region          */
    FORM_FUNCTIONS,   /* functions in functions, each a region      */
    FORM_WHOLE_AGAIN, /* nested, and without early stop             */
    FORM_STEPPED,     /* nested, and the step inside the backward   */
    FORMS
} job_form;

typedef struct job {
    int form;
    uint64_t seed;
    pthread_barrier_t *barrier; /* NULL: begin at once */
    rf_context *ctx;
    rf_scope *s;
    rf_module *m;
    rf_optim *optim;
    rf_tensor *loss;
    rf_status status;
    uint64_t hash, executed, offset;
    int wrong_pass; /* how often a part found itself in a pass that it cannot be in */
} job;

/* Let the others go on, so that each is in the midst of what it does while they do theirs. */
static void job_pause(const job *j)
{
    struct timespec little = {0, 50 * 1000};
    if (j->barrier)
        nanosleep(&little, NULL);
}

/* y = dropout(tanh(linear(child(x)))) + x; its self is its job. */
static rf_status part_run(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    job *j = rf_module_self(m);
    rf_module *child = rf_module_find(m, "in");
    rf_pass pass = rf_pass_current(s);
    rf_tensor *x = in->v[0];
    j->wrong_pass += j->form == FORM_PLAIN && pass != RF_PASS_PLAIN;
    j->wrong_pass += j->form != FORM_PLAIN && pass == RF_PASS_PLAIN;
    j->wrong_pass += pass == RF_PASS_RECOMPUTE && !j->loss; /* nobody asked yet */
    uint64_t region = rf_context_region(j->ctx);
    job_pause(j);
    j->wrong_pass += rf_pass_current(s) != pass || rf_context_region(j->ctx) != region;
    if (child)
        x = rf_module_call1(child, s, x);
    x = rf_module_call1(rf_module_find(m, "linear"), s, x);
    x = rf_module_call1(rf_module_find(m, "dropout"), s, rf_tanh(s, x));
    out->v[0] = rf_add(s, x, in->v[0]);
    return rf_scope_status(s);
}

static rf_status part_region(void *payload, rf_scope *s, const rf_values *in, rf_values *out);

/* The same, where the call of a child is a region of its own. */
static rf_status part_call(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    const job *j = rf_module_self(m);
    if (j->form != FORM_FUNCTIONS)
        return part_run(m, s, in, out);
    return rf_checkpoint_call(s, (rf_function){part_region, m, NULL}, in, out, NULL);
}

static rf_status part_region(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    return part_run(payload, s, in, out);
}

static const rf_module_class nest_class = {
    .size = sizeof(rf_module_class), .name = "Nest", .forward = part_call};

static rf_status job_child(rf_module *m, const char *name, rf_module *child, rf_status status)
{
    return status ? status : rf_module_add_child(m, name, child);
}

static rf_status job_model(job *j)
{
    rf_module *m, *child;
    rf_status status = RF_OK;
    for (int i = 0; i < DEPTH && !status; i++) {
        status = rf_module_create(&m, j->ctx, &nest_class, j);
        if (!status)
            status = job_child(m, "linear", child, rf_nn_linear(&child, j->ctx, WIDTH, WIDTH, 0));
        if (!status)
            status = job_child(m, "dropout", child, rf_nn_dropout(&child, j->ctx, 0.3));
        if (!status && j->m)
            status = rf_module_add_child(m, "in", j->m);
        j->m = m;
        if (!status && j->form != FORM_PLAIN && j->form != FORM_FUNCTIONS)
            status = rf_checkpoint(m, NULL);
    }
    return status;
}

static void *job_begin(void *payload)
{
    job *j = payload;
    rf_sgd_options sgd = RF_SGD_OPTIONS_INIT;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = 1;
    opts.seed = j->seed;
    sgd.momentum = 0.9;
    j->status = rf_context_create(&j->ctx, &opts);
    if (!j->status)
        j->status = job_model(j);
    if (!j->status)
        j->status = rf_optim_sgd(&j->optim, j->m, &sgd);
    return NULL;
}

static void *job_forward(void *payload)
{
    job *j = payload;
    float host[ROWS * WIDTH];
    j->loss = NULL;
    if (j->status || (j->status = rf_scope_open(&j->s, j->ctx, NULL)) != RF_OK)
        return NULL;
    for (int i = 0; i < ROWS * WIDTH; i++)
        host[i] = 0.1f * (float)(i % 7) - 0.3f;
    if (j->form == FORM_WHOLE_AGAIN)
        rf_scope_set_early_stop(j->s, 0);
    rf_tensor *x = rf_tensor_copy_in(j->s, RF_F32, 2, (int64_t[]){ROWS, WIDTH}, host);
    j->loss = rf_mean(j->s, rf_module_call1(j->m, j->s, x));
    j->status = rf_scope_status(j->s);
    return NULL;
}

static void *job_backward(void *payload)
{
    job *j = payload;
    if (j->status)
        return NULL;
    if (j->form == FORM_STEPPED) {
        j->status = rf_optim_backward(j->optim, j->s, j->loss, NULL);
    } else {
        j->status = rf_backward(j->s, j->loss);
        if (!j->status)
            j->status = rf_optim_step(j->optim);
        rf_optim_zero_grad(j->optim);
    }
    rf_scope_close(j->s);
    return NULL;
}

static void *job_end(void *payload)
{
    job *j = payload;
    if (!j->status)
        j->status = rf_module_hash(j->m, &j->hash);
    j->executed = rf_op_counts_of(j->ctx, "linear").executed;
    j->offset = rf_context_rng(j->ctx).offset;
    rf_optim_destroy(j->optim);
    rf_module_destroy(j->m);
    rf_context_destroy(j->ctx);
    return NULL;
}

static void *job_run(void *payload)
{
    job *j = payload;
    job_begin(j);
    for (int i = 0; i < STEPS; i++) {
        if (j->barrier) /* all in the same pass at once */
            pthread_barrier_wait(j->barrier);
        job_forward(j);
        if (j->barrier)
            pthread_barrier_wait(j->barrier);
        job_backward(j);
    }
    return job_end(j);
}

/* ---- tests ---- */

static job alone(int form, uint64_t seed)
{
    job j = {.form = form, .seed = seed};
    job_run(&j);
    assert_int_equal(j.status, RF_OK);
    assert_int_equal(j.wrong_pass, 0);
    return j;
}

static void assert_like(const job *j, const job *wanted)
{
    assert_int_equal(j->status, RF_OK);
    assert_int_equal(j->wrong_pass, 0);
    assert_int_equal(j->hash, wanted->hash);
    assert_int_equal(j->offset, wanted->offset);
    if (j->form == wanted->form)
        assert_int_equal(j->executed, wanted->executed);
}

/* X16: each form beside every other, with numbers of its own, all of them in their forwards and
 * then in their recomputes at the same time; what comes out, and how much was computed, is what it
 * is alone. */
static void test_x16_regions_on_several_threads(void **state)
{
    job wanted[FORMS][THREADS], jobs[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t barrier;
    (void)state;
    for (int form = 0; form < FORMS; form++)
        for (int i = 0; i < THREADS; i++) {
            wanted[form][i] = alone(form, 17 + (uint64_t)i);
            assert_like(&wanted[form][i], &wanted[FORM_PLAIN][i]);
        }
    assert_true(wanted[FORM_NESTED][0].executed > wanted[FORM_PLAIN][0].executed);
    assert_int_not_equal(wanted[FORM_PLAIN][0].hash, wanted[FORM_PLAIN][1].hash);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (int first = 0; first < FORMS; first++) {
        for (int i = 0; i < THREADS; i++) {
            jobs[i] =
                (job){.form = (first + i) % FORMS, .seed = 17 + (uint64_t)i, .barrier = &barrier};
            assert_int_equal(pthread_create(&threads[i], NULL, job_run, &jobs[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_like(&jobs[i], &wanted[jobs[i].form][i]);
        }
    }
    pthread_barrier_destroy(&barrier);
}

static void on_a_thread(void *(*run)(void *), job *j)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, j), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* X16: forward on one thread, backward on another, the end on a third. */
static void test_x16_a_context_changes_threads(void **state)
{
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        job wanted = alone(form, 17), j = {.form = form, .seed = 17};
        on_a_thread(job_begin, &j);
        for (int i = 0; i < STEPS; i++) {
            on_a_thread(job_forward, &j);
            on_a_thread(job_backward, &j);
        }
        on_a_thread(job_end, &j);
        assert_like(&j, &wanted);
    }
}

/* A failure in one context is none of the others'. */
static void *job_fail(void *payload)
{
    job *j = payload;
    job_begin(j);
    for (int i = 0; i < STEPS; i++) {
        pthread_barrier_wait(j->barrier);
        job_forward(j);
        pthread_barrier_wait(j->barrier);
        if (j->status)
            continue;
        rf_module_train(j->m, i % 2); /* the recompute would run something else */
        j->wrong_pass += rf_backward(j->s, j->loss) != (i % 2 ? RF_OK : RF_E_MUTATED);
        rf_module_train(j->m, 1);
        rf_scope_close(j->s);
    }
    return job_end(j);
}

static void test_x16_failures_stay_in_their_context(void **state)
{
    job wanted = alone(FORM_NESTED, 17), jobs[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t barrier;
    (void)state;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){.form = FORM_NESTED, .seed = 17, .barrier = &barrier};
        assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? job_fail : job_run, &jobs[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (i % 2 == 0)
            assert_like(&jobs[i], &wanted);
        assert_int_equal(jobs[i].wrong_pass, 0);
    }
    pthread_barrier_destroy(&barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_x16_regions_on_several_threads),
        cmocka_unit_test(test_x16_a_context_changes_threads),
        cmocka_unit_test(test_x16_failures_stay_in_their_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
