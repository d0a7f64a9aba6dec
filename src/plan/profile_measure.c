/* profile_measure.c: running the kernels of calls that were noted. See profile.h.
 *
 * The tensors of one call are alive at a time. They are entered in the ledger like all others, as
 * work space, so no limit is passed: a call that does not fit keeps the model's cost. Kernels are
 * called as rf_op_compute calls them but for what it tells, counts and records.
 *
 * Values: floats in [1/4, 1), which is in the domain of every op and stays far from denormal
 * numbers in the few runs of an op in place; indices are spread over what the op says they may be;
 * other integers are zero.
 *
 * Caches: in a step, what a kernel reads and writes was last touched some ops ago, and run after
 * run on the same few tensors would find large ones closer than they will be (elementwise kernels
 * of 12 MB: twice as fast). So each run begins with a sweep over other memory, of a few times the
 * call's own bytes: that leaves small tensors as near as a step would, and large ones as far.
 */
#include "plan/profile.h"
#include "base/clock.h"
#include "base/check.h"
#include "base/sort.h"
#include "kernel/reference.h"
#include "tensor/context_struct.h"

#include <string.h>

/* A kernel is run once to warm up, then until it took MEASURE_SECONDS together or ran MEASURE_RUNS
 * times. One that takes so long at once was warm for the most part. */
#define MEASURE_SECONDS 0.25
enum {
    MEASURE_RUNS = 5,
    MEASURE_PATTERN = 1021,
    MEASURE_SWEEP = 8, /* times the call's bytes, but at most: */
    MEASURE_SWEEP_MOST = 32 << 20,
    MEASURE_VIEWS = RF_MAX_INPUTS + RF_MAX_OUTPUTS
};

/* ---- bytes ---- */

/* The storages of one call. */
typedef struct measure_room {
    rf_context *ctx;
    uint64_t left;  /* bytes that may still be taken */
    uint64_t taken; /* for tensors and work space    */
    rf_storage *storages[MEASURE_VIEWS + 2];
    size_t num;
    rf_view sweep; /* without data: there was no room for it, and caches stay as they are */
} measure_room;

static rf_status measure_storage(measure_room *room, size_t bytes, void **data)
{
    rf_storage **s = &room->storages[room->num];
    if (bytes > room->left)
        return RF_E_BUDGET;
    rf_status status = rf_storage_create(s, room->ctx, RF_DEVICE_CPU, RF_MEM_WORKSPACE, bytes);
    if (status)
        return status;
    room->num++;
    room->left -= bytes;
    room->taken += bytes;
    *data = (*s)->data;
    return bytes && !*data ? RF_E_STATE : RF_OK; /* a run without bytes is under way */
}

/* The elements that a view reaches, before its first and in all. */
static void measure_extent(const rf_view *view, int64_t *before, int64_t *num)
{
    int64_t low = 0, high = 1;
    for (size_t i = 0; i < view->shape.rank; i++) {
        int64_t reach = (view->shape.dims[i] - 1) * view->strides[i];
        if (!view->shape.dims[i])
            low = high = 0;
        if (!view->shape.dims[i])
            break;
        low += reach < 0 ? reach : 0;
        high += reach > 0 ? reach : 0;
    }
    *before = -low;
    *num = high - low;
}

/* Fill num elements with a pattern of a length that is no multiple of any row's. */
static void measure_fill(void *data, const rf_shape *shape, int64_t num, int64_t below)
{
    uint64_t state = 42;
    size_t size = rf_dtype_size((rf_dtype)shape->dtype), bytes = (size_t)num * size;
    size_t done = num < MEASURE_PATTERN ? bytes : MEASURE_PATTERN * size;
    rf_view pattern = {.data = data, .strides = {1}};
    pattern.shape = (rf_shape){.dtype = shape->dtype, .rank = 1, .dims = {MEASURE_PATTERN}};
    int floats = shape->dtype == RF_F32 || shape->dtype == RF_F64 || shape->dtype == RF_BF16;
    for (int64_t i = 0; i < MEASURE_PATTERN && i < num; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        double x = (double)(state >> 11) * 0x1p-53; /* in [0, 1) */
        rf_element_set(&pattern, i,
                       floats ? 0.25 + 0.75 * x : (double)(int64_t)(x * (double)below));
    }
    for (size_t step; done < bytes; done += step) {
        step = done < bytes - done ? done : bytes - done;
        memcpy((char *)data + done, data, step);
    }
}

