/* sample.h: what tests that walk the table of ops share: inputs made from a sample. */
#ifndef TEST_SAMPLE_H
#define TEST_SAMPLE_H

#include <refrain/refrain.h>

/* Fill `in` (RF_MAX_INPUTS handles) with tensors of the sample, of the given float type, wanting
 * gradients where they can. Returns how many; 0 with s failed if something went wrong. */
size_t sample_inputs(rf_scope *s, const rf_op_sample *sample, rf_dtype dtype, rf_tensor **in);

/* A function of tensors that runs one op with a sample's attributes. */
typedef struct sample_op {
    const rf_op_class *op;
    const rf_op_sample *sample;
} sample_op;
rf_status sample_call(void *payload, rf_scope *s, const rf_values *in, rf_values *out);

/* An allocator that counts what is alive, and fails the k-th allocation (0: none) and the next one:
 * the library gives back what it keeps for later and tries once more. */
typedef struct counting {
    uint64_t made, fail_at;
    uint64_t live, live_bytes;
} counting;
void *counting_alloc(void *payload, void *old, size_t old_size, size_t size);

/* Stop with the context's error if status is none. */
#define assert_ok(ctx, expression)                                       \
    do {                                                                 \
        rf_status status_ = (expression);                                \
        if (status_)                                                     \
            fail_msg("%s: %s: %s", #expression, rf_status_name(status_), \
                     rf_context_error(ctx)->message);                    \
    } while (0)

#endif
