/* costs_read.c: reading a file of costs (costs.h). The text is walked twice, first to check all of
 * it, then to take from it, so that a file that is damaged anywhere changes nothing. */
#include "io/costs_text.h"
#include "base/number.h"
#include "tensor/context.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { COSTS_CPU = 1, COSTS_THREADS = 2, COSTS_ISA = 4, COSTS_LIBRARY = 8, COSTS_COSTS = 16 };
enum { COSTS_FORMAT = 1, COSTS_VERSION = 2, COSTS_MACHINES = 4 };

static rf_status costs_fail(rf_costs_text *t, const char *what)
{
    return rf_fail(t->ctx, RF_E_FORMAT,
                   "%s: damaged file of costs: %s at byte %zu; remove it, and costs are measured "
                   "anew",
                   t->path, t->j.why ? t->j.why : what, t->j.at);
}

/* ---- values ---- */

/* The KEY or STRING that was just given, decoded into buffer; 0: too long, or it holds a zero. */
static int costs_decode(const rf_json *j, char *buffer, size_t bytes)
{
    size_t len = rf_json_decode(j->token, j->token_len, buffer, bytes - 1);
    if (len >= bytes)
        return 0;
    buffer[len] = 0;
    return strlen(buffer) == len;
}

static rf_status costs_string(rf_costs_text *t, const char *wanted, int *same)
{
    char text[RF_COSTS_CPU];
    if (rf_json_next(&t->j) != RF_JSON_STRING)
        return costs_fail(t, "no string");
    *same = costs_decode(&t->j, text, sizeof text) && strcmp(text, wanted) == 0;
    return RF_OK;
}

static rf_status costs_number(rf_costs_text *t, uint64_t *out)
{
    if (rf_json_next(&t->j) != RF_JSON_NUMBER ||
        !rf_number_parse_u64(t->j.token, t->j.token_len, out))
        return costs_fail(t, "no whole number");
    return RF_OK;
}

/* Which of num names a key is, as a bit; 0: none. */
static int costs_field(const rf_json *j, const char *const *names, int num)
{
    char text[16];
    for (int i = 0; i < num; i++)
        if (costs_decode(j, text, sizeof text) && strcmp(text, names[i]) == 0)
            return 1 << i;
    return 0;
}

static rf_status costs_pass_over(rf_costs_text *t)
{
    return rf_json_skip(&t->j, rf_json_next(&t->j)) == RF_JSON_ERROR ? costs_fail(t, "broken JSON")
                                                                     : RF_OK;
}

/* ---- a machine ---- */

/* {"text": nanoseconds, ...}, put into costs unless it is NULL. */
static rf_status costs_entries(rf_costs_text *t, rf_costs *costs)
{
    char text[RF_COST_TEXT];
    rf_json_kind kind;
    uint64_t ns;
    rf_status status = RF_OK;
    if (rf_json_next(&t->j) != RF_JSON_OBJECT)
        return costs_fail(t, "no object");
    while (!status && (kind = rf_json_next(&t->j)) == RF_JSON_KEY) {
        if (!costs_decode(&t->j, text, sizeof text))
            return costs_fail(t, "a key that is none of ours");
        status = costs_number(t, &ns);
        if (!status && (!ns || ns > RF_COSTS_MOST_NS))
            status = costs_fail(t, "a cost that can't be one");
        if (!status && costs && rf_costs_put_absent(costs, text, (double)ns * 1e-9))
            status = rf_fail(t->ctx, RF_E_MEMORY, "no memory for the costs in %s", t->path);
    }
    if (!status && kind != RF_JSON_OBJECT_END)
        status = costs_fail(t, "no key");
    return status;
}

static rf_status costs_machine_field(rf_costs_text *t, rf_costs_found *found, int field)
{
    const rf_costs_machine *here = &t->here;
    int same = 1;
    uint64_t threads;
    rf_status status = RF_OK;
    switch (field) {
    case COSTS_CPU:
        status = costs_string(t, here->cpu, &found->cpu);
        break;
    case COSTS_THREADS:
        status = costs_number(t, &threads);
        same = !status && threads == here->threads;
        break;
    case COSTS_ISA:
        status = costs_string(t, here->isa, &same);
        break;
    case COSTS_LIBRARY:
        status = costs_string(t, here->library, &found->library);
        break;
    case COSTS_COSTS:
        found->costs = t->j;
        return costs_entries(t, NULL);
    default:
        return costs_pass_over(t);
    }
    found->rest = found->rest && same;
    return status;
}

