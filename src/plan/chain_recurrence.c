/* chain_recurrence.c: the choices that a sub-chain has.
 *
 * C(s,t,m) is the least time to run stages s..t forward and backward with m bytes; value s is
 * stored and counted by the caller, as is what the backwards of stages behind t left, the gradient
 * of value t + 1 is there and counted here. With
 * v_i, d_i for the bytes of value i and of its gradient, of stage s of_s for its work space, and of
 * its option k A_k for the record, of_k and ob_k for work spaces, f_k and b_k for times, and L(s,t)
 * for what the backwards of stages s..t leave:
 *
 *   C(s,t,m) = min of
 *     KEEP k:     f_k + C(s+1, t, m - A_k) + b_k                                     if m >= need
 *                 need = max(d_{t+1} + A_k + of_k,  A_k + d_{s+1} + d_s + ob_k + L(s,t))
 *     REGION i:   walk(s..i) + C(i+1, t, m - v_{i+1}) + C(s, i, m - L(i+1,t))    for s <= i < t
 *                 need = d_{t+1} + max over j in s..i of (v_j unless j = s) + v_{j+1} + of_j
 *   C(t+1,t,m) = 0
 *
 * where walk is the sum of forwards. After Beaumont, Eyraud-Dubois, Herrmann, Joly, Shilova 2019,
 * with options per stage and both gradients counted in a backward. The replay C(s,i) may use all
 * bytes but what was left, for v_{i+1} and all behind it is gone by then. This is exact among
 * schedules that keep what they store until its backward, which are those that nested regions can
 * carry out.
 *
 * Other schedules gain by two moves. LATE: a record stays without its stage's input, which runs
 * again just before the record's backward, and leaves on its way what earlier backwards want.
 * D(s,t,k,m) is the rest of that: record k of stage t is there besides m bytes, value t is not.
 * LOAN: a stored value goes when it was used for the last time but one, for its own stage's
 * backward gets it again from value s. H(s,l,t,m) has value l, s < l < t, counted in m.
 *
 *   C may also choose
 *     LATE i k:   walk(s..i-1) + f_k + C(i+1, t, m - A_k) + D(s, i, k, m - A_k - L(i+1,t))    for s
 * < i < t need = d_{t+1} + max(that of the walk, v_i + A_k + of_k) LEND i:     walk(s..i) + H(s,
 * i+1, t, m) H(s,l,t,m) = min of C(l, t, m - v_l) + C(s, l-1, m - L(l,t)) it is a stored value from
 * l instead of s as C does by REGION or LATE, value l going    it is used up the same, value l
 * staying: v_l less for the rest, and then H(s,l,i,m) or that with a record D(t,t,k,m) = b_k if m
 * >= d_{t+1} + d_t + ob_k + L(t,t); else D(s,t,k,m) and H with a record choose as C and H do, their
 * rest with that record; what they run again has A_k bytes more, and so has a KEEP's backward, for
 * the record is gone by then.
 */
#include "plan/chain_parts.h"

typedef struct each_walk {
    const rf_chain *chain;
    const rf_chain_list *list;
    uint64_t gradient;      /* that is there: of the list's output           */
    uint64_t base;          /* a loan that stays                             */
    uint64_t need;          /* of the walk so far, base and gradient added   */
    double time;            /* and its time                                  */
    uint64_t left;          /* by the stages from where it is on             */
    rf_chain_choice choice; /* what all of its choices have in common        */
    rf_chain_windows windows;
    rf_chain_visit visit;
    void *payload;
} each_walk;

static rf_chain_list each_none(void)
{
    return (rf_chain_list){.s = 1, .t = 0};
}

/* The list from stage s on, as it comes after a node. */
static rf_chain_list each_rest(const each_walk *w, size_t s)
{
    return (rf_chain_list){.s = (uint32_t)s, .t = w->list->t, .late = w->list->late};
}

/* The stages up to t that a node leaves to be done, its loan still there. */
static rf_chain_list each_own(const each_walk *w, size_t t)
{
    return (rf_chain_list){
        .s = w->list->s, .t = (uint32_t)t, .loan = w->choice.drop ? 0 : w->list->loan};
}

static void each_keep(const each_walk *w)
{
    uint32_t s = w->list->s, t = w->list->t;
    rf_chain_choice choice = {.from = s, .last = s, .kept = 1, .own = each_none()};
    uint64_t waiting =
        w->list->late ? rf_chain_option_of(w->chain, t, w->list->late - 1)->saved : 0;
    uint64_t left = rf_chain_left(w->chain, s + 1, t);
    choice.rest = each_rest(w, s + 1);
    for (uint32_t k = 0; k < w->chain->stages[s].num_options; k++) {
        const rf_chain_option *o = rf_chain_option_of(w->chain, s, k);
        uint64_t backward = left + rf_chain_need_backward(w->chain, s, o);
        choice.record = k + 1;
        choice.need = rf_chain_max(w->gradient + o->saved + o->forward_workspace,
                                   backward > waiting ? backward - waiting : 0);
        choice.held = o->saved;
        choice.time = o->forward + o->backward;
        w->visit(w->payload, &choice);
    }
}