/* The bytes of a view, written once, so that none of them is new to the process when it runs. */
static rf_status measure_view(measure_room *room, rf_view *view, int64_t below)
{
    int64_t before, num;
    size_t size = rf_dtype_size((rf_dtype)view->shape.dtype), bytes;
    void *data = NULL;
    if (view->shape.dtype == RF_ABSENT)
        return RF_OK;
    measure_extent(view, &before, &num);
    if (!rf_mul_size((size_t)num, size, &bytes))
        return RF_E_BUDGET;
    rf_status status = measure_storage(room, bytes, &data);
    if (status || !data)
        return status;
    measure_fill(data, &view->shape, num, below > 0 ? below : 0);
    view->data = (char *)data + (size_t)before * size;
    view->offset = before;
    return RF_OK;
}

static rf_status measure_tensors(measure_room *room, rf_op_call *call)
{
    const rf_op_class *op = call->op;
    rf_status status = RF_OK;
    for (size_t i = 0; i < call->num_in && !status; i++)
        status = measure_view(room, &call->in[i], op->index_below ? op->index_below(call, i) : 0);
    if (op->traits & RF_OP_INPLACE)
        call->out[0] = call->in[0];
    for (size_t j = op->traits & RF_OP_INPLACE ? 1 : 0; j < call->num_out && !status; j++)
        status = measure_view(room, &call->out[j], 0);
    call->workspace_bytes = !status && op->workspace ? op->workspace(call) : 0;
    if (call->workspace_bytes)
        status = measure_storage(room, call->workspace_bytes, &call->workspace);
    return status;
}

/* What is swept, if there is room for it. */
static void measure_sweep(measure_room *room)
{
    uint64_t bytes = room->taken < MEASURE_SWEEP_MOST / MEASURE_SWEEP ? MEASURE_SWEEP * room->taken
                                                                      : MEASURE_SWEEP_MOST;
    void *data = NULL;
    if (bytes < sizeof(float) || measure_storage(room, (size_t)bytes, &data))
        return;
    room->sweep.shape =
        (rf_shape){.dtype = RF_F32, .rank = 1, .dims = {(int64_t)(bytes / sizeof(float))}};
    rf_view_set_contiguous(&room->sweep);
    room->sweep.data = data;
}

/* ---- runs ---- */

static int measure_order(const void *payload, const void *a, const void *b)
{
    const double *x = a, *y = b;
    (void)payload;
    return (*x > *y) - (*x < *y);
}

static rf_status measure_run(rf_op_call *call, const rf_view *sweep, double *seconds)
{
    rf_exec e = {call->ctx->threads, NULL};
    rf_status status = sweep->data ? call->ctx->kernels->fill(&e, 1, sweep) : RF_OK;
    double begin = rf_seconds();
    if (!status)
        status = call->op->forward(call);
    *seconds = rf_seconds() - begin;
    return status;
}

/* The low quartile: what disturbs a run makes it slower, never faster. */
static rf_status measure_runs(rf_op_call *call, const rf_view *sweep, double *seconds)
{
    double times[MEASURE_RUNS], total = 0;
    size_t num = 0;
    rf_status status = measure_run(call, sweep, seconds); /* warms */
    if (status || *seconds >= MEASURE_SECONDS)
        return status;
    for (; num < MEASURE_RUNS && total < MEASURE_SECONDS && !status; num++) {
        status = measure_run(call, sweep, &times[num]);
        total += times[num];
    }
    rf_sort(times, num, sizeof *times, measure_order, NULL);
    *seconds = times[num / 4];
    return status;
}

rf_status rf_cost_measure_call(rf_context *ctx, const rf_cost_call *c, uint64_t most_bytes,
                               double *seconds)
{
    rf_view in[RF_MAX_INPUTS], out[RF_MAX_OUTPUTS];
    measure_room room = {.ctx = ctx, .left = most_bytes ? most_bytes : UINT64_MAX};
    rf_error_record record = ctx->record;
    uint64_t errors = ctx->errors;
    const char *outer = ctx->op;
    if (c->op->traits & (RF_OP_EFFECT | RF_OP_FORBID))
        return RF_E_UNSUPPORTED;
    for (size_t i = 0; i < c->num_in + c->num_out; i++)
        if (c->views[i].shape.dtype != RF_ABSENT && c->views[i].shape.device > RF_DEVICE_META)
            return RF_E_UNSUPPORTED;
    rf_op_call call = rf_cost_call_open(c, ctx, in, out);
    ctx->op = c->op->name;
    rf_status status = measure_tensors(&room, &call);
    if (!status)
        measure_sweep(&room);
    if (!status)
        status = measure_runs(&call, &room.sweep, seconds);
    while (room.num)
        rf_storage_unref(room.storages[--room.num]);
    ctx->op = outer;
    ctx->record = record;
    ctx->errors = errors;
    return status;
}

