/* plan_read.c: a plan out of a file of JSON (its form: refrain/plan.h), which somebody may have
 * edited by hand, or made to do harm. Invariant: a plan is given whole or not at all; what is not
 * understood is refused by name, so that a slip of the pen is no silent change of plan. */
#include <refrain/io.h>

#include "base/number.h"
#include "io/json.h"
#include "io/plan_file.h"
#include "plan/plan.h"

#include <string.h>

typedef struct plan_read {
    rf_context *ctx;
    const char *path;
    char *text;
    rf_json j;
    rf_plan *plan;
    size_t cap_points;
} plan_read;

static rf_status plan_bad(plan_read *r, const char *what)
{
    return rf_fail(r->ctx, RF_E_FORMAT, "%s: no plan that can be used: %s at byte %zu", r->path,
                   r->j.why ? r->j.why : what, r->j.at);
}

/* ---- values ---- */

/* The KEY or STRING that was just given, decoded in its place, where its closing quote makes room
 * for the zero; NULL: it is too long, or holds a zero. */
static const char *plan_token(plan_read *r, size_t most)
{
    char *text = r->text + (r->j.token - r->text);
    size_t len = rf_json_decode(r->j.token, r->j.token_len, text, r->j.token_len);
    text[len] = 0;
    return len <= most && strlen(text) == len ? text : NULL;
}

static rf_status plan_string(plan_read *r, size_t most, const char **out)
{
    if (rf_json_next(&r->j) != RF_JSON_STRING)
        return plan_bad(r, "no string");
    *out = plan_token(r, most);
    return *out ? RF_OK : plan_bad(r, "a string that is too long, or has a zero in it,");
}

static rf_status plan_number(plan_read *r, uint64_t most, uint64_t *out)
{
    if (rf_json_next(&r->j) != RF_JSON_NUMBER ||
        !rf_number_parse_u64(r->j.token, r->j.token_len, out))
        return plan_bad(r, "no whole number");
    return *out <= most ? RF_OK : plan_bad(r, "a number that is too large");
}

static rf_status plan_seconds(plan_read *r, double *out)
{
    uint64_t ns = 0;
    rf_status status = plan_number(r, RF_PLAN_MOST_NS, &ns);
    *out = (double)ns * 1e-9;
    return status;
}

/* ---- objects ---- */

/* What an object may have: names, NULL at their end. */
typedef struct plan_members {
    const char *const *names;
    rf_status (*read)(plan_read *r, void *into, int member);
    void *into;
} plan_members;

static rf_status plan_member(plan_read *r, const plan_members *of, unsigned *seen)
{
    const char *name = plan_token(r, 64);
    int i = 0;
    while (name && of->names[i] && strcmp(of->names[i], name) != 0)
        i++;
    if (!name || !of->names[i])
        return rf_fail(r->ctx, RF_E_FORMAT,
                       "%s: no plan that can be used: '%.64s' is no member of it, at byte %zu",
                       r->path, name ? name : "", r->j.at);
    if (*seen & 1u << i)
        return plan_bad(r, "a member that is there twice");
    *seen |= 1u << i;
    return of->read(r, of->into, i);
}

/* An object whose brace was just read, as kind says. *seen: which members it had. */
static rf_status plan_object(plan_read *r, rf_json_kind kind, const plan_members *of,
                             unsigned *seen)
{
    rf_status status = RF_OK;
    *seen = 0;
    if (kind != RF_JSON_OBJECT)
        return plan_bad(r, "no object");
    while (!status && (kind = rf_json_next(&r->j)) == RF_JSON_KEY)
        status = plan_member(r, of, seen);
    return status || kind == RF_JSON_OBJECT_END ? status : plan_bad(r, "no member");
}

