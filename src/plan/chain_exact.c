/* chain_exact.c: the fastest of all schedules of a short chain, by search.
 *
 * A state is what lies in memory, a digit per stage (nothing, its output, its record by one of its
 * options), and how many backwards are to come. A forward or a backward leads from one state to
 * another; a value that is not wanted any more goes with the step that used it last, so nothing
 * else needs to be tried. A* finds the shortest way: what is to come costs at least the backward of
 * every record that is there and forward and backward, by the fastest option, of every stage
 * without. A step never lowers time so far plus that bound, so a state is final when it is taken
 * from the heap.
 */
#include "plan/chain_parts.h"

#include <math.h>
#include <string.h>

enum { EXACT_NOTHING, EXACT_VALUE, EXACT_RECORD, EXACT_BITS = 4, EXACT_DIGIT = 15 };
enum { EXACT_STATES = 1 << 18 }; /* of one search: some 20 MB */

typedef struct exact_state {
    uint64_t key; /* digits from bit 4 on, backwards to come below */
    double time;  /* the least known from the beginning to here    */
    uint32_t from;
    uint32_t final;
    rf_chain_step step; /* that led here from state `from` */
} exact_state;

typedef struct exact_entry {
    double bound; /* of a whole schedule through this state */
    double time;
    uint32_t state;
} exact_entry;

typedef struct exact_search {
    const rf_allocator *alloc;
    const rf_chain *chain;
    uint64_t budget;
    exact_state *states;
    size_t num, capacity, most;
    exact_entry *heap;
    size_t heap_num, heap_capacity;
    uint32_t *slots; /* state + 1 by hash of its key; a power of two of them */
    size_t num_slots;
    double fastest[RF_CHAIN_EXACT_STAGES]; /* forward and backward of each stage */
    uint32_t current;                      /* the state whose steps are being tried */
    uint64_t live;                         /* its bytes                             */
} exact_search;

/* ---- states ---- */

static uint64_t exact_key_with(uint64_t key, size_t stage, uint64_t digit)
{
    size_t shift = EXACT_BITS * (stage + 1);
    return (key & ~((uint64_t)EXACT_DIGIT << shift)) | digit << shift;
}

static uint32_t exact_digit(uint64_t key, size_t stage)
{
    return (uint32_t)(key >> EXACT_BITS * (stage + 1)) & EXACT_DIGIT;
}

static size_t exact_left(uint64_t key)
{
    return key & EXACT_DIGIT;
}

static const rf_chain_option *exact_option(const exact_search *x, size_t stage, uint32_t digit)
{
    return rf_chain_option_of(x->chain, stage, digit - EXACT_RECORD);
}

static uint64_t exact_live(const exact_search *x, uint64_t key)
{
    uint64_t live = x->chain->input + rf_chain_gradient(x->chain, exact_left(key));
    for (size_t i = 0; i < exact_left(key); i++) {
        uint32_t digit = exact_digit(key, i);
        if (digit >= EXACT_RECORD)
            live += exact_option(x, i, digit)->saved;
        else if (digit == EXACT_VALUE)
            live += x->chain->stages[i].output;
    }
    for (size_t i = exact_left(key); i < x->chain->num_stages; i++)
        live += x->chain->stages[i].left;
    return live;
}

static double exact_to_come(const exact_search *x, uint64_t key)
{
    double sum = 0;
    for (size_t i = 0; i < exact_left(key); i++) {
        uint32_t digit = exact_digit(key, i);
        sum += digit >= EXACT_RECORD ? exact_option(x, i, digit)->backward : x->fastest[i];
    }
    return sum;
}

/* ---- the heap ---- */

/* Whether a comes out before b: the lower bound; of equal ones, who is further on. */
static int exact_before(const exact_search *x, const exact_entry *a, const exact_entry *b)
{
    if (a->bound != b->bound)
        return a->bound < b->bound;
    size_t left_a = exact_left(x->states[a->state].key),
           left_b = exact_left(x->states[b->state].key);
    return left_a != left_b ? left_a < left_b : a->time > b->time;
}

