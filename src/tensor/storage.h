/* storage.h: counted bytes on a device.
 *
 * Invariant: a storage is in one of three states. Computed: pending is NULL and, on a device with
 * bytes, data is set. Pending: an op noted in a recompute will fill it; it holds no bytes and is
 * not in the ledger. Failed is no state: a computation that fails leaves it pending.
 * The bytes leave the ledger the moment the last reference goes.
 *
 * A few bytes on the processor are the storage's own: they lie behind the struct, as a block would
 * cost more time than computing them. The room is there in every state and in a dry run too; it is
 * bookkeeping until the bytes are in use.
 */
#ifndef RF_TENSOR_STORAGE_H
#define RF_TENSOR_STORAGE_H

#include "tensor/context_struct.h"

/* The part of a pending op that storages know. All of a context are in one list, in the order of
 * their noting. */
struct rf_pending {
    rf_pending *prev, *next;
    rf_status (*force)(rf_pending *pending);                      /* compute it now          */
    int (*reads)(const rf_pending *pending, const rf_storage *s); /* is s one of its inputs? */
    void (*orphan)(rf_pending *pending, const rf_storage *s);     /* an output has no user   */
};

enum { RF_STORAGE_FEW = 64 }; /* bytes, at most */

struct rf_storage {
    _Alignas(64) rf_context *ctx;
    uint64_t id; /* never used again in this context */
    uint32_t refs;
    uint32_t version;
    uint32_t handles; /* tensors that name it: in-place ops ask */
    uint8_t device;
    uint8_t cls;
    uint8_t borrowed;
    uint8_t leaving; /* on its way to a file: see tiered.h */
    uint8_t dry;     /* without bytes: made in a dry run   */
    uint8_t own;     /* its bytes lie behind the struct    */
    size_t bytes;
    void *data;
    uint64_t block; /* number of its bytes: blocks.h; 0: none */
    rf_pending *pending;
    void (*release)(void *payload); /* of a borrowed buffer; or NULL */
    void *payload;
    rf_storage *later;   /* waits for the end of a dry run: dry.h */
    const char *maker;   /* dry: the op that would have filled it, or NULL */
    uint64_t read_since; /* by regions, unseen: see rf_storage_note_read; 0: not */
};

/* On and off the context's list. */
void rf_pending_link(rf_context *ctx, rf_pending *p);
void rf_pending_unlink(rf_context *ctx, rf_pending *p);

/* A storage with bytes (uninitialised). Errors are recorded; *out is NULL then. */
rf_status rf_storage_create(rf_storage **out, rf_context *ctx, unsigned device, rf_mem_class cls,
                            size_t bytes);
/* One that pending will fill. */
rf_status rf_storage_create_pending(rf_storage **out, rf_context *ctx, unsigned device,
                                    size_t bytes, rf_pending *pending);
rf_status rf_storage_borrow(rf_storage **out, rf_context *ctx, rf_buffer buffer);
/* Give a pending storage its bytes; it stays pending until its op has filled them. */
rf_status rf_storage_materialize(rf_storage *s);
/* Take them back after a failed computation. */
void rf_storage_dematerialize(rf_storage *s);
/* They leave the ledger, and no more. */
void rf_storage_leave(const rf_storage *s);
/* Give to, which has no bytes, those of from, which ends: it has one reference, the same size,
 * class and device, and the bytes are not its own. */
void rf_storage_take(rf_storage *to, rf_storage *from);
/* Make sure that its value is computed. */
rf_status rf_storage_force(rf_storage *s);
/* The same, and compute whatever still has to read the value of now: call it before changing s. */
rf_status rf_storage_before_write(rf_storage *s);

static inline rf_storage *rf_storage_ref(rf_storage *s)
{
    s->refs++;
    return s;
}
void rf_storage_unref(rf_storage *s);

/* A region that runs for the first time reads s, and no edge of the graph may tell of it. It will
 * read it again when it runs again, which it may as long as a node is left that was recorded since
 * the outermost region began: the smallest such clock is noted. What was noted before all regions
 * that can still run again is forgotten. */
static inline void rf_storage_note_read(rf_storage *s)
{
    const rf_context *ctx = s->ctx;
    if (!ctx->keeper || ctx->recompute_depth)
        return;
    if (s->read_since < ctx->frames_begin || ctx->region_begin < s->read_since)
        s->read_since = ctx->region_begin;
}

void rf_storage_set_class(rf_storage *s, rf_mem_class cls);

#endif