/* A list of objects. */
static rf_status plan_list(plan_read *r, rf_status (*read)(plan_read *r, rf_json_kind kind))
{
    rf_json_kind kind;
    rf_status status = RF_OK;
    size_t num = 0;
    if (rf_json_next(&r->j) != RF_JSON_ARRAY)
        return plan_bad(r, "no list");
    while (!status && (kind = rf_json_next(&r->j)) != RF_JSON_ARRAY_END)
        status = num++ < RF_PLAN_PARTS_MOST ? read(r, kind) : plan_bad(r, "too long a list");
    return status;
}

/* ---- parts ---- */

enum { PART_PATH, PART_FIRST, PART_COUNT, PART_FATES, PART_DIAL, PART_BYTES };

static rf_status plan_part_member(plan_read *r, void *into, int member)
{
    rf_plan_part *part = into;
    uint64_t number = 0;
    rf_status status;
    if (member == PART_PATH)
        return plan_string(r, RF_PLAN_PATH_MOST, &part->path);
    if (member == PART_FATES)
        return plan_string(r, RF_PLAN_FATES_MOST, &part->fates);
    if (member == PART_DIAL)
        return plan_string(r, RF_PLAN_NAME_MOST, &part->dial);
    if (member == PART_BYTES)
        return plan_number(r, RF_PLAN_DIAL_MOST, &part->bytes);
    status = plan_number(r, RF_PLAN_CHILDREN_MOST, &number);
    *(member == PART_FIRST ? &part->first : &part->count) = (size_t)number;
    return status;
}

static rf_status plan_part(plan_read *r, rf_json_kind kind)
{
    static const char *const names[] = {"path", "first", "count", "fates", "dial", "bytes", NULL};
    const unsigned of_dial = 1u << PART_DIAL | 1u << PART_BYTES;
    rf_plan_part part = {.fates = ""};
    unsigned seen;
    rf_status status = plan_object(r, kind, &(plan_members){names, plan_part_member, &part}, &seen);
    if (status)
        return status;
    if (!part.path)
        return plan_bad(r, "a part without a path");
    if (!(seen & 1u << PART_FIRST) != !(seen & 1u << PART_COUNT))
        return plan_bad(r, "a part with one of first and count alone");
    if (seen & 1u << PART_COUNT && !part.count)
        return plan_bad(r, "a part of no children");
    if (seen & of_dial && seen != (of_dial | 1u << PART_PATH))
        return plan_bad(r,
                        "a part with one of dial and bytes alone, or with more than a dial has,");
    return rf_plan_add_part(r->plan, &part);
}

/* ---- the curve ---- */

static rf_status plan_point_member(plan_read *r, void *into, int member)
{
    rf_plan_point *point = into;
    return member ? plan_seconds(r, &point->seconds) : plan_number(r, UINT64_MAX, &point->peak);
}

/* By rising peak and falling time, as a plan's points are. */
static int plan_point_follows(const rf_plan *plan, const rf_plan_point *point)
{
    const rf_plan_point *last = plan->num_points ? &plan->points[plan->num_points - 1] : NULL;
    return !last || (point->peak > last->peak && point->seconds <= last->seconds);
}

static rf_status plan_point(plan_read *r, rf_json_kind kind)
{
    static const char *const names[] = {"peak", "nanoseconds", NULL};
    rf_plan *plan = r->plan;
    rf_plan_point point = {0, 0};
    unsigned seen;
    rf_status status =
        plan_object(r, kind, &(plan_members){names, plan_point_member, &point}, &seen);
    if (status)
        return status;
    if (seen != 3 || !plan_point_follows(plan, &point))
        return plan_bad(r, "a point that is none of a curve");
    status = rf_plan_grow(r->ctx, &plan->points, plan->num_points, &r->cap_points, sizeof point);
    if (!status)
        plan->points[plan->num_points++] = point;
    return status;
}