static rf_status exact_push(exact_search *x, exact_entry entry)
{
    rf_status status =
        rf_chain_grow(x->alloc, &x->heap, x->heap_num, &x->heap_capacity, sizeof entry);
    if (status)
        return status;
    size_t at = x->heap_num++;
    for (; at && exact_before(x, &entry, &x->heap[(at - 1) / 2]); at = (at - 1) / 2)
        x->heap[at] = x->heap[(at - 1) / 2];
    x->heap[at] = entry;
    return RF_OK;
}

static exact_entry exact_pop(exact_search *x)
{
    exact_entry first = x->heap[0], last = x->heap[--x->heap_num];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < x->heap_num; at = child) {
        if (child + 1 < x->heap_num && exact_before(x, &x->heap[child + 1], &x->heap[child]))
            child++;
        if (!exact_before(x, &x->heap[child], &last))
            break;
        x->heap[at] = x->heap[child];
    }
    x->heap[at] = last;
    return first;
}

/* ---- reaching ---- */

/* The slot of a key: its state's, or an empty one. */
static uint32_t *exact_slot(const exact_search *x, uint64_t key)
{
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    size_t at = (hash ^ hash >> 32) & (x->num_slots - 1);
    while (x->slots[at] && x->states[x->slots[at] - 1].key != key)
        at = (at + 1) & (x->num_slots - 1);
    return &x->slots[at];
}

static rf_status exact_rehash(exact_search *x)
{
    if (2 * x->num < x->num_slots)
        return RF_OK;
    size_t num = x->num_slots ? 2 * x->num_slots : 1024;
    uint32_t *slots = rf_allocator_get(x->alloc, num * sizeof *slots);
    if (!slots)
        return RF_E_MEMORY;
    memset(slots, 0, num * sizeof *slots);
    rf_allocator_put(x->alloc, x->slots, x->num_slots * sizeof *slots);
    x->slots = slots;
    x->num_slots = num;
    for (uint32_t i = 0; i < x->num; i++)
        *exact_slot(x, x->states[i].key) = i + 1;
    return RF_OK;
}

/* A step from the current state leads to key, at this time. */
static rf_status exact_reach(exact_search *x, uint64_t key, double time, rf_chain_step step)
{
    rf_status status = exact_rehash(x);
    if (!status)
        status = rf_chain_grow(x->alloc, &x->states, x->num, &x->capacity, sizeof *x->states);
    if (status)
        return status;
    uint32_t *slot = exact_slot(x, key);
    if (!*slot) {
        if (x->num == x->most)
            return RF_E_UNSUPPORTED;
        *slot = (uint32_t)++x->num;
        x->states[*slot - 1] = (exact_state){.key = key, .time = INFINITY};
    }
    exact_state *state = &x->states[*slot - 1];
    if (state->final || time >= state->time)
        return RF_OK;
    state->time = time;
    state->from = x->current;
    state->step = step;
    return exact_push(x, (exact_entry){time + exact_to_come(x, key), time, *slot - 1});
}

/* Stage i runs forward and leaves a digit; its input stays or, unless others hold it, goes. */
static rf_status exact_forward(exact_search *x, uint64_t key, size_t i, uint32_t digit)
{
    const rf_chain_stage *s = &x->chain->stages[i];
    const rf_chain_option *o = digit > EXACT_VALUE ? exact_option(x, i, digit) : NULL;
    uint64_t bytes = o ? o->saved + o->forward_workspace : s->output + s->forward_workspace;
    if (x->live + bytes > x->budget)
        return RF_OK;
    double time = x->states[x->current].time + (o ? o->forward : s->forward);
    rf_chain_step step = {o ? RF_CHAIN_FORWARD_KEEP : RF_CHAIN_FORWARD_STORE, (uint32_t)i,
                          o ? digit - EXACT_RECORD : 0};
    uint64_t to = exact_key_with(key, i, digit);
    rf_status status = exact_reach(x, to, time, step);
    if (status || !i || exact_digit(key, i - 1) != EXACT_VALUE)
        return status;
    step.kind = o ? RF_CHAIN_FORWARD_KEEP_DROP : RF_CHAIN_FORWARD_DROP;
    return exact_reach(x, exact_key_with(to, i - 1, EXACT_NOTHING), time, step);
}

