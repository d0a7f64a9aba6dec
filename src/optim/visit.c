/* visit.c: an optimiser's state, shown tensor by tensor, for saving and restoring it.
 *
 * Moments in memory are shown as they are. Those that are away are shown as copies, one at a time:
 * no more bytes than the gradient of that parameter has in a step.
 */
#include "optim/away.h"

#include <stdio.h>

/* Who is shown the state, and what he does with it. */
typedef struct visit_how {
    int access;
    rf_tensor_visitor visit;
    void *payload;
} visit_how;

/* Moment number j of an item, for as long as the visit lasts. */
static rf_status visit_away(rf_optim *opt, size_t index, size_t j, const visit_how *how)
{
    const rf_optim_item *item = &opt->items[index];
    rf_tensor *t;
    if (!how->access) /* a moment has the shape of its parameter */
        return how->visit(how->payload, opt->name, item->param);
    rf_status status = rf_optim_moment(&t, opt, item);
    if (!status && (how->access & RF_OPTIM_READ))
        status = rf_away_read(opt, index, j, t);
    if (!status)
        status = how->visit(how->payload, opt->name, t);
    if (!status && (how->access & RF_OPTIM_WRITE))
        status = rf_away_write(opt, index, j, t);
    rf_tensor_drop(t);
    return status;
}

static rf_status visit_item(rf_optim *opt, size_t index, const visit_how *how)
{
    const rf_optim_item *item = &opt->items[index];
    size_t num = item->lr_scale > 0 ? rf_optim_num_moments(opt) : 0;
    rf_status status = RF_OK;
    for (size_t j = 0; !status && j < num; j++) {
        snprintf(opt->name, opt->name_bytes, "%s/%s", item->path, opt->rule->moments[j]);
        status = item->is_away ? visit_away(opt, index, j, how)
                               : how->visit(how->payload, opt->name, item->moments[j]);
    }
    return status;
}

rf_status rf_optim_visit_state(rf_optim *opt, int access, rf_tensor_visitor visit, void *payload)
{
    const visit_how how = {access, visit, payload};
    rf_status status = visit(payload, "step", opt->counts);
    for (size_t i = 0; !status && i < opt->num; i++)
        status = visit_item(opt, i, &how);
    if (!status && access == RF_OPTIM_WRITE)
        rf_away_restored(opt);
    return status;
}

rf_status rf_optim_each_state(rf_optim *opt, rf_tensor_visitor visit, void *payload)
{
    return rf_optim_visit_state(opt, RF_OPTIM_READ | RF_OPTIM_WRITE, visit, payload);
}
