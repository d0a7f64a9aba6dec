/* memory.h: the ledger. Every byte that a context holds is entered here by device and class, and
 * leaves the moment its last user is done. The figures are exact, not sampled. A tensor of at most
 * 64 bytes lies in bookkeeping that is there already: its bytes change from RF_MEM_OTHER to its own
 * class, and RF_MEM_ALL stays. */
#ifndef REFRAIN_MEMORY_H
#define REFRAIN_MEMORY_H

#include <refrain/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What bytes are held for. */
typedef enum rf_mem_class {
    RF_MEM_ALL,        /* the sum of all the others                                     */
    RF_MEM_PARAM,      /* parameters and buffers of modules                             */
    RF_MEM_GRAD,       /* gradients of parameters                                       */
    RF_MEM_OPTIM,      /* optimiser state                                               */
    RF_MEM_ACTIVATION, /* results of ops, and gradients on their way through a backward */
    RF_MEM_WORKSPACE,  /* scratch space of one kernel                                   */
    RF_MEM_COMM,       /* buffers of collectives                                        */
    RF_MEM_OTHER,      /* the library's own bookkeeping: handles, graph nodes, modules  */
    RF_MEM_BORROWED,   /* callers' buffers wrapped by rf_tensor_borrow; not in ALL      */
    RF_MEM_CLASSES
} rf_mem_class;

/* "activation"; "unknown" for a number that is no class. */
RF_API const char *rf_mem_class_name(rf_mem_class cls);

/* The figures of a class on a device. */
typedef struct rf_memory_info {
    uint64_t used;        /* bytes held now                                              */
    uint64_t peak;        /* the most held at once since the context began or a reset    */
    uint64_t limit;       /* 0: none                                                     */
    uint64_t allocations; /* how often bytes were entered                                */
} rf_memory_info;

/* A device is a small number: the processor, or shapes without bytes, or a registered one. HOST and
 * FILE are no devices that tensors live on but tiers: where values wait that a policy sent away
 * (RF_FATE_HOST, RF_FATE_FILE), and moments of optimisers. They have figures and limits like the
 * others. */
typedef enum rf_device {
    RF_DEVICE_CPU = 0,
    RF_DEVICE_META = 1,
    RF_DEVICE_HOST = 2,
    RF_DEVICE_FILE = 3
} rf_device;

/* The figures as they are now. */
RF_API RF_MUST_USE rf_status rf_memory_get(rf_context *ctx, rf_device device, rf_mem_class cls,
                                           rf_memory_info *out);

/* Set a hard limit for a class of a device, RF_MEM_ALL for its total; 0 lifts it. What would pass
 * it fails with RF_E_BUDGET (bytes_wanted, bytes_free and limit are in rf_error) and changes
 * nothing: the context goes on. A limit below what is held now is accepted and refuses all
 * further bytes. */
RF_API RF_MUST_USE rf_status rf_memory_set_limit(rf_context *ctx, rf_device device,
                                                 rf_mem_class cls, uint64_t bytes);

/* Let every peak begin again at what is held now. Marks keep their own peaks. */
RF_API void rf_memory_reset_peak(rf_context *ctx);

/* A mark remembers the ledger of a moment (owned). Marks nest in any order. */
typedef struct rf_memory_mark rf_memory_mark;
/* What changed since a mark. */
typedef struct rf_memory_change {
    int64_t live; /* bytes held now minus bytes held at the mark; may be negative   */
    int64_t peak; /* the most held since the mark, minus bytes held at the mark     */
} rf_memory_change;

/* Begin and end a mark; what changed in a class since it was made. */
RF_API RF_MUST_USE rf_status rf_memory_mark_create(rf_memory_mark **out, rf_context *ctx);
RF_API void rf_memory_mark_destroy(rf_memory_mark *mark);
RF_API RF_MUST_USE rf_status rf_memory_delta(const rf_memory_mark *mark, rf_device device,
                                             rf_mem_class cls, rf_memory_change *out);

#ifdef __cplusplus
}
#endif
#endif
