/* context_struct.h: the context itself. Only the layers from tensor to remat look inside. */
#ifndef RF_TENSOR_CONTEXT_STRUCT_H
#define RF_TENSOR_CONTEXT_STRUCT_H

#include "base/alloc.h"
#include "base/slab.h"
#include "dev/device.h"
#include "kernel/kernel.h"
#include "mem/ledger.h"
#include "mem/pool.h"
#include "mem/recycle.h"
#include "tensor/context.h"

#include <refrain/trace.h>

enum { RF_ERROR_MESSAGE = 512, RF_ERROR_PATH = 256 };

typedef struct rf_error_record {
    rf_error error;
    char message[RF_ERROR_MESSAGE];
    char op[64];
    char path[RF_ERROR_PATH];
} rf_error_record;

enum { RF_TALLIES = 256 };
typedef struct rf_op_tally {
    const rf_op_class *op;
    rf_op_counts counts;
} rf_op_tally;

/* Who is told of events. */
typedef struct rf_tracer {
    rf_trace_fn fn; /* NULL: nobody */
    void *payload;
    uint64_t number; /* of the latest event    */
    double origin;   /* when the trace was set */
} rf_tracer;

/* What grad and remat keep in a context. */
typedef struct rf_storage rf_storage;
typedef struct rf_run rf_run; /* a backward that is under way (grad/engine.h)   */
typedef struct rf_backward_group rf_backward_group; /* see grad/closer.c */
typedef struct rf_saved_entry rf_saved_entry;       /* hooks on saved values (tensor/scope.h) */
typedef struct rf_keeper rf_keeper;   /* a region whose function runs (grad/slot.h)     */
typedef struct rf_pending rf_pending; /* an op that waits to be computed (op/pending.h) */

struct rf_context {
    rf_allocator alloc;
    rf_ledger ledger;
    rf_recycle recycle; /* of the processor; empty with a pool       */
    rf_pool *pool;      /* of the processor's storages: pooled.h; NULL: none */
    uint64_t pool_bytes;
    rf_slab slab;
    const rf_device_class *devices[RF_MAX_DEVICES];
    rf_error_record record;
    uint64_t errors; /* recorded so far */
    rf_log_fn log;
    void *log_payload;
    rf_tracer trace;

    const rf_kernels *kernels;
    size_t threads;
    rf_rng rng;

    const char *op;     /* the op that runs now, for errors    */
    const void *module; /* the module that runs now, likewise  */
    rf_path_writer path_writer;
    rf_param_finder param_finder; /* NULL: no module was made yet */

    uint64_t storage_clock;
    uint64_t block_clock;        /* blocks that storages asked of the processor */
    struct rf_block_log *blocks; /* who notes them: blocks.h; NULL: nobody      */

    uint64_t node_clock;   /* order of recording             */
    uint64_t run_clock;    /* number of the latest backward  */
    uint64_t region_clock; /* number of the latest activation */
    uint64_t region;       /* the activation that runs now; 0: none */
    uint64_t region_begin; /* the clock of the first node of the outermost activation */
    uint64_t live_frames;  /* regions that may run again */
    uint64_t frames_begin; /* the clock of the first node that any of them can have */
    rf_keeper *keeper;
    rf_run *run;
    rf_backward_group *group;                 /* that is open; NULL: none */
    rf_status (*before_write)(rf_storage *s); /* the guard's; NULL: none */
    struct rf_mutation_guard *guard;          /* likewise: grad/guard.c */
    int defer;                                /* ops are noted, and computed when asked for */
    rf_pending *pending_first, *pending_last;
    rf_pending *pending_dead; /* waiting to be ended, so that no chain of them recurses */
    int pending_burying;
    void *graveyard; /* graph nodes that wait to be ended, so that no chain of them recurses */
    int burying;
    rf_retired *retired;
    uint64_t live_nodes; /* graph nodes alive */
    uint64_t live_handles;
    struct rf_mismatch *mismatch; /* the last one: remat/trail.c */
    void (*mismatch_end)(rf_context *ctx);
    struct rf_costs *costs; /* what was measured for plans: plan/create.c */
    void (*costs_end)(rf_context *ctx);
    struct rf_tiers *tiers; /* tensor/tiered.c; NULL until a value is sent away */
    char *spill_folder;
    int dry;                /* no bytes, no kernels: tensor/dry.h                    */
    double dry_seconds;     /* what the ops of a dry run would have taken            */
    struct rf_dry *dry_run; /* dry for a while: what is restored then; NULL: for good */
    double (*cost)(void *payload, const rf_op_call *call); /* seconds; NULL: none */
    void *cost_payload;
    double cost_byte,
        cost_file; /* seconds a byte: touched outside of ops, moved to or from a file */
    double recompute_seconds;
    int recompute_depth;

    const rf_op_class **ops; /* registered by users */
    size_t num_ops, cap_ops;
    rf_op_tally tally[RF_TALLIES]; /* open addressing by op */
};

#endif
