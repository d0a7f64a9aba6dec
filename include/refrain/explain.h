/* explain.h: where the bytes and the time of a run go. Watch a step, or some, then ask:
 *
 *     rf_explain *e;
 *     rf_explain_create(&e, ctx);
 *     ... a step ...
 *     rf_explain_stop(e);
 *     rf_explain_text(e, sink);
 *
 * It tells, for each region, the bytes that it keeps, the bytes that it spares, and what that costs
 * in kernels, FLOPs and seconds; and what bounds the peak: all that was held at the moment of the
 * most bytes, by class, module and op, which adds up to the peak exactly.
 *
 * The processor's bytes are watched. What it needs for itself comes from the context's allocator
 * and is not entered in the ledger: watching does not change what is watched.
 */
#ifndef REFRAIN_EXPLAIN_H
#define REFRAIN_EXPLAIN_H

#include <refrain/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A watch, and what it has seen. */
typedef struct rf_explain rf_explain;

/* Watch ctx from now on (owned; end it before the context). Peaks of the context begin again.
 * RF_E_STATE if a trace is set already, which this is one of. */
RF_API RF_MUST_USE rf_status rf_explain_create(rf_explain **out, rf_context *ctx);
/* Watch no longer; what was seen stays. Once more does nothing. */
RF_API void rf_explain_stop(rf_explain *e);
/* Stop, and forget all. NULL is fine. */
RF_API void rf_explain_destroy(rf_explain *e);
/* RF_E_MEMORY if there was too little for all that was to be noted; what is told is then not whole.
 */
RF_API rf_status rf_explain_status(const rf_explain *e);

/* ---- what was seen: to be asked for after rf_explain_stop ------------------------------------ */
/* Regions of one module path and label, together. */
typedef struct rf_explain_region {
    const char *path;       /* of the module; "" outside of modules (borrowed)                 */
    const char *label;      /* "" without one (borrowed)                                       */
    uint64_t calls;         /* runs of the function in a forward                               */
    uint64_t runs_again;    /* and in recomputes                                               */
    uint64_t kept;          /* bytes its slots kept, of all calls; parameters left out         */
    uint64_t avoided;       /* bytes that a plain run would have kept and it did not           */
    uint64_t kernels_again; /* run in recomputes                                               */
    double flops_again;     /* of those                                                        */
    double seconds_again;   /* that those took                                                 */
} rf_explain_region;
/* How many there are, in order of their first run; one of them. */
RF_API size_t rf_explain_num_regions(const rf_explain *e);
RF_API rf_explain_region rf_explain_region_at(const rf_explain *e, size_t index);

/* All of it together. */
typedef struct rf_explain_totals {
    double seconds;           /* watched                                                       */
    double recompute_seconds; /* spent on recomputes, counted once, bookkeeping included       */
    uint64_t kernels, kernels_again;
    double flops, flops_again;
    uint64_t kept, avoided;
    uint64_t peak; /* the most bytes held at once, RF_MEM_ALL                                  */
    double peak_seconds;
    rf_phase peak_phase;
    const char *peak_op, *peak_path; /* what asked for the bytes that made it (borrowed)       */
    uint64_t limit; /* of RF_MEM_ALL when the watch began; 0: none                             */
} rf_explain_totals;
RF_API rf_explain_totals rf_explain_total(const rf_explain *e);

/* Bytes that were held at the peak for one class, module and op. What was held before the watch
 * began has neither. */
typedef struct rf_explain_live {
    rf_mem_class cls;
    const char *path; /* of the module that ran when they were entered (borrowed)              */
    const char *op;   /* that made them (borrowed)                                             */
    int before;       /* held before the watch began                                           */
    uint64_t num;     /* storages; 0 where they were not counted                               */
    uint64_t bytes;
} rf_explain_live;
/* How many there are, most bytes first; one of them. Their sum is the peak. */
RF_API size_t rf_explain_num_live(const rf_explain *e);
RF_API rf_explain_live rf_explain_live_at(const rf_explain *e, size_t index);

/* A moment: what was held by class. */
typedef struct rf_explain_point {
    double seconds;
    rf_phase phase;
    uint64_t bytes[RF_MEM_CLASSES];
} rf_explain_point;
/* The time line, at most some 2000 points; of what lies between two, the one with the most bytes is
 * told, so that no peak is lost. */
RF_API size_t rf_explain_num_points(const rf_explain *e);
RF_API rf_explain_point rf_explain_point_at(const rf_explain *e, size_t index);

/* ---- telling it ------------------------------------------------------------------------------ */
/* Where text goes: a piece at a time; a failure ends it and is returned. */
typedef struct rf_write {
    rf_status (*write)(void *payload, const void *bytes, size_t num);
    void *payload;
} rf_write;
/* As lines for people, and as one JSON object with all that the functions above tell. RF_E_STATE
 * while it watches. */
RF_API RF_MUST_USE rf_status rf_explain_text(const rf_explain *e, rf_write sink);
RF_API RF_MUST_USE rf_status rf_explain_json(const rf_explain *e, rf_write sink);

#ifdef __cplusplus
}
#endif
#endif
