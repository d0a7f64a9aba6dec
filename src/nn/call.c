/* call.c: calling a module: a scope of its own, pre-hooks, forward, post-hooks, and its outputs
 * kept for the caller. Every way out closes the scope and gives the running module back.
 *
 * Invariant: after a failure the context's error is the one that happened in this call, with the
 * path of the innermost module that was at fault, also when that only returned a status.
 */
#include "nn/module.h"
#include "remat/once.h"
#include "tensor/scope.h"

#include <string.h>

static void call_write_path(const void *module, char *buffer, size_t bytes)
{
    rf_module_path(module, buffer, bytes);
}

/* A status that came without a word gets one, also if other errors were met, and mended, on the
 * way. errors: how many were recorded before. */
static rf_status call_explain(rf_module *m, uint64_t errors, rf_status status)
{
    if (status && (errors == rf_context_errors(m->ctx) || rf_context_error(m->ctx)->code != status))
        rf_fail(m->ctx, status, "%s: %s", m->cls->name, rf_status_text(status));
    return status;
}

rf_status rf_module_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    const void *outer;
    uint64_t errors = rf_context_errors(m->ctx);
    rf_context_set_module(m->ctx, m, call_write_path, &outer);
    rf_status status = m->cls->forward(m, s, in, out);
    status = call_explain(m, errors, status ? status : rf_scope_status(s));
    rf_context_set_module(m->ctx, outer, call_write_path, NULL);
    return status;
}

/* The hook after number *id up to `last`; NULL: none. */
static rf_shared_hook *call_hook(const rf_module *m, uint64_t *id, uint64_t last)
{
    rf_shared_hook *shared = rf_hook_next(m, *id, id);
    if (!shared || *id <= last)
        return shared;
    rf_hook_unref(shared);
    return NULL;
}

/* Those that stand now: what a hook adds runs from the next call on. *begun is the last one whose
 * pre ran and did not fail. */
static rf_status call_pre_hooks(rf_module *m, rf_scope *s, rf_values *in, uint64_t *begun)
{
    rf_status status = RF_OK;
    rf_shared_hook *shared;
    uint64_t id = 0, last = m->next_hook - 1;
    while (!status && (shared = call_hook(m, &id, last)) != NULL) {
        if (shared->hook.pre)
            status = shared->hook.pre(shared->hook.payload, m, s, in);
        status = status ? status : rf_scope_status(s);
        rf_hook_unref(shared);
        if (!status)
            *begun = id;
    }
    return status;
}

/* Of the hooks that began. They run after a failure too, and cannot make it good. */
static rf_status call_post_hooks(rf_module *m, rf_scope *s, rf_values *out, rf_status status,
                                 uint64_t begun)
{
    rf_shared_hook *shared;
    uint64_t id = 0;
    while ((shared = call_hook(m, &id, begun)) != NULL) {
        rf_status said = RF_OK;
        if (shared->hook.post)
            said = shared->hook.post(shared->hook.payload, m, s, out, status);
        rf_hook_unref(shared);
        status = status ? status : said;
    }
    return status ? status : rf_scope_status(s);
}

/* As the effects of its class allow. */
static rf_status call_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_once once;
    rf_status status = RF_OK;
    int effect = s->ctx->keeper && m->cls->effect != RF_EFFECT_REPLAY;
    if (!effect)
        return m->run ? m->run(m, s, in, out) : rf_module_forward(m, s, in, out);
    if (m->cls->effect == RF_EFFECT_FORBID)
        return rf_fail(m->ctx, RF_E_UNSUPPORTED,
                       "%s has an effect that must not happen twice: call it outside of regions",
                       m->cls->name);
    status = rf_once_begin(&once, s, out);
    if (!status && !once.given)
        status = rf_once_end(&once, s, out, rf_module_forward(m, s, in, out));
    return status;
}

static rf_status call_inside(rf_module *m, rf_scope *s, rf_values *in, rf_values *out)
{
    uint64_t begun = 0;
    rf_status status = call_pre_hooks(m, s, in, &begun);
    if (!status && m->dead)
        status = rf_fail(m->ctx, RF_E_STALE, "a hook destroyed the module that was called");
    if (!status)
        status = call_forward(m, s, in, out);
    status = call_post_hooks(m, s, out, status, begun);
    for (size_t i = 0; i < out->num && !status; i++)
        out->v[i] = rf_keep(s, out->v[i]);
    return status;
}

/* in copied, so that hooks may replace entries. */
static rf_status call_with_copy(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *few[8];
    rf_tensor **v = few;
    size_t bytes = in->num * sizeof *v;
    if (in->num > sizeof few / sizeof few[0] && !(v = rf_host_alloc(m->ctx, bytes)))
        return rf_context_error(m->ctx)->code;
    if (in->num)
        memcpy(v, in->v, bytes);
    rf_values copy = {v, in->num};
    rf_status status = call_inside(m, s, &copy, out);
    if (v != few)
        rf_host_free(m->ctx, v, bytes);
    return status;
}

rf_status rf_module_call(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_scope inner;
    const void *outer;
    uint64_t errors = rf_context_errors(m->ctx);
    for (size_t i = 0; i < out->num; i++)
        out->v[i] = NULL;
    if (rf_scope_status(s))
        return rf_scope_status(s);
    if (rf_scope_context(s) != m->ctx)
        return rf_scope_fail(s, RF_E_ARGUMENT, "the module and the scope are of two contexts");
    rf_context_set_module(m->ctx, m, call_write_path, &outer);
    m->refs++; /* a hook may destroy it */
    rf_scope_begin(&inner, m->ctx, s);
    rf_status status = call_explain(m, errors, call_with_copy(m, &inner, in, out));
    if (status)
        for (size_t i = 0; i < out->num; i++)
            out->v[i] = NULL;
    rf_scope_end(&inner);
    rf_context_set_module(s->ctx, outer, call_write_path, NULL);
    rf_module_unref(m);
    if (status)
        rf_scope_fail(s, status, NULL);
    return status;
}

rf_tensor *rf_module_call1(rf_module *m, rf_scope *s, rf_tensor *x)
{
    rf_tensor *y = NULL;
    rf_values in = {&x, 1}, out = {&y, 1};
    if (rf_scope_status(s))
        return NULL;
    if (!x || !m) {
        rf_scope_fail(s, RF_E_ARGUMENT,
                      m ? "a module was called without a tensor" : "there is no module to call");
        return NULL;
    }
    if (rf_module_call(m, s, &in, &out))
        return NULL;
    if (!y)
        rf_scope_fail(s, RF_E_ARGUMENT, "a module gave no result");
    return y;
}
