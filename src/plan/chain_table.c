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

#define TABLE_LESS (1 - 1e-12) /* so that a whole number of levels is not rounded up */
#define TABLE_WORK 1e6         /* additions that are worth a meeting of threads           */

struct rf_chain_table {
    const rf_allocator *alloc;
    const rf_chain_cells *cells;
    rf_chain_table_options opts;
    double levels_per_byte;
    double per_time; /* times in rows are multiplied by this                    */
    size_t width;    /* levels + 1                                              */
    float *rows;
    float *zeros;    /* a row                                                   */
    uint32_t *first; /* of each cell, its lowest level with a plan               */
};

typedef struct table_line {
    const float *row;
    size_t first; /* its lowest level that is not infinite */
} table_line;

static table_line table_of(const rf_chain_table *table, size_t s, size_t t)
{
    if (s > t)
        return (table_line){table->zeros, 0};
    size_t id = rf_chain_cells_find(table->cells, s, t);
    return (table_line){table->rows + id * table->width, table->first[id]};
}

/* Bytes in levels, rounded up; at most one more than there are. */
static size_t table_levels(const rf_chain_table *table, uint64_t bytes)
{
    double levels = (double)bytes * table->levels_per_byte;
    if (levels >= (double)table->width)
        return table->width;
    size_t whole = (size_t)levels;
    return whole + (levels > (double)whole);
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
    table_line rest = table_of(table, c->last + 1, list->t), own = {table->zeros, 0};
    if (c->kind == RF_CHAIN_REGION)
        own = table_of(table, list->s, c->last);
    size_t from = table_levels(table, c->need), held = table_levels(table, c->held);
    from = from > rest.first + held ? from : rest.first + held;
    from = from > own.first ? from : own.first;
    return (table_term){from, held, (float)(c->time * table->per_time), rest.row, own.row};
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

/* The level from which on a row, which never rises, is not above `least`. */
static size_t table_reaches(const float *row, size_t from, size_t to, float least)
{
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (row[middle] <= least)
            to = middle;
        else
            from = middle + 1;
    }
    return to;
}

static int table_visit(void *payload, const rf_chain_choice *c)
{
    table_cell *cell = payload;
    size_t to = cell->table->width;
    table_term x = table_term_of(cell->table, &cell->list, c);
    if (x.from >= to)
        return c->kind == RF_CHAIN_REGION && table_levels(cell->table, c->need) >= to;
    float least = x.time + x.rest[to - 1 - x.held] + x.own[to - 1];
    to = table_reaches(cell->row, x.from, to, least);
    table_lower(cell->row + x.from, x.rest + x.from - x.held, x.own + x.from, x.time, to - x.from);
    return 0;
}

static void table_fill_cell(rf_chain_table *table, size_t id)
{
    const rf_chain_cell *v = &table->cells->v[id];
    table_cell cell = {table, {v->first, v->last, 0, 0}, table->rows + id * table->width};
    for (size_t i = 0; i < table->width; i++)
        cell.row[i] = INFINITY;
    rf_chain_each(table->cells->chain, v->first, v->last, table_visit, &cell);
    size_t first = 0;
    while (first < table->width && isinf(cell.row[first]))
        first++;
    table->first[id] = (uint32_t)first;
}

/* Cells of one length. Threads meet after each length, which is worth it only for much work. */
static void table_fill_length(rf_chain_table *table, size_t length)
{
    size_t begin = table->cells->begin[length], end = table->cells->begin[length + 1];
#ifdef _OPENMP
    double work = (double)(end - begin) * (double)length * (double)table->width;
    if (table->opts.threads > 1 && end - begin > 4 * table->opts.threads && work > TABLE_WORK) {
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
        table_fill_length(table, length);
}

/* ---- plans ---- */

typedef struct table_search {
    const rf_chain_table *table;
    const rf_chain_list *list;
    float goal, best; /* the entry, and the best so far */
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
    return sum <= x->goal;
}

static void table_choose(const void *payload, const rf_chain_list *list, rf_chain_first *out)
{
    const rf_chain_table *table = payload;
    table_search x = {.table = table, .list = list, .best = INFINITY};
    x.goal = table_of(table, list->s, list->t).row[list->level];
    rf_chain_each(table->cells->chain, list->s, list->t, table_look, &x);
    uint32_t held = (uint32_t)table_levels(table, x.choice.held);
    out->choice = x.choice;
    out->rest = (rf_chain_list){x.choice.last + 1, list->t, list->level - held, 0};
    out->own = (rf_chain_list){list->s, x.choice.last, list->level, 0};
}

int rf_chain_table_improves(const rf_chain_table *table, size_t level)
{
    const float *row = table_of(table, 0, table->cells->chain->num_stages - 1).row;
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

/* At least as much as any one time of the chain. */
static double table_longest(const rf_chain *c)
{
    double sum = 0;
    for (size_t i = 0; i < c->num_stages; i++) {
        double most = c->stages[i].forward;
        for (size_t k = 0; k < c->stages[i].num_options; k++) {
            const rf_chain_option *o = rf_chain_option_of(c, i, k);
            most = fmax(most, o->forward + o->backward);
        }
        sum += most;
    }
    return sum;
}

/* What a level and a time stand for. No level is finer than what divides all sizes: then rounding
 * loses nothing. */
static void table_scale(rf_chain_table *table)
{
    const rf_chain *c = table->cells->chain;
    double common = (double)table_common(c), longest = table_longest(c);
    double per_level = (double)table->opts.bytes / (double)table->opts.levels;
    if (per_level <= common || per_level <= 0) {
        per_level = common > 0 ? common : 1;
        table->opts.levels = (size_t)((double)table->opts.bytes / per_level);
    }
    table->width = table->opts.levels + 1;
    table->levels_per_byte = TABLE_LESS / per_level;
    table->per_time = longest > 1 / RF_CHAIN_MOST_TIME ? 1 / longest : 1;
}

static rf_status table_allocate(rf_chain_table *table)
{
    size_t num = table->cells->num;
    table->zeros = rf_allocator_get(table->alloc, table->width * sizeof *table->zeros);
    table->rows = rf_allocator_get(table->alloc, num * table->width * sizeof *table->rows);
    table->first = rf_allocator_get(table->alloc, num * sizeof *table->first);
    return table->zeros && table->rows && table->first ? RF_OK : RF_E_MEMORY;
}

rf_status rf_chain_table_begin(rf_chain_table **out, const rf_allocator *alloc,
                               const rf_chain_cells *cells, const rf_chain_table_options *opts)
{
    rf_chain_table *table = rf_allocator_get(alloc, sizeof *table);
    if (!table)
        return RF_E_MEMORY;
    *table = (rf_chain_table){.alloc = alloc, .cells = cells, .opts = *opts};
    table_scale(table);
    rf_status status = table_allocate(table);
    if (status) {
        rf_chain_table_end(table);
        return status;
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
    return (table->cells->num + 1) * table->width * sizeof *table->rows +
           table->cells->num * sizeof *table->first;
}

void rf_chain_table_end(rf_chain_table *table)
{
    const rf_allocator *alloc = table->alloc;
    size_t num = table->cells->num;
    rf_allocator_put(alloc, table->zeros, table->width * sizeof *table->zeros);
    rf_allocator_put(alloc, table->rows, num * table->width * sizeof *table->rows);
    rf_allocator_put(alloc, table->first, num * sizeof *table->first);
    rf_allocator_put(alloc, table, sizeof *table);
}
