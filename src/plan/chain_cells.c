/* chain_cells.c: which sub-chains are the same problem.
 *
 * Two are if their stages are, one by one, and the gradients of their inputs have one size: nothing
 * else enters the recurrence. Instead of comparing sequences, a sub-chain is named by the pair
 * (cell of all but its last stage, kind of its last stage), for pairs that are equal as numbers are
 * equal as sequences, exactly. The hash table finds pairs of one length.
 */
#include "plan/chain_parts.h"

#include <string.h>

typedef struct cells_pair {
    uint32_t front, last, id; /* id + 1; 0: empty */
} cells_pair;

typedef struct cells_maker {
    rf_chain_cells *cells;
    const rf_allocator *alloc;
    uint32_t *types;   /* n: equal stages have equal numbers          */
    uint32_t *entries; /* n: so have equal gradients of stages' input */
    cells_pair *pairs;
    size_t num_pairs; /* a power of two */
} cells_maker;

static int cells_same_stage(const rf_chain *c, size_t i, size_t j)
{
    const rf_chain_stage *a = &c->stages[i], *b = &c->stages[j];
    if (a->output != b->output || a->gradient != b->gradient || a->left != b->left ||
        a->forward != b->forward || a->forward_workspace != b->forward_workspace ||
        a->num_options != b->num_options)
        return 0;
    for (size_t k = 0; k < a->num_options; k++) {
        const rf_chain_option *x = rf_chain_option_of(c, i, k), *y = rf_chain_option_of(c, j, k);
        if (x->saved != y->saved || x->forward != y->forward || x->backward != y->backward ||
            x->forward_workspace != y->forward_workspace ||
            x->backward_workspace != y->backward_workspace)
            return 0;
    }
    return 1;
}

static int cells_same_entry(const rf_chain *c, size_t i, size_t j)
{
    return rf_chain_gradient(c, i) == rf_chain_gradient(c, j);
}

/* Where stages settle, the last one is like no other, so that no list to the chain's end shares a
 * cell with one inside of a region. */
static int cells_alike(const rf_chain *c, size_t i, size_t j)
{
    return !(c->settles && j + 1 == c->num_stages) && cells_same_stage(c, i, j);
}

/* names[i] = the first stage that is the same as stage i. Of every kind only the first is looked
 * at: `kinds` lists them. */
static void cells_name(const rf_chain *c, int (*same)(const rf_chain *, size_t, size_t),
                       uint32_t *names, uint32_t *kinds)
{
    size_t num = 0;
    for (size_t i = 0; i < c->num_stages; i++) {
        size_t k = num;
        while (k > 0 && !same(c, kinds[k - 1], i))
            k--;
        if (!k)
            kinds[num++] = (uint32_t)i;
        names[i] = k ? kinds[k - 1] : (uint32_t)i;
    }
}

/* The cell of the sub-chain s..t, found by its pair or made. */
static rf_status cells_intern(cells_maker *m, cells_pair pair, size_t s, size_t t)
{
    rf_chain_cells *cells = m->cells;
    size_t n = cells->chain->num_stages, shorter = t - s, mask = m->num_pairs - 1;
    uint64_t hash = (((uint64_t)pair.front << 32) + pair.last + 1) * 0x9E3779B97F4A7C15u;
    size_t at = (hash >> 32) & mask;
    while (m->pairs[at].id && (m->pairs[at].front != pair.front || m->pairs[at].last != pair.last))
        at = (at + 1) & mask;
    if (!m->pairs[at].id) {
        rf_status status =
            rf_chain_grow(m->alloc, &cells->v, cells->num, &cells->capacity, sizeof *cells->v);
        if (status)
            return status;
        cells->v[cells->num++] = (rf_chain_cell){(uint32_t)s, (uint32_t)t};
        pair.id = (uint32_t)cells->num;
        m->pairs[at] = pair;
    }
    cells->ids[shorter * (2 * n - shorter + 1) / 2 + s] = m->pairs[at].id - 1;
    return RF_OK;
}

static rf_status cells_intern_all(cells_maker *m)
{
    rf_chain_cells *cells = m->cells;
    size_t n = cells->chain->num_stages;
    rf_status status = RF_OK;
    cells->begin[0] = 0;
    for (size_t shorter = 0; shorter < n && !status; shorter++) {
        cells->begin[shorter + 1] = cells->num;
        memset(m->pairs, 0, m->num_pairs * sizeof *m->pairs);
        for (size_t s = 0; s + shorter < n && !status; s++) {
            size_t t = s + shorter;
            uint32_t front =
                shorter ? (uint32_t)rf_chain_cells_find(cells, s, t - 1) : m->entries[s];
            status = cells_intern(m, (cells_pair){front, m->types[t], 0}, s, t);
        }
    }
    cells->begin[n + 1] = cells->num;
    return status;
}

rf_status rf_chain_cells_begin(rf_chain_cells *cells, const rf_allocator *alloc,
                               const rf_chain *chain)
{
    size_t n = chain->num_stages, num_pairs = 4;
    while (num_pairs < 2 * n)
        num_pairs *= 2;
    *cells = (rf_chain_cells){.chain = chain};
    cells->ids = rf_allocator_get(alloc, n * (n + 1) / 2 * sizeof *cells->ids);
    cells->begin = rf_allocator_get(alloc, (n + 2) * sizeof *cells->begin);
    cells_maker m = {.cells = cells, .alloc = alloc, .num_pairs = num_pairs};
    m.types = rf_allocator_get(alloc, 3 * n * sizeof *m.types);
    m.pairs = rf_allocator_get(alloc, num_pairs * sizeof *m.pairs);
    rf_status status = RF_E_MEMORY;
    if (cells->ids && cells->begin && m.types && m.pairs) {
        m.entries = m.types + n;
        cells_name(chain, cells_alike, m.types, m.types + 2 * n);
        cells_name(chain, cells_same_entry, m.entries, m.types + 2 * n);
        status = cells_intern_all(&m);
    }
    rf_allocator_put(alloc, m.types, 3 * n * sizeof *m.types);
    rf_allocator_put(alloc, m.pairs, num_pairs * sizeof *m.pairs);
    if (status)
        rf_chain_cells_end(cells, alloc);
    return status;
}

void rf_chain_cells_end(rf_chain_cells *cells, const rf_allocator *alloc)
{
    size_t n = cells->chain->num_stages;
    rf_allocator_put(alloc, cells->ids, n * (n + 1) / 2 * sizeof *cells->ids);
    rf_allocator_put(alloc, cells->begin, (n + 2) * sizeof *cells->begin);
    rf_allocator_put(alloc, cells->v, cells->capacity * sizeof *cells->v);
    cells->ids = NULL;
    cells->begin = NULL;
    cells->v = NULL;
}
