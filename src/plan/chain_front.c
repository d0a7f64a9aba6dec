/* chain_front.c: the verified plans of a chain, and the budgets that they answer.
 *
 * Invariant: every point was unfolded and simulated; its peak is exact whatever the levels of the
 * table that it came from rounded; peaks rise and times fall along the points. A table is thus only
 * a source of candidates: all its levels are tried, not the one that a budget rounds to.
 */
#include "plan/chain_parts.h"

#include <string.h>

enum {
    FRONT_LEVELS_LEAST = 500,
    FRONT_LEVELS_MOST = 8000,
    FRONT_LEVELS_LIMIT = 1 << 20,
    FRONT_WINDOW = 16,
    FRONT_EXACT_STAGES = 8,
    FRONT_EXACT_STATES = 1 << 21, /* of all searches of one call */
};
#define FRONT_TABLE_BYTES ((size_t)48 << 20) /* of a table whose levels nobody asked for */
#define FRONT_TABLE_WORK  4e8                /* additions in one                         */
#define FRONT_SAME_TIME   1e-12              /* relative: sums in another order          */

/* A candidate is made here. */
typedef struct front_work {
    rf_chain_front *front;
    rf_chain_plan plan;
} front_work;

static void front_work_end(front_work *w)
{
    rf_chain_nodes_end(&w->plan.nodes, &w->front->alloc);
    rf_chain_steps_end(&w->plan.steps, &w->front->alloc);
}

/* ---- points ---- */

static void front_point_end(rf_chain_front *front, rf_chain_point *point)
{
    rf_chain_nodes_end(&point->plan, &front->alloc);
    rf_chain_steps_end(&point->steps, &front->alloc);
}

