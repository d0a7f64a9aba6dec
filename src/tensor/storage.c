/* storage.c: see storage.h. */
#include "tensor/blocks.h"
#include "tensor/dry.h"
#include "tensor/tiered.h"
#include "tensor/trace.h"

static rf_status storage_refused(rf_context *ctx, unsigned device, size_t bytes,
                                 const rf_ledger_refusal *why)
{
    rf_fail(ctx, RF_E_BUDGET, "%zu bytes wanted on %s, %llu free of the %s limit of %llu", bytes,
            ctx->devices[device]->name, (unsigned long long)why->free,
            why->cls == RF_MEM_ALL ? "total" : rf_mem_class_name(why->cls),
            (unsigned long long)why->limit);
    ctx->record.error.bytes_wanted = bytes;
    ctx->record.error.bytes_free = why->free;
    ctx->record.error.limit = why->limit;
    return RF_E_BUDGET;
}

/* The two ways into the ledger and out of it. */
static int storage_enter(rf_storage *s, rf_ledger_refusal *why)
{
    rf_ledger *ledger = &s->ctx->ledger;
    if (!(s->own ? rf_ledger_enter_part(ledger, s->device, s->cls, s->bytes, why)
                 : rf_ledger_enter(ledger, s->device, s->cls, s->bytes, why)))
        return 0;
    if (s->own)
        rf_trace_memory(s->ctx, s->device, RF_MEM_OTHER, -(int64_t)s->bytes, 0);
    rf_trace_memory(s->ctx, s->device, s->cls, (int64_t)s->bytes, s->id);
    return 1;
}

void rf_storage_leave(const rf_storage *s)
{
    rf_ledger *ledger = &s->ctx->ledger;
    if (s->own)
        rf_ledger_leave_part(ledger, s->device, s->cls, s->bytes);
    else
        rf_ledger_leave(ledger, s->device, s->cls, s->bytes);
    rf_trace_memory(s->ctx, s->device, s->cls, -(int64_t)s->bytes, s->id);
    if (s->own)
        rf_trace_memory(s->ctx, s->device, RF_MEM_OTHER, (int64_t)s->bytes, 0);
}

/* Bytes in use on the processor. */
static uint64_t storage_used(const rf_context *ctx)
{
    return ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_ALL].used;
}

/* Its own. Else from the pool. Without one, from the blocks that wait; else new ones, for which
 * those that wait make room. */
static void *storage_bytes(rf_storage *s)
{
    rf_context *ctx = s->ctx;
    const rf_device_class *dev = ctx->devices[s->device];
    rf_recycle *wait = &ctx->recycle;
    if (s->own)
        return s + 1;
    if (s->device != RF_DEVICE_CPU)
        return dev->alloc(&ctx->alloc, NULL, s->bytes);
    if (ctx->pool)
        return rf_pool_get(ctx->pool, s->bytes);
    uint64_t used = storage_used(ctx);
    void *p = rf_recycle_get(wait, s->bytes);
    rf_recycle_make_room(wait, &ctx->alloc, used);
    if (p)
        return p;
    p = dev->alloc(&ctx->alloc, NULL, s->bytes);
    if (!p && wait->bytes) {
        rf_recycle_trim(wait, &ctx->alloc, 0);
        p = dev->alloc(&ctx->alloc, NULL, s->bytes);
    }
    return p;
}

static void storage_block_goes(rf_storage *s)
{
    if (s->block)
        rf_blocks_go(s->ctx, s->block);
    s->block = 0;
}

rf_status rf_storage_materialize(rf_storage *s)
{
    rf_context *ctx = s->ctx;
    const rf_device_class *dev = ctx->devices[s->device];
    rf_ledger_refusal why;
    if (!storage_enter(s, &why))
        return storage_refused(ctx, s->device, s->bytes, &why);
    if (s->bytes && !s->own && s->device == RF_DEVICE_CPU)
        s->block = rf_blocks_come(ctx, s->bytes);
    if (!s->bytes || !dev->has_bytes)
        return RF_OK;
    uint64_t errors = ctx->errors;
    s->data = storage_bytes(s);
    if (s->data)
        return RF_OK;
    storage_block_goes(s);
    rf_storage_leave(s);
    if (ctx->errors > errors) /* of the pool's bookkeeping */
        return ctx->record.error.code;
    rf_fail(ctx, RF_E_MEMORY, "no memory for %zu bytes on %s", s->bytes, dev->name);
    ctx->record.error.bytes_wanted = s->bytes;
    return RF_E_MEMORY;
}

/* To where they came from, or to wait for the next one of their size. */
static void storage_give_back(rf_storage *s)
{
    rf_context *ctx = s->ctx;
    if (s->device == RF_DEVICE_CPU && ctx->pool && rf_pool_owns(ctx->pool, s->data))
        rf_pool_put(ctx->pool, s->data, s->bytes);
    else if (s->device != RF_DEVICE_CPU || ctx->pool ||
             !rf_recycle_put(&ctx->recycle, s->data, s->bytes, storage_used(ctx)))
        ctx->devices[s->device]->free(&ctx->alloc, NULL, s->data, s->bytes);
}

