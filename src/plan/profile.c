/* profile.c: the table of costs: a list of entries and, over it, their places by key (open
 * addressing, at most half full). See profile.h. */
#include "plan/profile.h"
#include "tensor/context_struct.h"

#include <string.h>

/* ---- making and ending ---- */

rf_status rf_costs_create(rf_costs **out, rf_context *ctx)
{
    rf_costs *costs = rf_allocator_get(&ctx->alloc, sizeof *costs);
    *out = costs;
    if (!costs)
        return rf_fail(ctx, RF_E_MEMORY, "no memory for a table of costs");
    *costs = (rf_costs){.ctx = ctx, .alloc = ctx->alloc, .rates = rf_cost_rates_default(ctx)};
    return RF_OK;
}

static void costs_free(rf_costs *costs, void *p, size_t bytes)
{
    rf_allocator_put(&costs->alloc, p, bytes);
}

static size_t costs_call_bytes(size_t num_in, size_t num_out)
{
    return sizeof(rf_cost_call) + (num_in + num_out) * sizeof(rf_view);
}

void rf_cost_call_drop(rf_costs *costs, rf_cost_entry *entry)
{
    if (entry->call)
        costs_free(costs, entry->call, costs_call_bytes(entry->call->num_in, entry->call->num_out));
    entry->call = NULL;
}

static void costs_end_entry(rf_costs *costs, rf_cost_entry *entry)
{
    rf_cost_call_drop(costs, entry);
    costs_free(costs, (char *)(uintptr_t)entry->cost.text, entry->text_bytes);
}

void rf_costs_destroy(rf_costs *costs)
{
    if (!costs)
        return;
    for (size_t i = 0; i < costs->num; i++)
        costs_end_entry(costs, &costs->entries[i]);
    costs_free(costs, costs->entries, costs->capacity * sizeof *costs->entries);
    costs_free(costs, costs->places, costs->num_places * sizeof *costs->places);
    rf_allocator alloc = costs->alloc;
    rf_allocator_put(&alloc, costs, sizeof *costs);
}

/* Zeroed; NULL: no memory, which is remembered. */
static void *costs_alloc(rf_costs *costs, size_t bytes)
{
    void *p = rf_allocator_get(&costs->alloc, bytes);
    if (!p)
        costs->status = RF_E_MEMORY;
    return p ? memset(p, 0, bytes) : NULL;
}

/* ---- places ---- */

/* Where the entry of a key is, or the empty place where it belongs. */
static uint32_t *costs_place(const rf_costs *costs, uint64_t key)
{
    size_t mask = costs->num_places - 1, at = (size_t)key & mask;
    while (costs->places[at] && costs->entries[costs->places[at] - 1].cost.key != key)
        at = (at + 1) & mask;
    return &costs->places[at];
}

static rf_cost_entry *costs_find(const rf_costs *costs, uint64_t key)
{
    uint32_t place = costs->num_places ? *costs_place(costs, key) : 0;
    return place ? &costs->entries[place - 1] : NULL;
}

static int costs_grow_places(rf_costs *costs)
{
    size_t num = costs->num_places ? 2 * costs->num_places : 128;
    uint32_t *places = costs_alloc(costs, num * sizeof *places);
    if (!places)
        return 0;
    costs_free(costs, costs->places, costs->num_places * sizeof *places);
    costs->places = places;
    costs->num_places = num;
    for (size_t i = 0; i < costs->num; i++)
        *costs_place(costs, costs->entries[i].cost.key) = (uint32_t)i + 1;
    return 1;
}

static int costs_grow_entries(rf_costs *costs)
{
    size_t capacity = costs->capacity ? 2 * costs->capacity : 64;
    rf_cost_entry *entries = costs_alloc(costs, capacity * sizeof *entries);
    if (!entries)
        return 0;
    if (costs->num)
        memcpy(entries, costs->entries, costs->num * sizeof *entries);
    costs_free(costs, costs->entries, costs->capacity * sizeof *entries);
    costs->entries = entries;
    costs->capacity = capacity;
    return 1;
}