/* One object of the list, whose brace was just read. */
static rf_status costs_machine(rf_costs_text *t, rf_costs_found *found)
{
    static const char *const names[] = {"cpu", "threads", "isa", "library", "costs"};
    rf_json_kind kind;
    int seen = 0;
    rf_status status = RF_OK;
    *found = (rf_costs_found){.rest = 1, .begin = t->j.at - 1};
    while (!status && (kind = rf_json_next(&t->j)) == RF_JSON_KEY) {
        int field = costs_field(&t->j, names, 5);
        if (seen & field)
            return costs_fail(t, "a member that is there twice");
        seen |= field;
        status = costs_machine_field(t, found, field);
    }
    if (status)
        return status;
    if (kind != RF_JSON_OBJECT_END || seen != 31)
        return costs_fail(t, "a machine without all of its members");
    found->end = t->j.at;
    return RF_OK;
}

static rf_status costs_machines(rf_costs_text *t, rf_costs_visitor visit, void *payload)
{
    rf_json_kind kind;
    rf_costs_found found;
    rf_status status = RF_OK;
    if (rf_json_next(&t->j) != RF_JSON_ARRAY)
        return costs_fail(t, "no list");
    while (!status && (kind = rf_json_next(&t->j)) == RF_JSON_OBJECT) {
        status = costs_machine(t, &found);
        if (!status && visit)
            status = visit(payload, t, &found);
    }
    if (!status && kind != RF_JSON_ARRAY_END)
        status = costs_fail(t, "no machine");
    return status;
}

/* ---- the whole ---- */

static rf_status costs_top_field(rf_costs_text *t, int field, rf_costs_visitor visit, void *payload)
{
    int same = 0;
    uint64_t version = 0;
    rf_status status;
    switch (field) {
    case COSTS_FORMAT:
        status = costs_string(t, "refrain-costs", &same);
        return status || same ? status : costs_fail(t, "another format");
    case COSTS_VERSION:
        status = costs_number(t, &version);
        return status || version == 1 ? status : costs_fail(t, "a version that is not known");
    case COSTS_MACHINES:
        return costs_machines(t, visit, payload);
    default:
        return costs_pass_over(t);
    }
}

rf_status rf_costs_text_walk(rf_costs_text *t, rf_costs_visitor visit, void *payload)
{
    static const char *const names[] = {"format", "version", "machines"};
    rf_json_kind kind;
    int seen = 0;
    rf_status status = RF_OK;
    rf_json_begin(&t->j, t->text, t->len);
    if (rf_json_next(&t->j) != RF_JSON_OBJECT)
        return costs_fail(t, "no object");
    while (!status && (kind = rf_json_next(&t->j)) == RF_JSON_KEY) {
        int field = costs_field(&t->j, names, 3);
        if (seen & field)
            return costs_fail(t, "a member that is there twice");
        seen |= field;
        status = costs_top_field(t, field, visit, payload);
    }
    if (status)
        return status;
    if (kind != RF_JSON_OBJECT_END || seen != 7 || rf_json_next(&t->j) != RF_JSON_END)
        return costs_fail(t, "no end, or not all of its members");
    return RF_OK;
}

static rf_status costs_take(void *payload, const rf_costs_text *t, const rf_costs_found *found)
{
    rf_costs_text inner = *t;
    if (!rf_costs_found_here(found))
        return RF_OK;
    inner.j = found->costs;
    return costs_entries(&inner, payload);
}

rf_status rf_costs_text_take(rf_costs_text *t, rf_costs *costs)
{
    rf_status status = rf_costs_text_walk(t, NULL, NULL);
    return status ? status : rf_costs_text_walk(t, costs_take, costs);
}

rf_status rf_costs_text_open(rf_costs_text *t, rf_costs *costs, const char *path)
{
    struct stat info;
    *t = (rf_costs_text){.ctx = costs->ctx, .path = path};
    rf_costs_machine_here(&t->here, costs->ctx);
    if (stat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return RF_OK;
    return rf_text_read(&t->text, &t->len, costs->ctx, path, RF_COSTS_FILE_MOST);
}

rf_status rf_costs_load(rf_costs *costs, const char *path)
{
    char buffer[RF_COSTS_PATH];
    rf_costs_text t;
    const char *from = path ? path : rf_costs_default_path(buffer);
    if (!from)
        return RF_OK;
    rf_status status = rf_costs_text_open(&t, costs, from);
    if (!status && t.text)
        status = rf_costs_text_take(&t, costs);
    rf_text_free(costs->ctx, t.text);
    if (!status || path)
        return status;
    rf_log_line(costs->ctx, "costs are not read: %s", rf_context_error(costs->ctx)->message);
    return RF_OK;
}
