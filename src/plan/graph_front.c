/* graph_front.c: see graph_front.h. Invariant: peaks rise strictly and costs fall strictly, and
 * each point's peak and cost are what rf_graph_simulate said of its steps. */
#include "plan/graph_front.h"

#include <string.h>

enum { FRONT_FIRST_ROOM = 16 };

void rf_graph_front_begin(rf_graph_front *f, const rf_allocator *a, const rf_graph *g)
{
    *f = (rf_graph_front){.a = a, .g = g};
}

void rf_graph_front_end(rf_graph_front *f)
{
    for (size_t i = 0; i < f->num; i++)
        rf_graph_sequence_end(f->a, &f->v[i].sequence);
    rf_allocator_put(f->a, f->v, f->room * sizeof *f->v);
    f->v = NULL;
    f->num = f->room = 0;
}

const rf_graph_point *rf_graph_front_find(const rf_graph_front *f, uint64_t budget)
{
    size_t num = f->num;
    while (num > 0 && f->v[num - 1].peak > budget)
        num--;
    return num ? &f->v[num - 1] : NULL;
}

static rf_status front_simulate(const rf_graph_front *f, const rf_graph_sequence *s,
                                rf_graph_run *run)
{
    rf_graph_steps steps;
    rf_status status = rf_graph_sequence_steps(f->a, f->g, s, &steps);
    if (!status)
        status = rf_graph_simulate(f->a, f->g, steps.v, steps.num, run);
    rf_graph_steps_end(f->a, &steps);
    return status == RF_E_ARGUMENT ? RF_E_STATE : status;
}

static rf_status front_reserve(rf_graph_front *f)
{
    if (f->num < f->room)
        return RF_OK;
    size_t room = f->room ? 2 * f->room : FRONT_FIRST_ROOM;
    rf_graph_point *v = rf_allocator_get(f->a, room * sizeof *v);
    if (!v)
        return RF_E_MEMORY;
    if (f->num)
        memcpy(v, f->v, f->num * sizeof *v);
    rf_allocator_put(f->a, f->v, f->room * sizeof *v);
    f->v = v;
    f->room = room;
    return RF_OK;
}

/* Put a point in its place, in place of those that it makes useless. */
static void front_insert(rf_graph_front *f, const rf_graph_point *point)
{
    size_t at = 0, to;
    while (at < f->num && f->v[at].peak < point->peak)
        at++;
    for (to = at; to < f->num && f->v[to].cost >= point->cost; to++)
        rf_graph_sequence_end(f->a, &f->v[to].sequence);
    memmove(f->v + at + 1, f->v + to, (f->num - to) * sizeof *f->v);
    f->v[at] = *point;
    f->num += at + 1 - to; /* one more, and to - at fewer */
}

rf_status rf_graph_front_add(rf_graph_front *f, const uint32_t *v, size_t num)
{
    rf_graph_point point = {0};
    rf_graph_run run;
    rf_status status = rf_graph_sequence_reserve(f->a, &point.sequence, num + 1);
    if (status)
        return status;
    if (num)
        memcpy(point.sequence.v, v, num * sizeof *v);
    point.sequence.num = num;
    status = front_simulate(f, &point.sequence, &run);
    if (!status)
        status = front_reserve(f);
    const rf_graph_point *rival = status ? NULL : rf_graph_front_find(f, run.peak);
    if (status || (rival && rival->cost <= run.cost)) {
        rf_graph_sequence_end(f->a, &point.sequence);
        return status;
    }
    point.peak = run.peak;
    point.cost = run.cost;
    front_insert(f, &point);
    return RF_OK;
}