void rf_storage_dematerialize(rf_storage *s)
{
    storage_block_goes(s);
    rf_storage_leave(s);
    if (s->data && !s->own)
        storage_give_back(s);
    s->data = NULL;
}

static void storage_free(rf_storage *s)
{
    rf_host_free(s->ctx, s, sizeof *s + (s->own ? RF_STORAGE_FEW : 0));
}

void rf_storage_take(rf_storage *to, rf_storage *from)
{
    to->data = from->data;
    to->block = from->block;
    rf_trace_memory(from->ctx, from->device, from->cls, -(int64_t)from->bytes, from->id);
    rf_trace_memory(to->ctx, to->device, to->cls, (int64_t)to->bytes, to->id);
    storage_free(from);
}

static rf_storage *storage_new(rf_context *ctx, unsigned device, rf_mem_class cls, size_t bytes)
{
    int own = bytes && bytes <= RF_STORAGE_FEW && device == RF_DEVICE_CPU && cls != RF_MEM_BORROWED;
    rf_storage *s = rf_host_alloc(ctx, sizeof *s + (own ? RF_STORAGE_FEW : 0));
    if (!s)
        return NULL;
    s->ctx = ctx;
    s->id = ++ctx->storage_clock;
    s->refs = 1;
    s->device = (uint8_t)device;
    s->cls = (uint8_t)cls;
    s->bytes = bytes;
    s->own = (uint8_t)own;
    s->dry = device == RF_DEVICE_CPU && ctx->dry;
    s->maker = s->dry ? ctx->op : NULL;
    return s;
}

rf_status rf_storage_create(rf_storage **out, rf_context *ctx, unsigned device, rf_mem_class cls,
                            size_t bytes)
{
    *out = storage_new(ctx, device, cls, bytes);
    if (!*out)
        return ctx->record.error.code;
    rf_status status = rf_storage_materialize(*out);
    if (status) {
        storage_free(*out);
        *out = NULL;
    }
    return status;
}

rf_status rf_storage_create_pending(rf_storage **out, rf_context *ctx, unsigned device,
                                    size_t bytes, rf_pending *pending)
{
    *out = storage_new(ctx, device, RF_MEM_ACTIVATION, bytes);
    if (!*out)
        return ctx->record.error.code;
    (*out)->pending = pending;
    return RF_OK;
}

rf_status rf_storage_borrow(rf_storage **out, rf_context *ctx, rf_buffer buffer)
{
    rf_ledger_refusal why;
    *out = storage_new(ctx, RF_DEVICE_CPU, RF_MEM_BORROWED, buffer.bytes);
    if (!*out)
        return ctx->record.error.code;
    if (!storage_enter(*out, &why)) {
        storage_free(*out);
        *out = NULL;
        return storage_refused(ctx, RF_DEVICE_CPU, buffer.bytes, &why);
    }
    (*out)->borrowed = 1;
    (*out)->data = buffer.data;
    (*out)->release = buffer.release;
    (*out)->payload = buffer.payload;
    return RF_OK;
}

void rf_pending_unlink(rf_context *ctx, rf_pending *p)
{
    if (p->prev)
        p->prev->next = p->next;
    else
        ctx->pending_first = p->next;
    if (p->next)
        p->next->prev = p->prev;
    else
        ctx->pending_last = p->prev;
}

void rf_pending_link(rf_context *ctx, rf_pending *p)
{
    p->prev = ctx->pending_last;
    p->next = NULL;
    if (ctx->pending_last)
        ctx->pending_last->next = p;
    else
        ctx->pending_first = p;
    ctx->pending_last = p;
}

rf_status rf_storage_force(rf_storage *s)
{
    return s->pending ? s->pending->force(s->pending) : RF_OK;
}

rf_status rf_storage_before_write(rf_storage *s)
{
    rf_status status = rf_storage_force(s);
    if (s->leaving)
        rf_tiered_settle(s->ctx, s);
    if (!status && s->ctx->before_write)
        status = s->ctx->before_write(s);
    for (rf_pending *p = s->ctx->pending_first; p && !status;) {
        if (!p->reads(p, s)) {
            p = p->next;
            continue;
        }
        status = p->force(p);
        p = s->ctx->pending_first; /* the list has changed: begin again */
    }
    return status;
}

void rf_storage_unref(rf_storage *s)
{
    if (!s || --s->refs)
        return;
    rf_context *ctx = s->ctx;
    if (ctx->dry && rf_dry_retains(s))
        return;
    if (s->pending) {
        s->pending->orphan(s->pending, s);
    } else if (s->borrowed) {
        rf_storage_leave(s);
        if (s->release)
            s->release(s->payload);
    } else {
        rf_storage_dematerialize(s);
    }
    storage_free(s);
}

void rf_storage_set_class(rf_storage *s, rf_mem_class cls)
{
    if (s->borrowed || s->cls == cls || (s->ctx->dry && !s->dry))
        return;
    if (!s->pending) {
        rf_ledger_move(&s->ctx->ledger, s->device, s->cls, cls, s->bytes);
        rf_trace_memory(s->ctx, s->device, s->cls, -(int64_t)s->bytes, s->id);
        rf_trace_memory(s->ctx, s->device, cls, (int64_t)s->bytes, s->id);
    }
    s->cls = (uint8_t)cls;
}
