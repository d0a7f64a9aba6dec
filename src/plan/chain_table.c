/* chain_table.c: the recurrence of chain_recurrence.c on levels of memory.
 *
 * A row per cell, an entry per level: the least time with that much memory, infinite where there is
 * none. Bytes are rounded up to levels, so what an entry promises is true (though better may exist:
 * the front gets plans' exact peaks). Times are single precision, shares of the chain's plain time;
 * no choice is noted down, for the few that a plan needs are found again by looking which one gives
 * the entry.
 */
#include "plan/chain_parts.h"

#include <math.h>
#include <string.h>

#define TABLE_LESS (1 - 1e-12) /* so that a whole number of levels is not rounded up */
enum {
    TABLE_BLOCK = 12, /* stages */
};

struct rf_chain_table {
    const rf_allocator *alloc;
    const rf_chain_cells *cells;
    rf_chain_table_options opts;
    double levels_per_byte;
    double per_time; /* times in rows are multiplied by this                    */
    size_t width;    /* levels + 1                                              */
    size_t num_rows; /* one of each cell, and then those of its other lists    */
    float *rows;
    float *zeros;    /* a row                                                   */
    uint32_t *first; /* of each row, its lowest level with a plan               */
    uint32_t *more;  /* of each cell, its first other row; NULL: none has any   */
};

typedef struct table_line {
    const float *row;
    size_t first; /* its lowest level that is not infinite */
} table_line;

/* How many values of a cell may be a loan, and how many of its last records may wait. */
static size_t table_loans(const rf_chain_table *table, size_t s, size_t t)
{
    size_t inner = t > s + 1 ? t - s - 1 : 0;
    return inner < table->opts.windows.loan ? inner : table->opts.windows.loan;
}

static size_t table_lates(const rf_chain_table *table, size_t s, size_t t)
{
    return table->opts.windows.late && t - s <= table->opts.windows.late
               ? table->cells->chain->stages[t].num_options
               : 0;
}

static inline size_t table_row_of(const rf_chain_table *table, const rf_chain_list *list)
{
    size_t id = rf_chain_cells_find(table->cells, list->s, list->t);
    if (!list->late && !list->loan)
        return id;
    size_t loan = list->loan ? list->loan - list->s : 0;
    return table->more[id] + list->late * (table_loans(table, list->s, list->t) + 1) + loan - 1;
}

