/* learner.c: see learner.h. */
#include "support/learner.h"

learner learner_new(const rf_context_options *context, const rf_gpt2_options *sizes,
                    const rf_adamw_options *adamw)
{
    learner l = {.batch = 0};
    assert_int_equal(rf_context_create(&l.ctx, context), RF_OK);
    assert_ok(l.ctx, rf_nn_gpt2(&l.model, l.ctx, sizes));
    assert_ok(l.ctx, rf_optim_adamw(&l.optim, l.model, adamw));
    return l;
}

void learner_end(learner *l)
{
    rf_optim_destroy(l->optim);
    rf_module_destroy(l->model);
    rf_context_destroy(l->ctx);
}

rf_status learner_step(void *payload)
{
    learner *l = payload;
    int32_t ids[LEARNER_ROWS * LEARNER_CONTEXT + 1];
    int64_t dims[2] = {LEARNER_ROWS, LEARNER_CONTEXT};
    rf_gpt2_options sizes;
    rf_scope *s;
    rf_tensor *in[2], *loss = NULL;
    rf_status status = rf_nn_gpt2_options_of(l->model, &sizes);
    if (!status)
        status = rf_scope_open(&s, l->ctx, NULL);
    if (status)
        return status;
    for (int32_t i = 0; i < LEARNER_ROWS * LEARNER_CONTEXT + 1; i++)
        ids[i] = (i * 977 + l->batch) % (int32_t)sizes.vocab;
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    status = rf_module_call(l->model, s, &(rf_values){in, 2}, &(rf_values){&loss, 1});
    if (!status)
        status = rf_optim_backward(l->optim, s, loss, NULL);
    rf_scope_close(s);
    return status;
}

uint64_t learner_peak(const learner *l, rf_device device)
{
    rf_memory_info info;
    assert_ok(l->ctx, rf_memory_get(l->ctx, device, RF_MEM_ALL, &info));
    return info.peak;
}

uint64_t learner_run(learner *l, uint64_t *hash)
{
    rf_memory_reset_peak(l->ctx);
    for (int i = 0; i < 3; i++) {
        l->batch++;
        assert_ok(l->ctx, learner_step(l));
    }
    if (hash)
        assert_ok(l->ctx, rf_module_hash(l->model, hash));
    return learner_peak(l, RF_DEVICE_CPU);
}
