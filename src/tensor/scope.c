/* scope.c: scopes. Closing one drops its handles; a handle that somebody holds goes on in no scope.
 */
#include "tensor/handle.h"

#include <refrain/checkpoint.h>

#include <string.h>

void rf_scope_begin(rf_scope *s, rf_context *ctx, rf_scope *parent)
{
    *s = (rf_scope){.ctx = ctx, .parent = parent, .grad = 1, .early_stop = -1, .on_stack = 1};
    if (parent) {
        s->grad = parent->grad;
        s->early_stop = parent->early_stop;
        s->label = parent->label;
        s->precision = parent->precision;
        s->no_hooks = parent->no_hooks;
        s->hooks = parent->hooks;
        if (s->hooks)
            s->hooks->refs++;
        parent->children++;
    }
}

void rf_scope_end(rf_scope *s)
{
    while (s->first)
        rf_release(s, s->first);
    if (s->hooks)
        rf_saved_entry_unref(s->hooks);
    if (s->parent)
        s->parent->children--;
}

rf_status rf_scope_open(rf_scope **out, rf_context *ctx, rf_scope *parent)
{
    *out = NULL;
    if (parent && parent->ctx != ctx)
        return rf_fail(ctx, RF_E_ARGUMENT, "the parent scope belongs to another context");
    rf_scope *s = rf_host_alloc(ctx, sizeof *s);
    if (!s)
        return ctx->record.error.code;
    rf_scope_begin(s, ctx, parent);
    s->on_stack = 0;
    *out = s;
    return RF_OK;
}

void rf_scope_close(rf_scope *s)
{
    if (!s)
        return;
    rf_context *ctx = s->ctx;
    rf_scope_end(s);
    rf_host_free(ctx, s, sizeof *s);
}

rf_status rf_scope_status(const rf_scope *s)
{
    return s->status;
}

void rf_scope_clear(rf_scope *s)
{
    s->status = RF_OK;
}

rf_status rf_scope_fail(rf_scope *s, rf_status status, const char *message)
{
    if (message)
        rf_fail(s->ctx, status, "%s", message);
    if (!s->status)
        s->status = status;
    return status;
}

rf_context *rf_scope_context(const rf_scope *s)
{
    return s->ctx;
}

void rf_scope_set_grad(rf_scope *s, int enabled)
{
    s->grad = enabled != 0;
}

int rf_scope_grad(const rf_scope *s)
{
    return s->grad;
}

void rf_scope_set_label(rf_scope *s, const char *label)
{
    s->label = label;
}

void rf_scope_set_early_stop(rf_scope *s, int setting)
{
    s->early_stop = setting;
}

/* ---- handles in scopes ---- */

static void scope_link(rf_scope *s, rf_tensor *t)
{
    t->scope = s;
    t->prev = NULL;
    t->next = s->first;
    if (s->first)
        s->first->prev = t;
    s->first = t;
}

static void scope_unlink(rf_tensor *t)
{
    if (!t->scope)
        return;
    if (t->prev)
        t->prev->next = t->next;
    else
        t->scope->first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->scope = NULL;
    t->prev = t->next = NULL;
}

rf_tensor *rf_handle_create(rf_context *ctx, rf_scope *s, rf_storage *storage, const rf_view *view)
{
    rf_tensor *t = rf_host_alloc(ctx, sizeof *t);
    if (!t) {
        rf_storage_unref(storage);
        return NULL;
    }
    t->ctx = ctx;
    t->storage = storage;
    storage->handles++;
    t->view = *view;
    t->view.data = NULL;
    t->region = ctx->region;
    ctx->live_handles++;
    if (s)
        scope_link(s, t);
    else
        t->holds = 1;
    return t;
}

void rf_handle_stale(rf_tensor *t)
{
    rf_storage *storage = t->storage;
    t->storage = NULL;
    if (storage) {
        storage->handles--;
        rf_storage_unref(storage);
    }
}

void rf_node_unref(rf_context *ctx, rf_node_ref *node)
{
    if (node && --node->refs == 0)
        node->end(ctx, node);
}

void rf_handle_set_node(rf_tensor *t, rf_node_ref *node, uint32_t out)
{
    rf_node_ref *old = t->node;
    if (node)
        node->refs++;
    t->node = node;
    t->out = out;
    if (old) {
        old->forget(old, t);
        rf_node_unref(t->ctx, old);
    }
}

void rf_handle_end(rf_tensor *t)
{
    rf_context *ctx = t->ctx;
    scope_unlink(t);
    rf_handle_stale(t);
    rf_handle_set_node(t, NULL, 0);
    ctx->live_handles--;
#if defined(RF_DEBUG)
    memset(t, 0xDD, sizeof *t);
#endif
    rf_host_free(ctx, t, sizeof *t);
}

rf_tensor *rf_keep(rf_scope *s, rf_tensor *t)
{
    if (!t || t->scope != s)
        return t;
    if (!s->parent) {
        rf_scope_fail(s, RF_E_STATE, "rf_keep: this scope has no parent to keep a tensor in");
        return NULL;
    }
    scope_unlink(t);
    scope_link(s->parent, t);
    return t;
}

void rf_release(rf_scope *s, rf_tensor *t)
{
    if (!t || t->scope != s)
        return;
    if (t->holds)
        scope_unlink(t);
    else
        rf_handle_end(t);
}

rf_tensor *rf_tensor_hold(rf_tensor *t)
{
    if (t)
        t->holds++;
    return t;
}

void rf_tensor_drop(rf_tensor *t)
{
    if (!t || !t->holds)
        return;
    if (--t->holds == 0 && !t->scope)
        rf_handle_end(t);
}