static table_line table_of(const rf_chain_table *table, const rf_chain_list *list)
{
    if (rf_chain_list_empty(list))
        return (table_line){table->zeros, 0};
    size_t row = table_row_of(table, list);
    return (table_line){table->rows + row * table->width, table->first[row]};
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

/* The levels of the record that waits beside a LATE's list. */
static size_t table_waiting(const rf_chain_table *table, const rf_chain_list *list)
{
    if (!list->late)
        return 0;
    return table_levels(table,
                        rf_chain_option_of(table->cells->chain, list->t, list->late - 1)->saved);
}

/* A choice of a list, by levels: its rest has `held` less than the list, and its own has `more`,
 * for the record that waited is gone by then. */
typedef struct table_shift {
    size_t held;
    ptrdiff_t more;
} table_shift;

static table_shift table_shift_of(const rf_chain_table *table, const rf_chain_list *list,
                                  const rf_chain_choice *c)
{
    table_shift x = {table_levels(table, c->held), 0};
    if (!rf_chain_list_empty(&c->own))
        x.more =
            (ptrdiff_t)table_waiting(table, list) - (ptrdiff_t)table_levels(table, c->own_held);
    return x;
}

/* The same as rows: from level `from` on, the time of level from + i is time + rest[i] + own[i]. */
typedef struct table_term {
    size_t from;
    rf_chain_row_sum sum;
} table_term;

static size_t table_above(size_t from, ptrdiff_t least)
{
    return (ptrdiff_t)from > least ? from : (size_t)least;
}

static table_term table_term_of(const rf_chain_table *table, const rf_chain_list *list,
                                const rf_chain_choice *c)
{
    table_shift x = table_shift_of(table, list, c);
    table_line rest = table_of(table, &c->rest), own = table_of(table, &c->own);
    size_t from = table_above(table_levels(table, c->need), (ptrdiff_t)(rest.first + x.held));
    from = table_above(from, (ptrdiff_t)own.first - x.more);
    if (from >= table->width)
        return (table_term){.from = table->width};
    return (table_term){from,
                        {(float)(c->time * table->per_time), rest.row + (from - x.held),
                         own.row + ((ptrdiff_t)from + x.more)}};
}

/* ---- filling ---- */

/* A row that is being filled. */
typedef struct table_fresh {
    const rf_chain_table *table;
    rf_chain_list list;
    float *row;
    size_t width; /* levels that anyone can be at */
} table_fresh;

static int table_visit(void *payload, const rf_chain_choice *c)
{
    table_fresh *x = payload;
    table_term term = table_term_of(x->table, &x->list, c);
    if (term.from >= x->width)
        return table_levels(x->table, c->need) >= x->width;
    size_t num = x->width - term.from;
    rf_chain_row_lower(x->row + term.from, &term.sum, num);
    return 0;
}

/* D(t,t,k,m): value t is there, and so is the record. */
static void table_fill_last(const table_fresh *x)
{
    const rf_chain *c = x->table->cells->chain;
    size_t t = x->list.t;
    const rf_chain_option *o = rf_chain_option_of(c, t, x->list.late - 1);
    uint64_t need = rf_chain_need_backward(c, t, o) - o->saved;
    for (size_t i = table_levels(x->table, need); i < x->width; i++)
        x->row[i] = (float)(o->backward * x->table->per_time);
}

static void table_fill_row(rf_chain_table *table, rf_chain_list list)
{
    size_t width = table->width, waiting = table_waiting(table, &list), first = 0;
    size_t row = table_row_of(table, &list);
    table_fresh x = {table, list, table->rows + row * width, 0};
    x.width = width > waiting ? width - waiting : 0;
    for (size_t i = 0; i < width; i++)
        x.row[i] = INFINITY;
    if (rf_chain_list_last(&list))
        table_fill_last(&x);
    else
        rf_chain_each(table->cells->chain, &list, &table->opts.windows, table_visit, &x);
    while (first < width && isinf(x.row[first]))
        first++;
    table->first[row] = (uint32_t)first;
}

/* All lists of a cell: those with a loan before the one that lends. */
static void table_fill_cell(rf_chain_table *table, size_t id)
{
    const rf_chain_cell *v = &table->cells->v[id];
    rf_chain_list list = {.s = v->first, .t = v->last};
    uint32_t lates = (uint32_t)table_lates(table, list.s, list.t);
    uint32_t loans = (uint32_t)table_loans(table, list.s, list.t);
    for (list.late = 0; list.late <= lates; list.late++) {
        for (list.loan = list.s + loans; list.loan > list.s; list.loan--)
            table_fill_row(table, list);
        list.loan = 0;
        table_fill_row(table, list);
    }
}

/* The sub-chains that begin in block `from` of stages and end in block `to`. What they need ends or
 * begins in between, and is done, or is one of them: shorter ones come first. */
static void table_fill_block(rf_chain_table *table, size_t from, size_t to)
{
    const rf_chain_cells *cells = table->cells;
    size_t n = cells->chain->num_stages, begin = from * TABLE_BLOCK, end = begin + TABLE_BLOCK;
    for (size_t t = to * TABLE_BLOCK; t < n && t < (to + 1) * TABLE_BLOCK; t++)
        for (size_t s = end < t + 1 ? end : t + 1; s-- > begin;)
            table_fill_cell(table, rf_chain_cells_find(cells, s, t));
}

/* A chain of different stages, block by block, so that rows are used again while they are near.
 * Blocks at one distance do not depend on each other, and threads share them. */
static void table_fill_blocks(rf_chain_table *table)
{
    size_t num = (table->cells->chain->num_stages + TABLE_BLOCK - 1) / TABLE_BLOCK;
    for (size_t distance = 0; distance < num; distance++) {
#ifdef _OPENMP
        int threads = (int)table->opts.threads;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1 && num > 2)
#endif
        for (size_t from = 0; from < num - distance; from++)
            table_fill_block(table, from, from + distance);
    }
}

static void table_fill(rf_chain_table *table)
{
    size_t n = table->cells->chain->num_stages;
    memset(table->zeros, 0, table->width * sizeof *table->zeros);
    if (table->cells->num == n * (n + 1) / 2) {
        table_fill_blocks(table);
        return;
    }
    for (size_t id = 0; id < table->cells->num; id++) /* shared, so few; by length */
        table_fill_cell(table, id);
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
    size_t level = (size_t)x->list->memory;
    if (x->best <= x->goal)
        return 1;
    table_term term = table_term_of(x->table, x->list, c);
    if (term.from > level)
        return 0;
    size_t at = level - term.from;
    float sum = term.sum.time + term.sum.rest[at] + term.sum.own[at];
    if (sum < x->best) {
        x->best = sum;
        x->choice = *c;
    }
    return 0;
}

