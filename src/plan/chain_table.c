/* chain_table.c: the recurrence of chain_recurrence.c on levels of memory.
 *
 * A row per cell, an entry per level: the least time with that much memory, infinite where there is
 * none. Bytes are rounded up to levels, so what an entry promises is true (though better may exist:
 * the front gets plans' exact peaks). Cells of one length do not depend on each other, and threads
 * share them. Times are single precision, shares of the chain's plain time; no choice is noted
 * down, for the few that a plan needs are found again by looking which one gives the entry.
 */
#include "plan/chain_parts.h"

#include <math.h>
#include <string.h>

struct rf_chain_table {
    const rf_allocator *alloc;
    const rf_chain_cells *cells;
    rf_chain_table_options opts;
    double per_level; /* bytes                              */
    double time_unit; /* what a time of 1 in the rows means */
    size_t width;     /* levels + 1                         */
    float *rows;
    float *zeros; /* a row */
};

static const float *table_row(const rf_chain_table *table, size_t s, size_t t)
{
    if (s > t)
        return table->zeros;
    return table->rows + rf_chain_cells_find(table->cells, s, t) * table->width;
}

/* Bytes in levels, rounded up; at most one more than there are. */
static size_t table_levels(const rf_chain_table *table, uint64_t bytes)
{
    double levels = ceil((double)bytes / table->per_level);
    return levels < (double)table->width ? (size_t)levels : table->width;
}

/* One way to begin a sub-chain, as rows: from level `from` on its time is
 * time + rest[level - held] + own[level]. */
typedef struct table_term {
    size_t from, held;
    float time;
    const float *rest, *own;
} table_term;

static table_term table_term_of(const rf_chain_table *table, const rf_chain_list *list,
                                const rf_chain_choice *c)
{
    table_term x = {.from = table_levels(table, c->need), .held = table_levels(table, c->held)};
    x.from = x.from > x.held ? x.from : x.held;
    x.time = (float)(c->time / table->time_unit);
    x.rest = table_row(table, c->last + 1, list->t);
    x.own = c->kind == RF_CHAIN_KEEP ? table->zeros : table_row(table, list->s, c->last);
    return x;
}

/* ---- filling ---- */

typedef struct table_cell {
    const rf_chain_table *table;
    rf_chain_list list;
    float *row;
} table_cell;

static void table_lower(float *restrict row, const float *restrict rest, const float *restrict own,
                        float time, size_t num)
{
#pragma omp simd
    for (size_t i = 0; i < num; i++) {
        float sum = time + rest[i] + own[i];
        row[i] = sum < row[i] ? sum : row[i];
    }
}

static int table_visit(void *payload, const rf_chain_choice *c)
{
    table_cell *cell = payload;
    size_t width = cell->table->width;
    table_term x = table_term_of(cell->table, &cell->list, c);
    if (x.from < width)
        table_lower(cell->row + x.from, x.rest + x.from - x.held, x.own + x.from, x.time,
                    width - x.from);
    return c->kind == RF_CHAIN_REGION && table_levels(cell->table, c->need) >= width;
}

static void table_fill_cell(rf_chain_table *table, size_t id)
{
    const rf_chain_cell *v = &table->cells->v[id];
    table_cell cell = {table, {v->first, v->last, 0, 0}, table->rows + id * table->width};
    for (size_t i = 0; i < table->width; i++)
        cell.row[i] = INFINITY;
    rf_chain_each(table->cells->chain, v->first, v->last, table_visit, &cell);
}

static void table_fill_length(rf_chain_table *table, size_t begin, size_t end)
{
#ifdef _OPENMP
    if (table->opts.threads > 1 && end - begin > 1) {
#pragma omp parallel for num_threads((int)table->opts.threads) schedule(static)
        for (size_t id = begin; id < end; id++)
            table_fill_cell(table, id);
        return;
    }
#endif
    for (size_t id = begin; id < end; id++)
        table_fill_cell(table, id);
}

static void table_fill(rf_chain_table *table)
{
    const rf_chain_cells *cells = table->cells;
    memset(table->zeros, 0, table->width * sizeof *table->zeros);
    for (size_t length = 1; length <= cells->chain->num_stages; length++)
        table_fill_length(table, cells->begin[length], cells->begin[length + 1]);
}

/* ---- plans ---- */

typedef struct table_search {
    const rf_chain_table *table;
    const rf_chain_list *list;
    float best;
    rf_chain_choice choice;
} table_search;

