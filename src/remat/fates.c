/* fates.c: see fates.h. The text is cut into rules, a fate and a pattern each, in order. Those of
 * ops by number are sorted and searched, as a plan has one for most ops: the first rule that fits
 * is the op's own or a pattern before it.
 */
#include "remat/fates.h"
#include "base/number.h"
#include "base/sort.h"
#include "tensor/context_struct.h"

#include <string.h>

enum { FATES_NAME = 64 };

typedef struct fates_rule {
    rf_fate fate;
    uint32_t step; /* of an op by number: which, and how many patterns stand before it */
    size_t before;
    char pattern[FATES_NAME];
} fates_rule;

typedef struct fates_list {
    fates_rule *v;
    size_t num, capacity;
} fates_list;

typedef struct fates_policy {
    rf_context *ctx;
    fates_list patterns, ops; /* ops: by number, rising */
} fates_policy;

/* ---- ops by number ---- */

/* The rule of a step; NULL: it has none. */
static const fates_rule *fates_op(const fates_policy *p, uint64_t step)
{
    size_t low = 0, high = p->ops.num;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->ops.v[middle].step < step)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->ops.num && p->ops.v[low].step == step ? &p->ops.v[low] : NULL;
}

static int fates_order(const void *payload, const void *a, const void *b)
{
    uint32_t x = ((const fates_rule *)a)->step, y = ((const fates_rule *)b)->step;
    (void)payload;
    return (x > y) - (x < y);
}

/* A plan is mostly sorted as it is written. */
static rf_status fates_sort(fates_policy *p)
{
    size_t rising = 1;
    while (rising < p->ops.num && p->ops.v[rising - 1].step < p->ops.v[rising].step)
        rising++;
    if (rising < p->ops.num)
        rf_sort(p->ops.v, p->ops.num, sizeof *p->ops.v, fates_order, NULL);
    for (size_t i = 1; i < p->ops.num; i++)
        if (p->ops.v[i].step == p->ops.v[i - 1].step)
            return rf_fail(p->ctx, RF_E_ARGUMENT, "fates: op #%u stands twice", p->ops.v[i].step);
    return RF_OK;
}

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
    const fates_rule *own = fates_op(p, op->index);
    size_t num = own ? own->before : p->patterns.num;
    const char *path = num ? fates_inside(p, op) : "";
    for (size_t i = 0; i < num; i++)
        if (fates_fits(p->patterns.v[i].pattern, op, path)) {
            *fate = p->patterns.v[i].fate;
            return RF_OK;
        }
    if (own)
        *fate = own->fate;
    return RF_OK;
}

const char *rf_fates_named(const rf_policy *policy, uint32_t step)
{
    const fates_rule *own = policy->choose == fates_choose ? fates_op(policy->payload, step) : NULL;
    return own ? own->pattern : NULL;
}

uint32_t rf_fates_steps(const rf_policy *policy)
{
    const fates_policy *p = policy->payload;
    size_t num = policy->choose == fates_choose ? p->ops.num : 0;
    return num ? p->ops.v[num - 1].step + 1 : 0;
}

static void fates_destroy(void *payload)
{
    fates_policy *p = payload;
    rf_host_free(p->ctx, p->ops.v, p->ops.capacity * sizeof *p->ops.v);
    rf_host_free(p->ctx, p->patterns.v, p->patterns.capacity * sizeof *p->patterns.v);
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

static rf_status fates_add(fates_policy *p, fates_list *list, fates_rule rule, const char *word,
                           size_t len)
{
    if (len >= FATES_NAME)
        return rf_fail(p->ctx, RF_E_ARGUMENT, "fates: a name of %zu letters; at most %d", len,
                       FATES_NAME - 1);
    rf_status status = rf_host_grow(p->ctx, &list->v, list->num, &list->capacity, sizeof *list->v);
    if (status)
        return status;
    memcpy(rule.pattern, word, len);
    list->v[list->num++] = rule;
    return RF_OK;
}

/* "#3:linear" */
static rf_status fates_add_op(fates_policy *p, rf_fate fate, const char *word, size_t len)
{
    uint64_t step = 0;
    const char *colon = memchr(word, ':', len);
    if (!colon || !rf_number_parse_u64(word + 1, (size_t)(colon - word) - 1, &step) ||
        step >= UINT32_MAX)
        return rf_fail(p->ctx, RF_E_ARGUMENT,
                       "fates: '%.*s' is no op by number: write #3:linear for op 3, a linear",
                       (int)(len < 64 ? len : 64), word);
    fates_rule rule = {.fate = fate, .step = (uint32_t)step, .before = p->patterns.num};
    size_t head = (size_t)(colon + 1 - word);
    rf_status status = fates_add(p, &p->ops, rule, colon + 1, len - head);
    const char *name = status ? "" : p->ops.v[p->ops.num - 1].pattern;
    if (status || (name[0] && name[0] != '@'))
        return status ? status : fates_check(p->ctx, name, NULL);
    return rf_fail(p->ctx, RF_E_ARGUMENT, "fates: '#%u:' needs the name of an op", rule.step);
}

static rf_status fates_add_pattern(fates_policy *p, rf_fate fate, const char *word, size_t len,
                                   const rf_fates_parts *parts)
{
    rf_status status = fates_add(p, &p->patterns, (fates_rule){.fate = fate}, word, len);
    return status ? status : fates_check(p->ctx, p->patterns.v[p->patterns.num - 1].pattern, parts);
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
        status = letters && word[0] == '#' ? fates_add_op(p, fate, word, letters)
                                           : fates_add_pattern(p, fate, word, letters, parts);
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
    if (!status)
        status = fates_sort(p);
    if (status) {
        fates_destroy(p);
        return status;
    }
    *out = (rf_policy){fates_choose, p, fates_destroy};
    return RF_OK;
}