/* A new entry with a copy of its text; NULL: no memory. */
static rf_cost_entry *costs_add(rf_costs *costs, uint64_t key, const char *text, size_t len)
{
    if (costs->num == costs->capacity && !costs_grow_entries(costs))
        return NULL;
    if (2 * (costs->num + 1) > costs->num_places && !costs_grow_places(costs))
        return NULL;
    char *copy = costs_alloc(costs, len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    uint32_t *place = costs_place(costs, key);
    rf_cost_entry *entry = &costs->entries[costs->num];
    *entry = (rf_cost_entry){.cost = {.key = key, .text = copy}, .text_bytes = len + 1};
    *place = (uint32_t)++costs->num;
    return entry;
}

/* ---- noting ---- */

static rf_cost_call *costs_copy_call(rf_costs *costs, const rf_op_call *call)
{
    rf_cost_call *c = costs_alloc(costs, costs_call_bytes(call->num_in, call->num_out));
    if (!c)
        return NULL;
    c->op = call->op;
    c->num_in = (uint32_t)call->num_in;
    c->num_out = (uint32_t)call->num_out;
    c->views = (rf_view *)(void *)(c + 1);
    memcpy(c->attrs, call->attrs, sizeof c->attrs);
    memcpy(c->views, call->in, call->num_in * sizeof *c->views);
    memcpy(c->views + call->num_in, call->out, call->num_out * sizeof *c->views);
    for (size_t i = 0; i < call->num_in + call->num_out; i++)
        c->views[i].data = NULL;
    return c;
}

rf_op_call rf_cost_call_open(const rf_cost_call *c, rf_context *ctx, rf_view *in, rf_view *out)
{
    memcpy(in, c->views, c->num_in * sizeof *in);
    memcpy(out, c->views + c->num_in, c->num_out * sizeof *out);
    for (size_t i = 0; i < c->num_in; i++)
        in[i].shape.device = RF_DEVICE_CPU;
    for (size_t j = 0; j < c->num_out; j++)
        out[j].shape.device = RF_DEVICE_CPU;
    return (rf_op_call){.ctx = ctx,
                        .op = c->op,
                        .attrs = c->attrs,
                        .num_in = c->num_in,
                        .num_out = c->num_out,
                        .in = in,
                        .out = out};
}

uint64_t rf_costs_note(rf_costs *costs, const rf_op_call *call)
{
    char text[RF_COST_TEXT];
    if (call->op->traits & RF_OP_VIEW)
        return 0;
    uint64_t key = rf_cost_key(call, text);
    rf_cost_entry *entry = costs_find(costs, key);
    if (!entry)
        entry = costs_add(costs, key, text, strlen(text));
    if (!entry)
        return 0;
    if (!entry->call && entry->cost.origin != RF_COST_MEASURED) {
        entry->call = costs_copy_call(costs, call);
        entry->cost.seconds = rf_cost_model(&costs->rates, call);
    }
    entry->cost.count++;
    return key;
}

double rf_costs_seconds(const rf_costs *costs, uint64_t key)
{
    const rf_cost_entry *entry = costs_find(costs, key);
    return entry ? entry->cost.seconds : 0;
}

static double costs_of_form(rf_costs *costs, const rf_op_call *call)
{
    return rf_costs_seconds(costs, rf_costs_note(costs, call));
}

/* Its share of one of the two calls that it lies between. */
static double costs_of_end(rf_costs *costs, const rf_op_call *call, int end)
{
    rf_view in[RF_MAX_INPUTS], out[RF_MAX_OUTPUTS];
    unsigned char attrs[RF_MAX_ATTRS];
    rf_op_call form = *call;
    memcpy(in, call->in, call->num_in * sizeof *in);
    memcpy(out, call->out, call->num_out * sizeof *out);
    memcpy(attrs, call->attrs, sizeof attrs);
    form.in = in;
    form.out = out;
    form.attrs = attrs;
    double share = call->op->between(&form, attrs, end);
    share = end ? share : 1 - share;
    return share > 0 ? share * costs_of_form(costs, &form) : 0;
}

double rf_costs_of(rf_costs *costs, const rf_op_call *call)
{
    if (!call->op->between)
        return costs_of_form(costs, call);
    return costs_of_end(costs, call, 0) + costs_of_end(costs, call, 1);
}

rf_status rf_costs_put(rf_costs *costs, const char *text, double seconds)
{
    size_t len = strlen(text);
    uint64_t key = rf_cost_key_of_text(text, len);
    rf_cost_entry *entry = costs_find(costs, key);
    if (!entry)
        entry = costs_add(costs, key, text, len);
    if (!entry)
        return RF_E_MEMORY;
    entry->cost.seconds = seconds;
    entry->cost.origin = RF_COST_MEASURED;
    return RF_OK;
}

rf_status rf_costs_put_absent(rf_costs *costs, const char *text, double seconds)
{
    const rf_cost_entry *entry = costs_find(costs, rf_cost_key_of_text(text, strlen(text)));
    return entry && entry->cost.origin == RF_COST_MEASURED ? RF_OK
                                                           : rf_costs_put(costs, text, seconds);
}

void rf_costs_set_rates(rf_costs *costs, const rf_cost_rates *rates)
{
    rf_view in[RF_MAX_INPUTS], out[RF_MAX_OUTPUTS];
    costs->rates = *rates;
    for (size_t i = 0; i < costs->num; i++) {
        rf_cost_entry *entry = &costs->entries[i];
        if (entry->cost.origin == RF_COST_MEASURED || !entry->call)
            continue;
        rf_op_call call = rf_cost_call_open(entry->call, costs->ctx, in, out);
        entry->cost.seconds = rf_cost_model(rates, &call);
    }
}

/* ---- what it is asked ---- */

rf_status rf_costs_status(const rf_costs *costs)
{
    return costs->status;
}

double rf_costs_total(const rf_costs *costs)
{
    double total = 0;
    for (size_t i = 0; i < costs->num; i++)
        total += (double)costs->entries[i].cost.count * costs->entries[i].cost.seconds;
    return total;
}

void rf_costs_reset_counts(rf_costs *costs)
{
    for (size_t i = 0; i < costs->num; i++)
        costs->entries[i].cost.count = 0;
}

size_t rf_costs_num(const rf_costs *costs, rf_cost_origin origin)
{
    size_t num = 0;
    for (size_t i = 0; i < costs->num; i++)
        num += costs->entries[i].cost.origin == origin;
    return num;
}

rf_costs_counts rf_costs_counts_of(const rf_costs *costs)
{
    return (rf_costs_counts){costs->num, rf_costs_num(costs, RF_COST_MEASURED)};
}

size_t rf_costs_size(const rf_costs *costs)
{
    return costs->num;
}

rf_cost rf_costs_at(const rf_costs *costs, size_t index)
{
    return costs->entries[index].cost;
}