/* What is there of what the stages behind i leave; the walk has come to value i. */
static uint64_t each_left_behind(const each_walk *w, size_t i)
{
    return w->left ? w->left - w->chain->stages[i].left : 0;
}

/* The walk has come to value i, which is the input of the record that stays. */
static void each_late(const each_walk *w, size_t i)
{
    rf_chain_choice choice = w->choice;
    uint64_t input = w->base + rf_chain_value(w->chain, i);
    choice.last = (uint32_t)i;
    choice.rest = each_rest(w, i + 1);
    choice.own = each_own(w, i);
    for (uint32_t k = 0; k < w->chain->stages[i].num_options; k++) {
        const rf_chain_option *o = rf_chain_option_of(w->chain, i, k);
        choice.record = choice.own.late = k + 1;
        choice.need = rf_chain_max(w->need, w->gradient + input + o->saved + o->forward_workspace);
        choice.held = w->base + o->saved;
        choice.own_held = o->saved + each_left_behind(w, i);
        choice.time = w->time + o->forward;
        w->visit(w->payload, &choice);
    }
}

/* The walk goes on through stage i. */
static void each_advance(each_walk *w, size_t i)
{
    const rf_chain_stage *stage = &w->chain->stages[i];
    uint64_t input = i > w->choice.from || w->choice.drop ? rf_chain_value(w->chain, i) : 0;
    w->need = rf_chain_max(w->need, w->gradient + w->base + input + stage->output +
                                        stage->forward_workspace);
    w->time += stage->forward;
    w->left = each_left_behind(w, i);
}

/* The walk has gone through stage i, whose output stays. The choice is changed where it lies: there
 * are many of these, and what they have in common was set by each_begin. */
static int each_region(each_walk *w, size_t i)
{
    rf_chain_choice *choice = &w->choice;
    choice->last = (uint32_t)i;
    choice->need = w->need;
    choice->held = w->base + rf_chain_value(w->chain, i + 1);
    choice->own_held = w->left;
    choice->time = w->time;
    choice->rest.s = (uint32_t)i + 1;
    choice->own.t = (uint32_t)i;
    return w->visit(w->payload, choice);
}

/* As a REGION, but value i + 1 is on loan. */
static void each_lend(const each_walk *w, size_t i)
{
    rf_chain_choice choice = w->choice;
    choice.last = (uint32_t)i;
    choice.need = w->need;
    choice.held = 0; /* the loan is counted in the list's own memory */
    choice.time = w->time;
    choice.rest = each_rest(w, w->list->s);
    choice.rest.loan = (uint32_t)i + 1;
    choice.own = each_none();
    w->visit(w->payload, &choice);
}

/* A walk begins. */
static void each_begin(each_walk *w, size_t from, uint32_t drop)
{
    w->choice = (rf_chain_choice){.from = (uint32_t)from, .drop = drop};
    w->choice.rest = each_rest(w, from);
    w->choice.own = each_own(w, from);
    w->base = w->list->loan && !drop ? rf_chain_value(w->chain, from) : 0;
    w->need = 0;
    w->time = 0;
    w->left = rf_chain_left(w->chain, from, w->list->t);
}

static void each_from_start(each_walk *w)
{
    size_t s = w->list->s, t = w->list->t;
    each_keep(w);
    each_begin(w, s, 0);
    for (size_t i = s; i < t; i++) {
        if (i > s && i - s <= w->windows.late)
            each_late(w, i);
        each_advance(w, i);
        if (each_region(w, i))
            return;
        if (i + 1 < t && i + 1 - s <= w->windows.loan)
            each_lend(w, i);
    }
}

/* From the loan on, which stays or goes. To stay while its own stage's output or record is kept too
 * is what it can do as a stored value as well. */
static void each_from_loan(each_walk *w, uint32_t drop)
{
    size_t s = w->list->s, t = w->list->t, loan = w->list->loan;
    each_begin(w, loan, drop);
    for (size_t i = loan; i < t; i++) {
        int fresh = drop || i > loan;
        if (fresh && i - s <= w->windows.late)
            each_late(w, i);
        each_advance(w, i);
        if (fresh && each_region(w, i))
            return;
    }
}

static void each_settle(const each_walk *w)
{
    uint32_t loan = w->list->loan;
    rf_chain_choice choice = {.from = 1, .last = 0, .held = rf_chain_value(w->chain, loan)};
    choice.need = choice.held;
    choice.rest = each_rest(w, loan);
    choice.own = (rf_chain_list){.s = w->list->s, .t = loan - 1};
    choice.own_held = rf_chain_left(w->chain, loan, w->list->t);
    w->visit(w->payload, &choice);
}

void rf_chain_each(const rf_chain *c, const rf_chain_list *list, const rf_chain_windows *windows,
                   rf_chain_visit visit, void *payload)
{
    each_walk w = {
        .chain = c, .list = list, .windows = *windows, .visit = visit, .payload = payload};
    w.gradient = rf_chain_gradient(c, list->t + 1);
    if (!list->loan) {
        each_from_start(&w);
        return;
    }
    each_settle(&w);
    each_from_loan(&w, 1);
    each_from_loan(&w, 0);
}
