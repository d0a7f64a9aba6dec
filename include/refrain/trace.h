/* trace.h: what happens in a context, event by event, told to a callback: bytes that come and go,
 * kernels that run, regions that run and run again. Nothing is kept, and while no callback is set
 * the whole of it costs one branch. explain.h is made of it. */
#ifndef REFRAIN_TRACE_H
#define REFRAIN_TRACE_H

#include <refrain/memory.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an event tells of. */
typedef enum rf_event_kind {
    RF_EVENT_MEMORY, /* bytes entered the ledger or left it; a change of class is both        */
    RF_EVENT_OP,     /* a kernel ran (on the meta device: would have run)                     */
    RF_EVENT_REGION, /* a region's function returned, the first time or again                 */
    RF_EVENT_COPY,   /* bytes moved between tiers of memory                                   */
    RF_EVENT_KINDS
} rf_event_kind;

/* What the context was at. */
typedef enum rf_phase {
    RF_PHASE_OTHER,     /* none of these: an optimiser's step, code outside of ops             */
    RF_PHASE_FORWARD,   /* a module, a region or an op runs, outside of any backward           */
    RF_PHASE_RECOMPUTE, /* values that a region gave back are computed again                   */
    RF_PHASE_BACKWARD,  /* a backward is under way, and does not recompute                     */
    RF_PHASES
} rf_phase;

/* "recompute"; "unknown" for a number that is no phase. */
RF_API const char *rf_phase_name(rf_phase phase);

/* One event. Texts are never NULL ("" where there is nothing to say), and with the event itself
 * they are valid during the callback only. What a kind of event does not tell is zero. */
typedef struct rf_event {
    size_t size;
    rf_event_kind kind;
    uint64_t number;   /* 1 for the first since the trace was set                              */
    double begin, end; /* seconds since then on a clock that only goes forward                 */
    int pass;          /* an rf_pass: in a region, in one that runs again, or in none          */
    rf_phase phase;
    const char *op;    /* that ran, or that asked for the bytes                                */
    const char *path;  /* of the module that ran                                               */
    const char *label; /* REGION: from its options                                             */
    uint64_t region;   /* number of the run of a region that it belongs to; 0: none. A REGION's
                          own. Each run has a new one                                          */
    rf_device device;
    rf_mem_class cls; /* MEMORY, COPY                                                         */
    int64_t bytes;    /* MEMORY: entered, or negative: left. COPY: moved to a tier, or
                         negative: back                                                       */
    uint64_t storage; /* MEMORY: number of the storage; 0: bookkeeping, or away in a tier.
                         COPY: of the storage that was sent                                    */
    double flops;     /* OP: by its cost                                                      */
    double moved;     /* OP: bytes read and written, by its cost                              */
    uint64_t kept;    /* REGION, first time: bytes that its slots keep, parameters left out   */
    uint64_t avoided; /* REGION, first time: bytes that a plain run would have kept and it does
                         not. Its results are left out: what becomes of them is decided outside */
    rf_status status; /* OP, REGION: how it ended                                             */
    const struct rf_op_call *call; /* OP: what ran (extend.h), else NULL                      */
} rf_event;

/* Told of every event, in order. It must not run ops, call modules or change the context: it is
 * called from inside of what does. Allocating in the context is changing it. */
typedef void (*rf_trace_fn)(void *payload, const rf_event *event);

/* Tell fn from now on; NULL: nobody. Replaces what was set; numbers and the clock begin again. */
RF_API void rf_trace_set(rf_context *ctx, rf_trace_fn fn, void *payload);
/* Whether somebody is told. */
RF_API int rf_trace_is_set(const rf_context *ctx);

#ifdef __cplusplus
}
#endif
#endif