/* ---- all that is unknown ---- */

static int measure_dearest(const void *payload, const void *a, const void *b)
{
    const rf_costs *costs = payload;
    const rf_cost *x = &costs->entries[*(const uint32_t *)a].cost;
    const rf_cost *y = &costs->entries[*(const uint32_t *)b].cost;
    double mine = x->seconds * (double)x->count, other = y->seconds * (double)y->count;
    if (mine != other)
        return mine > other ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

static size_t measure_list(const rf_costs *costs, uint32_t *list)
{
    size_t num = 0;
    for (size_t i = 0; i < costs->num; i++)
        if (costs->entries[i].cost.origin == RF_COST_UNKNOWN && costs->entries[i].call)
            list[num++] = (uint32_t)i;
    rf_sort(list, num, sizeof *list, measure_dearest, costs);
    return num;
}

static void measure_entry(rf_costs *costs, rf_cost_entry *entry, rf_context *ctx,
                          uint64_t most_bytes)
{
    double seconds;
    rf_status status = rf_cost_measure_call(ctx, entry->call, most_bytes, &seconds);
    entry->cost.origin = status ? RF_COST_MODEL : RF_COST_MEASURED;
    if (status)
        return;
    entry->cost.seconds = seconds + costs->rates.overhead;
    rf_cost_call_drop(costs, entry);
}

/* Where to measure; NULL: nowhere, and why is recorded. */
static rf_context *measure_context(const rf_costs *costs, const rf_costs_options *o)
{
    rf_context *own = costs->ctx, *ctx = o->ctx ? o->ctx : own;
    const char *why = NULL;
    if (ctx->dry)
        why = "costs can't be measured in a dry run, which has no bytes";
    else if (ctx->threads != own->threads || ctx->kernels != own->kernels)
        why = "costs are measured with other threads or another instruction set than the table's";
    if (why)
        rf_fail(own, RF_E_STATE, "%s", why);
    return why ? NULL : ctx;
}

static rf_status measure_all(rf_costs *costs, rf_context *ctx, const uint32_t *list, size_t num,
                             const rf_costs_options *o)
{
    double end = rf_seconds() + (o->seconds > 0 ? o->seconds : 5);
    rf_status status = RF_OK;
    for (size_t i = 0; i < num && !status && rf_seconds() < end; i++) {
        if (o->progress)
            status = o->progress(o->payload, i, num);
        if (!status)
            measure_entry(costs, &costs->entries[list[i]], ctx, o->bytes);
    }
    return status;
}

rf_status rf_costs_measure(rf_costs *costs, const rf_costs_options *opts)
{
    static const rf_costs_options defaults = RF_COSTS_OPTIONS_INIT;
    const rf_costs_options *o = opts ? opts : &defaults;
    size_t bytes = costs->num * sizeof(uint32_t);
    if (o->size != sizeof *o)
        return rf_fail(costs->ctx, RF_E_ARGUMENT, "costs: options of another size");
    rf_context *ctx = measure_context(costs, o);
    if (!ctx)
        return RF_E_STATE;
    uint32_t *list = bytes ? rf_allocator_get(&costs->alloc, bytes) : NULL;
    if (bytes && !list)
        return rf_fail(costs->ctx, RF_E_MEMORY, "no memory to measure costs");
    rf_status status = list ? measure_all(costs, ctx, list, measure_list(costs, list), o) : RF_OK;
    rf_allocator_put(&costs->alloc, list, bytes);
    return status;
}

void rf_costs_measure_rates(rf_costs *costs, rf_context *ctx)
{
    rf_cost_rates rates = rf_cost_rates_measure(ctx ? ctx : costs->ctx);
    rf_costs_set_rates(costs, &rates);
}