/* A plan's points fill what was allocated for them. */
static rf_status plan_fit_points(plan_read *r)
{
    rf_plan *plan = r->plan;
    size_t bytes = plan->num_points * sizeof *plan->points;
    rf_plan_point *points = bytes ? rf_plan_alloc(r->ctx, bytes) : NULL;
    if (points)
        memcpy(points, plan->points, bytes);
    rf_plan_free(r->ctx, plan->points, r->cap_points * sizeof *points);
    plan->points = points;
    if (points || !bytes)
        return RF_OK;
    plan->num_points = 0;
    return rf_context_error(r->ctx)->code;
}

/* ---- the whole ---- */

enum {
    PLAN_FORMAT,
    PLAN_VERSION,
    PLAN_BUDGET,
    PLAN_PEAK,
    PLAN_TIME,
    PLAN_PLAIN_PEAK,
    PLAN_PLAIN_TIME,
    PLAN_SMALLEST,
    PLAN_BOUND,
    PLAN_PARTS,
    PLAN_CURVE
};

static rf_status plan_format(plan_read *r)
{
    const char *text;
    rf_status status = plan_string(r, 64, &text);
    return status || strcmp(text, "refrain-plan") == 0 ? status : plan_bad(r, "another format");
}

static rf_status plan_version(plan_read *r)
{
    uint64_t version = 0;
    rf_status status = plan_number(r, UINT64_MAX, &version);
    return status || version == 1 ? status : plan_bad(r, "a version that is not known");
}

static rf_status plan_top_member(plan_read *r, void *into, int member)
{
    rf_plan_info *info = into;
    switch (member) {
    case PLAN_FORMAT:
        return plan_format(r);
    case PLAN_VERSION:
        return plan_version(r);
    case PLAN_BUDGET:
        return plan_number(r, UINT64_MAX, &info->budget);
    case PLAN_PEAK:
        return plan_number(r, UINT64_MAX, &info->peak);
    case PLAN_TIME:
        return plan_seconds(r, &info->seconds);
    case PLAN_PLAIN_PEAK:
        return plan_number(r, UINT64_MAX, &info->plain_peak);
    case PLAN_PLAIN_TIME:
        return plan_seconds(r, &info->plain_seconds);
    case PLAN_SMALLEST:
        return plan_number(r, UINT64_MAX, &info->smallest);
    case PLAN_BOUND:
        return plan_number(r, UINT64_MAX, &info->bound);
    case PLAN_PARTS:
        return plan_list(r, plan_part);
    default:
        return plan_list(r, plan_point);
    }
}

static rf_status plan_read_all(plan_read *r, size_t len)
{
    static const char *const names[] = {
        "format",   "version", "budget", "peak",  "nanoseconds", "plain_peak", "plain_nanoseconds",
        "smallest", "bound",   "parts",  "curve", NULL};
    const unsigned needed = 1u << PLAN_FORMAT | 1u << PLAN_VERSION | 1u << PLAN_PARTS;
    unsigned seen;
    rf_json_begin(&r->j, r->text, len);
    rf_status status = plan_object(r, rf_json_next(&r->j),
                                   &(plan_members){names, plan_top_member, &r->plan->info}, &seen);
    if (!status && rf_json_next(&r->j) != RF_JSON_END)
        status = plan_bad(r, "no end");
    if (!status && (seen & needed) != needed)
        status = plan_bad(r, "format, version or parts are missing, which a plan needs,");
    rf_status fitted = plan_fit_points(r);
    return status ? status : fitted;
}

rf_status rf_plan_load(rf_plan **out, rf_context *ctx, const char *path)
{
    plan_read r = {.ctx = ctx, .path = path};
    size_t len;
    *out = NULL;
    rf_status status = rf_text_read(&r.text, &len, ctx, path, RF_PLAN_FILE_MOST);
    if (status)
        return status;
    status = rf_plan_begin(&r.plan, ctx);
    if (!status)
        status = plan_read_all(&r, len);
    rf_text_free(ctx, r.text);
    if (!status)
        *out = r.plan;
    else
        rf_plan_destroy(r.plan);
    return status;
}