static int table_look(void *payload, const rf_chain_choice *c)
{
    table_search *x = payload;
    size_t level = x->list->level;
    table_term term = table_term_of(x->table, x->list, c);
    if (term.from > level)
        return 0;
    float sum = term.time + term.rest[level - term.held] + term.own[level];
    if (sum < x->best) {
        x->best = sum;
        x->choice = *c;
    }
    return sum <= table_row(x->table, x->list->s, x->list->t)[level];
}

static void table_choose(const void *payload, const rf_chain_list *list, rf_chain_first *out)
{
    const rf_chain_table *table = payload;
    table_search x = {.table = table, .list = list, .best = INFINITY};
    rf_chain_each(table->cells->chain, list->s, list->t, table_look, &x);
    uint32_t held = (uint32_t)table_levels(table, x.choice.held);
    out->choice = x.choice;
    out->rest = (rf_chain_list){x.choice.last + 1, list->t, list->level - held, 0};
    out->own = (rf_chain_list){list->s, x.choice.last, list->level, 0};
}

int rf_chain_table_improves(const rf_chain_table *table, size_t level)
{
    const float *row = table_row(table, 0, table->cells->chain->num_stages - 1);
    return isfinite(row[level]) && (!level || row[level] < row[level - 1]);
}

rf_status rf_chain_table_plan(const rf_chain_table *table, size_t level, rf_chain_nodes *out)
{
    size_t n = table->cells->chain->num_stages;
    rf_chain_tracer tracer = {table->alloc, n, table_choose, table};
    return rf_chain_trace(out, &tracer, (rf_chain_list){0, (uint32_t)n - 1, (uint32_t)level, 0});
}

/* ---- a table ---- */

static uint64_t table_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The largest number that divides every size of the chain; 0: all are nothing. */
static uint64_t table_common(const rf_chain *c)
{
    uint64_t common = table_divisor(c->input, c->input_gradient);
    for (size_t i = 0; i < c->num_stages; i++) {
        const rf_chain_stage *s = &c->stages[i];
        common = table_divisor(common, s->output);
        common = table_divisor(common, s->gradient);
        common = table_divisor(common, s->forward_workspace);
        for (size_t k = 0; k < s->num_options; k++) {
            const rf_chain_option *o = rf_chain_option_of(c, i, k);
            common = table_divisor(common, o->saved);
            common = table_divisor(common, o->forward_workspace);
            common = table_divisor(common, o->backward_workspace);
        }
    }
    return common;
}

/* At least as much as any one time of the chain, and not 0. */
static double table_time_unit(const rf_chain *c)
{
    double sum = 0;
    for (size_t i = 0; i < c->num_stages; i++) {
        double most = 0;
        for (size_t k = 0; k < c->stages[i].num_options; k++) {
            const rf_chain_option *o = rf_chain_option_of(c, i, k);
            most = fmax(most, o->forward + o->backward);
        }
        sum += fmax(most, c->stages[i].forward);
    }
    return sum > 0 ? sum : 1;
}

rf_status rf_chain_table_begin(rf_chain_table **out, const rf_allocator *alloc,
                               const rf_chain_cells *cells, const rf_chain_table_options *opts)
{
    uint64_t common = table_common(cells->chain);
    rf_chain_table *table = rf_allocator_get(alloc, sizeof *table);
    if (!table)
        return RF_E_MEMORY;
    *table = (rf_chain_table){.alloc = alloc, .cells = cells, .opts = *opts};
    table->per_level = (double)opts->bytes / (double)opts->levels;
    if (table->per_level < (double)common || !common) {
        table->per_level = common ? (double)common : 1; /* levels are exact */
        table->opts.levels = (size_t)((double)opts->bytes / table->per_level);
    }
    table->width = table->opts.levels + 1;
    table->time_unit = table_time_unit(cells->chain);
    table->zeros = rf_allocator_get(alloc, table->width * sizeof *table->zeros);
    table->rows = rf_allocator_get(alloc, cells->num * table->width * sizeof *table->rows);
    if (!table->zeros || !table->rows) {
        rf_chain_table_end(table);
        return RF_E_MEMORY;
    }
    table_fill(table);
    *out = table;
    return RF_OK;
}

size_t rf_chain_table_levels(const rf_chain_table *table)
{
    return table->opts.levels;
}

size_t rf_chain_table_bytes(const rf_chain_table *table)
{
    return (table->cells->num + 1) * table->width * sizeof *table->rows;
}

void rf_chain_table_end(rf_chain_table *table)
{
    const rf_allocator *alloc = table->alloc;
    rf_allocator_put(alloc, table->zeros, table->width * sizeof *table->zeros);
    rf_allocator_put(alloc, table->rows, table->cells->num * table->width * sizeof *table->rows);
    rf_allocator_put(alloc, table, sizeof *table);
}