static void table_choose(const void *payload, const rf_chain_list *list, rf_chain_choice *out)
{
    const rf_chain_table *table = payload;
    table_search x = {.table = table, .list = list, .best = INFINITY};
    x.goal = table_of(table, list).row[list->memory];
    rf_chain_each(table->cells->chain, list, &table->opts.windows, table_look, &x);
    table_shift shift = table_shift_of(table, list, &x.choice);
    *out = x.choice;
    out->rest.memory = list->memory - shift.held;
    out->own.memory = list->memory + (uint64_t)shift.more;
}

static table_line table_whole(const rf_chain_table *table)
{
    uint32_t n = (uint32_t)table->cells->chain->num_stages;
    return table_of(table, &(rf_chain_list){.t = n - 1});
}

int rf_chain_table_improves(const rf_chain_table *table, size_t level)
{
    const float *row = table_whole(table).row;
    return isfinite(row[level]) && (!level || row[level] < row[level - 1]);
}

rf_status rf_chain_table_plan(const rf_chain_table *table, size_t level, rf_chain_plan *out)
{
    rf_chain_tracer tracer = {table->alloc, table->cells->chain->num_stages,
                              rf_chain_windows_any(&table->opts.windows), table_choose, table};
    return rf_chain_trace(out, &tracer, level);
}

/* ---- a table ---- */

/* What a level and a time stand for. No level is finer than what divides all sizes: then rounding
 * loses nothing. */
static void table_scale(rf_chain_table *table)
{
    const rf_chain *c = table->cells->chain;
    double common = (double)rf_chain_common(c), longest = rf_chain_longest(c);
    double per_level = (double)table->opts.bytes / (double)table->opts.levels;
    if (per_level <= common || per_level <= 0) {
        per_level = common > 0 ? common : 1;
        table->opts.levels = (size_t)((double)table->opts.bytes / per_level);
    }
    table->width = table->opts.levels + 1;
    table->levels_per_byte = TABLE_LESS / per_level;
    table->per_time = longest > 1 / RF_CHAIN_MOST_TIME ? 1 / longest : 1;
}

size_t rf_chain_table_count(const rf_chain_cells *cells, const rf_chain_windows *windows)
{
    rf_chain_table table = {.cells = cells, .opts.windows = *windows};
    size_t num = 0;
    for (size_t id = 0; id < cells->num; id++) {
        size_t s = cells->v[id].first, t = cells->v[id].last;
        num += (table_lates(&table, s, t) + 1) * (table_loans(&table, s, t) + 1);
    }
    return num;
}

/* The rows of other lists come after those of all cells. */
static rf_status table_place_rows(rf_chain_table *table)
{
    const rf_chain_cells *cells = table->cells;
    table->num_rows = cells->num;
    if (!rf_chain_windows_any(&table->opts.windows))
        return RF_OK;
    table->more = rf_allocator_get(table->alloc, cells->num * sizeof *table->more);
    if (!table->more)
        return RF_E_MEMORY;
    for (size_t id = 0; id < cells->num; id++) {
        size_t s = cells->v[id].first, t = cells->v[id].last;
        table->more[id] = (uint32_t)table->num_rows;
        table->num_rows += (table_lates(table, s, t) + 1) * (table_loans(table, s, t) + 1) - 1;
    }
    return RF_OK;
}

static rf_status table_allocate(rf_chain_table *table)
{
    rf_status status = table_place_rows(table);
    if (status)
        return status;
    table->zeros = rf_allocator_get(table->alloc, table->width * sizeof *table->zeros);
    table->rows =
        rf_allocator_get(table->alloc, table->num_rows * table->width * sizeof *table->rows);
    table->first = rf_allocator_get(table->alloc, table->num_rows * sizeof *table->first);
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
    return table->num_rows * (table->width * sizeof *table->rows + sizeof *table->first);
}

void rf_chain_table_end(rf_chain_table *table)
{
    const rf_allocator *alloc = table->alloc;
    size_t num = table->num_rows;
    rf_allocator_put(alloc, table->zeros, table->width * sizeof *table->zeros);
    rf_allocator_put(alloc, table->rows, num * table->width * sizeof *table->rows);
    rf_allocator_put(alloc, table->first, num * sizeof *table->first);
    rf_allocator_put(alloc, table->more, table->cells->num * sizeof *table->more);
    rf_allocator_put(alloc, table, sizeof *table);
}