/* How many points have at most this peak. */
static size_t front_within(const rf_chain_front *front, uint64_t peak)
{
    size_t low = 0, high = front->num;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (front->points[middle].peak <= peak)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Point `at` becomes this one; those from there on that it beats go. */
static rf_status front_put(rf_chain_front *front, size_t at, rf_chain_point point)
{
    size_t stop = at;
    rf_status status = rf_chain_grow(&front->alloc, &front->points, front->num, &front->capacity,
                                     sizeof *front->points);
    if (status)
        return status;
    double beaten = point.time * (1 - FRONT_SAME_TIME);
    for (; stop < front->num && front->points[stop].time >= beaten; stop++)
        front_point_end(front, &front->points[stop]);
    memmove(front->points + at + 1, front->points + stop,
            (front->num - stop) * sizeof *front->points);
    front->points[at] = point;
    front->num = front->num + at + 1 - stop;
    return RF_OK;
}

/* A copy without spare room of a list that a point keeps. */
static rf_status front_copy(const rf_allocator *alloc, const void *from, size_t bytes, void *to)
{
    void **v = to;
    *v = bytes ? rf_allocator_get(alloc, bytes) : NULL;
    if (!bytes)
        return RF_OK;
    if (!*v)
        return RF_E_MEMORY;
    memcpy(*v, from, bytes);
    return RF_OK;
}

/* The candidate, if it is better than what is there. Where there is a tree, the steps can be had
 * from it again. */
static rf_status front_put_if_better(front_work *w, const rf_chain_cost *cost)
{
    rf_chain_front *front = w->front;
    const rf_chain_plan *plan = &w->plan;
    size_t at = front_within(front, cost->peak);
    if (at && front->points[at - 1].time * (1 - FRONT_SAME_TIME) <= cost->time)
        return RF_OK;
    if (at && front->points[at - 1].peak == cost->peak)
        at--;
    rf_chain_point point = {.peak = cost->peak, .time = cost->time};
    point.plan.num = point.plan.capacity = plan->nodes.num;
    point.steps.num = point.steps.capacity = plan->nodes.num ? 0 : plan->steps.num;
    rf_status status = front_copy(&front->alloc, plan->nodes.v,
                                  point.plan.num * sizeof *plan->nodes.v, &point.plan.v);
    if (!status)
        status = front_copy(&front->alloc, plan->steps.v, point.steps.num * sizeof *plan->steps.v,
                            &point.steps.v);
    if (!status)
        status = front_put(front, at, point);
    if (status)
        front_point_end(front, &point);
    return status;
}

/* The candidate is unfolded, if it is a tree, simulated and offered; then there is none. */
static rf_status front_offer(front_work *w, rf_chain_cost *cost)
{
    rf_chain_front *front = w->front;
    rf_chain_plan *plan = &w->plan;
    rf_status status = RF_OK;
    if (plan->nodes.num)
        status = rf_chain_unfold(&plan->steps, &front->alloc, front->chain, &plan->nodes);
    if (!status)
        status = rf_chain_simulate(cost, &front->alloc, front->chain, &plan->steps);
    if (!status)
        status = front_put_if_better(w, cost);
    plan->nodes.num = plan->steps.num = 0;
    return status;
}

/* ---- candidates ---- */

static rf_status front_offer_plain(front_work *w)
{
    rf_chain_front *front = w->front;
    rf_status status = RF_OK;
    for (uint32_t i = 0; i < front->chain->num_stages && !status; i++) {
        rf_chain_node node = {RF_CHAIN_KEEP, i, 1, rf_chain_fastest(front->chain, i), 0};
        status = rf_chain_nodes_add(&w->plan.nodes, &front->alloc, node);
    }
    return status ? status : front_offer(w, &front->plain);
}

static rf_status front_offer_least(front_work *w, const rf_chain_cells *cells)
{
    rf_chain_cost cost;
    rf_status status = rf_chain_least(&w->plan, &w->front->alloc, cells);
    return status ? status : front_offer(w, &cost);
}

/* Levels that are worth their time and memory: more for chains with few cells. */
static size_t front_levels(const rf_chain_front *front, const rf_chain_cells *cells,
                           const rf_chain_windows *windows)
{
    double rows = (double)rf_chain_table_count(cells, windows);
    double work = FRONT_TABLE_WORK / (rows * (double)front->chain->num_stages / 3);
    double fit = (double)(FRONT_TABLE_BYTES / sizeof(float)) / rows;
    double levels = work < fit ? work : fit;
    return levels < FRONT_LEVELS_MOST ? (size_t)levels : FRONT_LEVELS_MOST;
}

/* With free schedules, windows as wide as leave levels enough. */
static void front_size_table(const rf_chain_front *front, const rf_chain_cells *cells,
                             rf_chain_table_options *opts)
{
    size_t window = front->opts.free ? FRONT_WINDOW : 0, levels;
    for (;; window /= 2) {
        opts->windows = (rf_chain_windows){window, window};
        levels = front_levels(front, cells, &opts->windows);
        if (levels >= FRONT_LEVELS_LEAST || !window)
            break;
    }
    opts->levels = levels > FRONT_LEVELS_LEAST ? levels : FRONT_LEVELS_LEAST;
    if (front->opts.levels)
        opts->levels =
            front->opts.levels < FRONT_LEVELS_LIMIT ? front->opts.levels : FRONT_LEVELS_LIMIT;
}

static rf_status front_offer_level(front_work *w, const rf_chain_table *table, size_t level)
{
    rf_chain_cost cost;
    rf_status status = rf_chain_table_plan(table, level, &w->plan);
    return status ? status : front_offer(w, &cost);
}

/* Every level of a table whose highest stands for these bytes, the input not among them. */
static rf_status front_offer_table(front_work *w, const rf_chain_cells *cells, uint64_t bytes)
{
    rf_chain_front *front = w->front;
    rf_chain_table *table;
    rf_chain_table_options opts = {.bytes = bytes, .threads = front->opts.threads};
    front_size_table(front, cells, &opts);
    rf_status status = rf_chain_table_begin(&table, &front->alloc, cells, &opts);
    if (status)
        return status;
    if (rf_chain_table_bytes(table) > front->table_bytes)
        front->table_bytes = rf_chain_table_bytes(table);
    for (size_t level = 0; level <= rf_chain_table_levels(table) && !status; level++)
        if (rf_chain_table_improves(table, level))
            status = front_offer_level(w, table, level);
    rf_chain_table_end(table);
    return status;
}

/* The fastest schedules of a short chain within a budget, and then within less than each took, so
 * many times. Stops without an error where none is left, or where it takes too long. */
static rf_status front_offer_exact(front_work *w, uint64_t budget, size_t times)
{
    rf_chain_front *front = w->front;
    size_t states = FRONT_EXACT_STATES;
    rf_status status = RF_OK;
    rf_chain_cost cost = {.peak = budget + 1};
    for (size_t i = 0; i < times && cost.peak && !status; i++) {
        status =
            rf_chain_exact(&w->plan.steps, &front->alloc, front->chain, cost.peak - 1, &states);
        if (!status)
            status = front_offer(w, &cost);
    }
    return status == RF_E_BUDGET || status == RF_E_UNSUPPORTED ? RF_OK : status;
}

/* The fastest plan of a short chain within a budget, to the byte. Free schedules have windows. */
static rf_status front_offer_bytes(front_work *w, uint64_t budget)
{
    rf_chain_front *front = w->front;
    rf_chain_windows windows = {0, 0};
    rf_chain_cost cost;
    if (front->opts.free)
        windows = (rf_chain_windows){FRONT_WINDOW, FRONT_WINDOW};
    rf_status status = rf_chain_bytes(&w->plan, &front->alloc, front->chain, &windows,
                                      budget - front->chain->input);
    if (!status)
        status = front_offer(w, &cost);
    return status == RF_E_BUDGET || status == RF_E_UNSUPPORTED ? RF_OK : status;
}

static int front_is_short(const rf_chain_front *front)
{
    return front->opts.free && !front->opts.no_exact &&
           front->chain->num_stages <= FRONT_EXACT_STAGES && rf_chain_exact_fits(front->chain);
}

static rf_status front_offer_all(front_work *w)
{
    rf_chain_front *front = w->front;
    rf_chain_cells cells;
    rf_status status = rf_chain_cells_begin(&cells, &front->alloc, front->chain);
    if (status)
        return status;
    status = front_offer_plain(w);
    if (!status)
        status = front_offer_least(w, &cells);
    if (!status)
        status = front_offer_table(w, &cells, front->plain.peak - front->chain->input);
    if (!status)
        status = front_offer_bytes(w, front->points[0].peak);
    if (!status && front_is_short(front))
        status = front_offer_exact(w, front->plain.peak, SIZE_MAX);
    rf_chain_cells_end(&cells, &front->alloc);
    return status;
}

/* ---- the lower bound ---- */

/* No schedule does with less: some forward makes the record that stage s runs backward with, while
 * a gradient is there that backward has come to by then, and what was left: d is the least of that;
 * left is what all behind s leave. */
static uint64_t front_footprint(const rf_chain *c, size_t s, uint64_t d, uint64_t left)
{
    uint64_t best = UINT64_MAX, base = c->input + (s ? rf_chain_value(c, s) : 0);
    for (size_t k = 0; k < c->stages[s].num_options; k++) {
        const rf_chain_option *o = rf_chain_option_of(c, s, k);
        uint64_t need = rf_chain_max(o->saved + o->forward_workspace + d,
                                     left + rf_chain_need_backward(c, s, o));
        best = need < best ? need : best;
    }
    return base + best;
}

static void front_bound(rf_chain_front *front)
{
    const rf_chain *c = front->chain;
    uint64_t d = UINT64_MAX, left = 0;
    for (size_t s = c->num_stages; s-- > 0;) {
        uint64_t there = rf_chain_gradient(c, s + 1) + left;
        d = there < d ? there : d;
        uint64_t bytes = front_footprint(c, s, d, left);
        if (bytes > front->lower_bound) {
            front->lower_bound = bytes;
            front->lower_stage = s;
        }
        left += c->settles ? 0 : c->stages[s].left;
    }
}

/* ---- a front ---- */

rf_status rf_chain_front_begin(rf_chain_front *out, const rf_allocator *alloc,
                               const rf_chain *chain, const rf_chain_front_options *opts)
{
    *out = (rf_chain_front){.chain = chain, .alloc = *alloc};
    if (opts)
        out->opts = *opts;
    rf_status status = rf_chain_check(chain);
    if (status)
        return status;
    front_work w = {.front = out};
    front_bound(out);
    status = front_offer_all(&w);
    front_work_end(&w);
    if (status)
        rf_chain_front_end(out);
    return status;
}

rf_status rf_chain_front_refine(rf_chain_front *front, uint64_t budget)
{
    front_work w = {.front = front};
    rf_chain_cells cells;
    if (!rf_chain_front_find(front, budget) || budget >= front->plain.peak)
        return RF_OK;
    rf_status status = rf_chain_cells_begin(&cells, &front->alloc, front->chain);
    if (status)
        return status;
    uint64_t bytes = budget - front->chain->input;
    status = front_offer_table(&w, &cells, bytes + bytes / 2);
    if (!status)
        status = front_offer_bytes(&w, budget);
    if (!status && front_is_short(front))
        status = front_offer_exact(&w, budget, 1);
    rf_chain_cells_end(&cells, &front->alloc);
    front_work_end(&w);
    return status;
}

const rf_chain_point *rf_chain_front_find(const rf_chain_front *front, uint64_t budget)
{
    size_t num = front_within(front, budget);
    return num ? &front->points[num - 1] : NULL;
}

rf_status rf_chain_front_steps(const rf_chain_front *front, const rf_chain_point *point,
                               rf_chain_steps *out)
{
    if (point->plan.num)
        return rf_chain_unfold(out, &front->alloc, front->chain, &point->plan);
    rf_status status = RF_OK;
    for (size_t i = 0; i < point->steps.num && !status; i++)
        status = rf_chain_steps_add(out, &front->alloc, point->steps.v[i]);
    return status;
}

void rf_chain_front_end(rf_chain_front *front)
{
    for (size_t i = 0; i < front->num; i++)
        front_point_end(front, &front->points[i]);
    rf_allocator_put(&front->alloc, front->points, front->capacity * sizeof *front->points);
    front->points = NULL;
    front->num = front->capacity = 0;
}
