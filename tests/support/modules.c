/* modules.c: see modules.h. */
#include "support/modules.h"

#include <stdio.h>

void part_note(part_log *log, char letter)
{
    size_t n = strlen(log->text);
    if (n + 1 < sizeof log->text) {
        log->text[n] = letter;
        log->text[n + 1] = 0;
    }
}

static rf_status part_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    part_log *log = rf_module_self(m);
    rf_tensor *x = in->v[0], *w = rf_module_param(m, "w");
    if (log) {
        part_note(log, 'f');
        if (log->fail && log->message)
            return rf_scope_fail(s, log->fail, log->message);
        if (log->fail)
            return log->fail;
    }
    for (size_t i = 0; i < rf_module_num_children(m); i++)
        x = rf_module_call1(rf_module_child(m, i), s, x);
    out->v[0] = w ? rf_mul(s, rf_sin(s, x), w) : x;
    return rf_scope_status(s);
}

const rf_module_class part_class = {
    .size = sizeof(rf_module_class), .name = "Part", .forward = part_forward};

rf_module *part_new(rf_context *ctx, part_log *log)
{
    rf_module *m;
    return rf_module_create(&m, ctx, &part_class, log) ? NULL : m;
}

rf_module *part_add(rf_module *parent, const char *name)
{
    rf_module *m = part_new(rf_module_context(parent), NULL);
    if (m && rf_module_add_child(parent, name, m)) {
        rf_module_destroy(m);
        return NULL;
    }
    return m;
}

static rf_status part_tensor(rf_tensor **out, rf_module *m, int64_t n, double salt)
{
    float host[16];
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    opts.rank = 1;
    opts.dims = &n;
    rf_status status = rf_tensor_create(out, rf_module_context(m), &opts);
    for (int64_t i = 0; i < n; i++)
        host[i] = (float)(salt + 0.25 * (double)i);
    if (!status && rf_tensor_copy_from(*out, host, (size_t)n * sizeof *host))
        abort();
    return status;
}

rf_status part_param(rf_module *m, const char *name, int64_t n, double salt)
{
    rf_tensor *t;
    rf_status status = part_tensor(&t, m, n, salt);
    if (status)
        return status;
    status = rf_module_add_param(m, name, t);
    rf_tensor_drop(t);
    return status;
}

rf_status part_buffer(rf_module *m, const char *name, int64_t n, double salt)
{
    rf_tensor *t;
    rf_status status = part_tensor(&t, m, n, salt);
    if (status)
        return status;
    status = rf_module_add_buffer(m, name, t);
    rf_tensor_drop(t);
    return status;
}

static rf_status part_fill_tree(rf_module *m)
{
    rf_status status = part_param(m, "w", 4, 0.5);
    rf_module *a = status ? NULL : part_add(m, "a");
    rf_module *b = a ? part_add(m, "b") : NULL;
    rf_module *inner = b ? part_add(a, "inner") : NULL;
    if (!inner)
        return status ? status : rf_context_error(rf_module_context(m))->code;
    status = part_param(a, "w", 4, 1);
    if (!status)
        status = part_param(a, "bias", 4, 2);
    if (!status)
        status = part_buffer(a, "mean", 3, 3);
    if (!status)
        status = part_param(inner, "w", 4, -1);
    return status ? status : rf_module_add_param(b, "w", rf_module_param(inner, "w"));
}

rf_status part_tree(rf_module **out, rf_context *ctx)
{
    *out = part_new(ctx, NULL);
    rf_status status = *out ? part_fill_tree(*out) : rf_context_error(ctx)->code;
    if (status) {
        rf_module_destroy(*out);
        *out = NULL;
    }
    return status;
}

/* ---- names ---- */

typedef struct names_text {
    char *text;
    size_t bytes;
    char kind;
} names_text;

static void names_append(names_text *n, const char *path)
{
    size_t len = strlen(n->text);
    snprintf(n->text + len, n->bytes - len, "%c %s|", n->kind, path);
}

static rf_status names_module(void *payload, const char *path, rf_module *m)
{
    (void)m;
    names_append(payload, path);
    return RF_OK;
}

static rf_status names_tensor(void *payload, const char *path, rf_tensor *t)
{
    (void)t;
    names_append(payload, path);
    return RF_OK;
}

const char *part_names(rf_module *m, char *text, size_t bytes)
{
    names_text n = {text, bytes, 'm'};
    rf_context *ctx = rf_module_context(m);
    *text = 0;
    assert_ok(ctx, rf_module_each(m, names_module, &n));
    n.kind = 'p';
    assert_ok(ctx, rf_module_each_param(m, 1, names_tensor, &n));
    n.kind = 'b';
    assert_ok(ctx, rf_module_each_buffer(m, names_tensor, &n));
    return text;
}
