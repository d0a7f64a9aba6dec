/* sample.c: see sample.h. */
#include "support/sample.h"

#include <stdlib.h>
#include <string.h>

/* A small generator of its own: the library's is under test. */
static double sample_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-53;
}

static rf_tensor *sample_input(rf_scope *s, const rf_op_sample_input *in, rf_dtype dtype,
                               uint64_t *state)
{
    int64_t n = 1;
    for (size_t i = 0; i < in->rank; i++)
        n *= in->dims[i];
    double *host = malloc((size_t)n * sizeof *host + 8);
    int64_t *ids = (int64_t *)(void *)host;
    for (int64_t i = 0; i < n; i++) {
        double x = in->low + (in->high - in->low) * sample_next(state);
        if (in->integer)
            ids[i] = (int64_t)x;
        else
            host[i] = x;
    }
    rf_tensor *t = rf_tensor_copy_in(s, in->integer ? RF_I64 : RF_F64, in->rank, in->dims, host);
    free(host);
    if (!in->integer)
        t = rf_detach(s, rf_cast(s, t, dtype));
    if (t && !in->integer && rf_tensor_set_requires_grad(t, 1))
        return NULL;
    return t;
}

size_t sample_inputs(rf_scope *s, const rf_op_sample *sample, rf_dtype dtype, rf_tensor **in)
{
    uint64_t state = 42;
    for (size_t i = 0; i < sample->num_in; i++)
        in[i] = sample->in[i].absent ? NULL : sample_input(s, &sample->in[i], dtype, &state);
    return rf_scope_status(s) ? 0 : sample->num_in;
}

rf_status sample_call(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const sample_op *p = payload;
    rf_tensor *handles[RF_MAX_INPUTS];
    rf_values copy = {handles, in->num};
    memcpy(handles, in->v, in->num * sizeof *handles);
    if (p->op->traits & RF_OP_INPLACE) /* a leaf may not change */
        handles[0] = rf_clone(s, handles[0]);
    if (!strcmp(p->op->name, "mul_inplace")) /* dy would need the x that is gone */
        handles[1] = rf_detach(s, handles[1]);
    return rf_op_run(s, p->op, &copy, p->sample->attrs, RF_MAX_ATTRS, out);
}

void *counting_alloc(void *payload, void *old, size_t old_size, size_t size)
{
    counting *c = payload;
    if (!size) {
        c->live -= old != NULL;
        c->live_bytes -= old ? old_size : 0;
        free(old);
        return NULL;
    }
    c->made++;
    if (c->fail_at && c->made >= c->fail_at && c->made < c->fail_at + 2)
        return NULL;
    void *p = aligned_alloc(64, (size + 63) & ~(size_t)63);
    c->live += p != NULL;
    c->live_bytes += p ? size : 0;
    return p;
}
