/* fates.c: see fates.h. The text is cut into rules, a fate and a pattern each, in order. */
#include "remat/fates.h"
#include "tensor/context_struct.h"

#include <string.h>

enum { FATES_NAME = 64 };

typedef struct fates_rule {
    rf_fate fate;
    char pattern[FATES_NAME];
} fates_rule;

typedef struct fates_policy {
    rf_context *ctx;
    fates_rule *rules;
    size_t num, capacity;
} fates_policy;

/* ---- choosing ---- */

/* Whether pattern names the part at path, or one that it is in. */
static int fates_part(const char *pattern, const char *path)
{
    char part[256];
    size_t len = strlen(path);
    if (len >= sizeof part)
        return 0;
    memcpy(part, path, len + 1);
    while (len) {
        if (rf_pattern_matches(pattern, part))
            return 1;
        while (len && part[--len] != '.') {
        }
        part[len] = 0;
    }
    return 0;
}

/* path without the region's own. */
static const char *fates_inside(const fates_policy *p, const rf_policy_op *op)
{
    char own[256] = "";
    if (op->module && p->ctx->path_writer)
        p->ctx->path_writer(op->module, own, sizeof own);
    size_t len = strlen(own);
    if (!len || strncmp(op->path, own, len) || (op->path[len] && op->path[len] != '.'))
        return op->path;
    return op->path + len + (op->path[len] == '.');
}

static int fates_fits(const char *pattern, const rf_policy_op *op, const char *path)
{
    if (pattern[0] == '@')
        return op->label[0] && rf_pattern_matches(pattern + 1, op->label);
    return rf_pattern_matches(pattern, op->op) || fates_part(pattern, path);
}

static rf_status fates_choose(void *payload, const rf_policy_op *op, rf_fate *fate)
{
    const fates_policy *p = payload;
    const char *path = fates_inside(p, op);
    for (size_t i = 0; i < p->num; i++)
        if (fates_fits(p->rules[i].pattern, op, path)) {
            *fate = p->rules[i].fate;
            return RF_OK;
        }
    return RF_OK;
}

static void fates_destroy(void *payload)
{
    fates_policy *p = payload;
    rf_host_free(p->ctx, p->rules, p->capacity * sizeof *p->rules);
    rf_host_free(p->ctx, p, sizeof *p);
}

/* ---- reading ---- */

static int fates_op_known(const rf_context *ctx, const char *pattern)
{
    for (size_t i = 0; i < rf_op_count(ctx); i++)
        if (rf_pattern_matches(pattern, rf_op_at(ctx, i)->name))
            return 1;
    return 0;
}

/* The name of an op that is nearly word; NULL: none is. */
static const char *fates_nearest(rf_context *ctx, const char *word)
{
    size_t num = rf_op_count(ctx);
    const char **names = rf_host_alloc(ctx, num * sizeof *names);
    if (!names)
        return NULL;
    for (size_t i = 0; i < num; i++)
        names[i] = rf_op_at(ctx, i)->name;
    const char *nearest = rf_nearest_word(word, names, num);
    rf_host_free(ctx, names, num * sizeof *names);
    return nearest;
}

static rf_status fates_check(rf_context *ctx, const char *pattern, const rf_fates_parts *parts)
{
    if (pattern[0] == '@' && pattern[1])
        return RF_OK;
    if (pattern[0] &&
        (fates_op_known(ctx, pattern) || (parts && parts->known(parts->payload, pattern))))
        return RF_OK;
    const char *nearest = fates_nearest(ctx, pattern);
    return rf_fail(ctx, RF_E_ARGUMENT,
                   "fates: no op and no part of the module is called '%s'%s%s%s", pattern,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static int fates_fate(const char *word, size_t len, rf_fate *out)
{
    static const char *const names[] = {"recompute", "keep", "host", "file", "spill"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == len && !memcmp(names[i], word, len)) {
            *out = i > RF_FATE_FILE ? RF_FATE_FILE : (rf_fate)i; /* spill is file */
            return 1;
        }
    return 0;
}

static rf_status fates_add(fates_policy *p, rf_fate fate, const char *word, size_t len)
{
    if (len >= FATES_NAME)
        return rf_fail(p->ctx, RF_E_ARGUMENT, "fates: a name of %zu letters; at most %d", len,
                       FATES_NAME - 1);
    rf_status status = rf_host_grow(p->ctx, &p->rules, p->num, &p->capacity, sizeof *p->rules);
    if (status)
        return status;
    fates_rule *rule = &p->rules[p->num++];
    *rule = (fates_rule){.fate = fate};
    memcpy(rule->pattern, word, len);
    return RF_OK;
}

/* "keep=a,b" */
static rf_status fates_clause(fates_policy *p, const char *text, size_t len,
                              const rf_fates_parts *parts)
{
    rf_fate fate;
    const char *equals = memchr(text, '=', len), *end = text + len;
    if (!equals || !fates_fate(text, (size_t)(equals - text), &fate))
        return rf_fail(p->ctx, RF_E_ARGUMENT,
                       "fates: '%.*s' does not begin with keep=, host=, file= or recompute=",
                       (int)(len < 64 ? len : 64), text);
    rf_status status = RF_OK;
    for (const char *word = equals + 1; word <= end && !status;) {
        const char *comma = memchr(word, ',', (size_t)(end - word));
        size_t letters = (size_t)((comma ? comma : end) - word);
        status = fates_add(p, fate, word, letters);
        if (!status)
            status = fates_check(p->ctx, p->rules[p->num - 1].pattern, parts);
        word += letters + 1;
    }
    return status;
}

rf_status rf_fates_create(rf_policy *out, rf_context *ctx, const char *text,
                          const rf_fates_parts *parts)
{
    *out = (rf_policy){0};
    fates_policy *p = rf_host_alloc(ctx, sizeof *p);
    if (!p)
        return ctx->record.error.code;
    p->ctx = ctx;
    rf_status status = RF_OK;
    for (const char *at = text; !status && at;) {
        const char *end = strchr(at, ';');
        status = fates_clause(p, at, end ? (size_t)(end - at) : strlen(at), parts);
        at = end ? end + 1 : NULL;
    }
    if (status) {
        fates_destroy(p);
        return status;
    }
    *out = (rf_policy){fates_choose, p, fates_destroy};
    return RF_OK;
}