static rf_status exact_backward(exact_search *x, uint64_t key)
{
    size_t i = exact_left(key) - 1;
    uint32_t digit = exact_digit(key, i);
    if (digit < EXACT_RECORD || (i && !exact_digit(key, i - 1)))
        return RF_OK;
    const rf_chain_option *o = exact_option(x, i, digit);
    uint64_t more = rf_chain_gradient(x->chain, i) + x->chain->stages[i].left;
    if (x->live + more + o->backward_workspace > x->budget)
        return RF_OK;
    uint64_t to = exact_key_with(key, i, EXACT_NOTHING) - 1;
    if (i && exact_digit(key, i - 1) == EXACT_VALUE)
        to = exact_key_with(to, i - 1, EXACT_NOTHING);
    return exact_reach(x, to, x->states[x->current].time + o->backward,
                       (rf_chain_step){RF_CHAIN_BACKWARD, (uint32_t)i, digit - EXACT_RECORD});
}

static rf_status exact_expand(exact_search *x)
{
    uint64_t key = x->states[x->current].key;
    size_t left = exact_left(key);
    x->live = exact_live(x, key);
    rf_status status = exact_backward(x, key);
    for (size_t i = 0; i < left && !status; i++) {
        uint32_t digit = exact_digit(key, i), from = digit + 1;
        if (digit >= EXACT_RECORD || (i && !exact_digit(key, i - 1)))
            continue;
        from = i + 1 == left ? EXACT_RECORD : from; /* nobody reads the last output */
        for (; from < x->chain->stages[i].num_options + EXACT_RECORD && !status; from++)
            status = exact_forward(x, key, i, from);
    }
    return status;
}

/* ---- the search ---- */

/* RF_OK: x->current is the end. */
static rf_status exact_run(exact_search *x)
{
    size_t n = x->chain->num_stages;
    rf_status status = exact_reach(x, n, 0, (rf_chain_step){0});
    while (!status && x->heap_num) {
        exact_entry entry = exact_pop(x);
        exact_state *state = &x->states[entry.state];
        if (state->final || entry.time > state->time)
            continue;
        state->final = 1;
        x->current = entry.state;
        if (!exact_left(state->key))
            return RF_OK;
        status = exact_expand(x);
    }
    return status ? status : RF_E_BUDGET;
}

/* The steps from the first state to the current one. */
static rf_status exact_steps(const exact_search *x, rf_chain_steps *out)
{
    rf_status status = RF_OK;
    size_t begin = out->num;
    for (uint32_t at = x->current; at && !status; at = x->states[at].from)
        status = rf_chain_steps_add(out, x->alloc, x->states[at].step);
    for (size_t i = begin, j = out->num; i + 1 < j; i++) {
        rf_chain_step step = out->v[i];
        out->v[i] = out->v[--j];
        out->v[j] = step;
    }
    return status;
}

int rf_chain_exact_fits(const rf_chain *chain)
{
    int fits = chain->num_stages <= RF_CHAIN_EXACT_STAGES;
    for (size_t i = 0; i < chain->num_stages && fits; i++)
        fits = chain->stages[i].num_options <= EXACT_DIGIT - EXACT_RECORD + 1;
    return fits;
}

rf_status rf_chain_exact(rf_chain_steps *out, const rf_allocator *alloc, const rf_chain *chain,
                         uint64_t budget, size_t *states)
{
    exact_search x = {.alloc = alloc, .chain = chain, .budget = budget};
    x.most = *states < EXACT_STATES ? *states : EXACT_STATES;
    for (size_t i = 0; i < chain->num_stages; i++) {
        const rf_chain_option *o = rf_chain_option_of(chain, i, rf_chain_fastest(chain, i));
        x.fastest[i] = o->forward + o->backward;
    }
    rf_status status = exact_run(&x);
    if (!status)
        status = exact_steps(&x, out);
    *states -= x.num;
    rf_allocator_put(alloc, x.states, x.capacity * sizeof *x.states);
    rf_allocator_put(alloc, x.heap, x.heap_capacity * sizeof *x.heap);
    rf_allocator_put(alloc, x.slots, x.num_slots * sizeof *x.slots);
    return status;
}
