/* profile.h: the inside of rf_costs (refrain/costs.h): what the executions of ops cost, in seconds,
 * on this machine with this context.
 *
 * A predictor listens to a step (a dry run, or a real one) and hands every call to rf_costs_note,
 * which gives the key of its cost. A key that nobody measured is remembered with the call's shapes;
 * rf_costs_measure then makes inputs of those shapes and runs the kernels. Until then, and where
 * there is no room or time for it, a cost is the model's.
 *
 * Invariants:
 *   - A key is the hash of a text that says all that the time of a kernel depends on but the
 *     machine, the threads and the instruction set; those are the table's, as a whole.
 *   - rf_costs_note and rf_costs_of touch nothing of a context: they may be called from a trace,
 *     inside of what allocates. Their memory comes from the allocator beside the ledger, so a table
 *     changes no figure of the run that it listens to.
 *   - Measuring leaves the context as it was: ledger (but for its peaks), generator, error,
 * tensors.
 *
 * Forward, backward and recomputing all run through rf_op_compute, gradients' accumulation too.
 * What does not is told by no event of an op: the optimiser's kernels and copies between tiers,
 * which a dry run counts by their bytes (rf_context_spend), and the bookkeeping of an op, for which
 * every cost, measured or not, has the rates' overhead in it.
 */
#ifndef RF_PLAN_PROFILE_H
#define RF_PLAN_PROFILE_H

#include "op/op.h"

#include <refrain/costs.h>

/* A text is never longer: RF_COST_NAME of a name, 20 views of 8 axes, the attributes. */
enum { RF_COST_TEXT = 8192, RF_COST_NAME = 256 };

/* ---- keys ---- */

/* The key of a call, and its text if there is a buffer of RF_COST_TEXT bytes for it:
 *   "linear f32(8,16) f32(4,16) - > f32(8,4)"
 * the op; its inputs, "-" where absent, with strides "[1,16]" where they are not row-major; its
 * outputs; the attributes' bytes in hexadecimal, without the zeros at their end, if there are any.
 * The device is no part of it: shapes on meta stand for the processor's. */
uint64_t rf_cost_key(const rf_op_call *call, char *text);
uint64_t rf_cost_key_of_text(const char *text, size_t len);

/* ---- the model ---- */

/* seconds = the larger of flops / flop_rate and bytes / byte_rate, and the overhead. */
typedef struct rf_cost_rates {
    double flop_rate; /* multiplications and additions a second, all threads together */
    double byte_rate; /* bytes read and written a second                              */
    double overhead;  /* seconds of a call that does nothing                          */
} rf_cost_rates;

/* A thread of a processor of about 2020: 2 GFLOP/s in products with portable code, 50 with avx2,
 * 100 with avx512; 10 GB/s; a microsecond for handles and the way through the layers. */
#define RF_COST_FLOP_RATE_PORTABLE 2e9
#define RF_COST_FLOP_RATE_AVX2     50e9
#define RF_COST_FLOP_RATE_AVX512   100e9
#define RF_COST_BYTE_RATE          10e9
/* A file past the page cache, on a disk of such a machine: 1 GB/s. */
#define RF_COST_FILE_RATE 1e9
#define RF_COST_OVERHEAD  1e-6

rf_cost_rates rf_cost_rates_default(const rf_context *ctx);
/* The same of this machine, from a product and a sum that together take a few milliseconds; the
 * defaults where there is no room for them. */
rf_cost_rates rf_cost_rates_measure(rf_context *ctx);
double rf_cost_model(const rf_cost_rates *rates, const rf_op_call *call);

/* ---- the table ---- */

/* Where a cost comes from. */
typedef enum rf_cost_origin {
    RF_COST_UNKNOWN, /* the model, until it is measured                  */
    RF_COST_MODEL,   /* the model, for it can't be measured              */
    RF_COST_MEASURED /* a kernel that ran here, or the file of an earlier */
} rf_cost_origin;

typedef struct rf_cost {
    uint64_t key;
    const char *text;
    double seconds;
    uint64_t count; /* how often it was noted */
    rf_cost_origin origin;
} rf_cost;

/* Rates for the model from now on; costs that came from the old ones change too. */
void rf_costs_set_rates(rf_costs *costs, const rf_cost_rates *rates);

/* Remember an execution, and give its key; 0: it costs nothing (a view), or there was no memory. */
uint64_t rf_costs_note(rf_costs *costs, const rf_op_call *call);
/* The seconds of a key, as far as they are known now; 0 for a key that was never noted or put. */
double rf_costs_seconds(const rf_costs *costs, uint64_t key);
/* Both; of an op that says between what its calls lie, of those. */
double rf_costs_of(rf_costs *costs, const rf_op_call *call);
/* RF_E_MEMORY if an execution could not be remembered since the table began. */
rf_status rf_costs_status(const rf_costs *costs);

/* The sum over all that was noted, and forgetting how often each was. */
double rf_costs_total(const rf_costs *costs);
void rf_costs_reset_counts(rf_costs *costs);
/* How many keys of an origin there are. */
size_t rf_costs_num(const rf_costs *costs, rf_cost_origin origin);
/* Put a measured cost; text is copied. RF_E_MEMORY is not recorded in a context. */
rf_status rf_costs_put(rf_costs *costs, const char *text, double seconds);
/* The same, unless this key's is measured already. */
rf_status rf_costs_put_absent(rf_costs *costs, const char *text, double seconds);
/* Entry number index in no particular order, below rf_costs_size. */
size_t rf_costs_size(const rf_costs *costs);
rf_cost rf_costs_at(const rf_costs *costs, size_t index);

/* ---- dry runs ---- */

/* What the dry runs of a context are timed by: seconds of a call, of a byte touched outside of ops,
 * of a byte moved to or from a file. */
typedef struct rf_cost_clock {
    double (*cost)(void *payload, const rf_op_call *call);
    void *payload;
    double byte, file;
} rf_cost_clock;
/* By a table, which notes each call. Set one, and get the one before. */
rf_cost_clock rf_cost_clock_by(rf_costs *costs);
rf_cost_clock rf_cost_clock_set(rf_context *ctx, rf_cost_clock clock);

/* ---- inside of profile*.c ---- */

/* A call without its bytes. */
typedef struct rf_cost_call {
    const rf_op_class *op;
    uint32_t num_in, num_out;
    unsigned char attrs[RF_MAX_ATTRS];
    rf_view *views; /* inputs, then outputs */
} rf_cost_call;

typedef struct rf_cost_entry {
    rf_cost cost;
    rf_cost_call *call; /* NULL: from a file, and not noted yet */
    size_t text_bytes;
} rf_cost_entry;

struct rf_costs {
    rf_context *ctx;
    rf_allocator alloc;
    rf_cost_rates rates;
    rf_cost_entry *entries; /* in the order of their coming */
    size_t num, capacity;
    uint32_t *places; /* index of an entry plus one by its key; 0: none */
    size_t num_places;
    rf_status status;
};

/* The call itself on the processor, with views in room for them, whose data is NULL. */
rf_op_call rf_cost_call_open(const rf_cost_call *c, rf_context *ctx, rf_view *in, rf_view *out);
/* Free it where a table made it. */
void rf_cost_call_drop(rf_costs *costs, rf_cost_entry *entry);
/* Seconds of one call; whatever stands against measuring it is returned and not recorded. */
rf_status rf_cost_measure_call(rf_context *ctx, const rf_cost_call *c, uint64_t most_bytes,
                               double *seconds);

#endif
