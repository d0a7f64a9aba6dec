/* problem_items.c: the nodes of a graph and the stages of a chain, as they are read.
 *
 * Invariant: names has one entry for each node or stage that was begun; an input is smaller than
 * its reader's id, so what was read is in topological order and has no cycle.
 */
#include "io/problem.h"

enum {
    NODE_ID,
    NODE_COST,
    NODE_BYTES,
    NODE_INPUTS,
    NODE_WORKSPACE,
    NODE_ONCE,
    NODE_NAME,
    NODE_ALL
};
enum {
    STAGE_OUTPUT,
    STAGE_FORWARD,
    STAGE_OPTIONS,
    STAGE_GRADIENT,
    STAGE_LEFT,
    STAGE_WORKSPACE,
    STAGE_NAME,
    STAGE_ALL
};
enum { OPTION_SAVED, OPTION_FORWARD, OPTION_BACKWARD, OPTION_FORWARD_WS, OPTION_BACKWARD_WS };
enum { OPTION_ALL = OPTION_BACKWARD_WS + 1 };

/* A node or a stage begins. */
static rf_status item_begin(rf_problem_text *t, const char *item, size_t index, size_t most)
{
    rf_problem_ids *names = &t->p->names;
    t->item = item;
    t->index = index;
    if (index >= most)
        return rf_problem_fail(t, "more than %zu of them", most);
    rf_status status =
        rf_plan_grow(t->p->ctx, &names->v, names->num, &names->capacity, sizeof *names->v);
    if (!status)
        names->v[names->num++] = 0;
    return status;
}

/* ---- nodes ---- */

static rf_status node_id(rf_problem_text *t)
{
    uint64_t id;
    rf_status status = rf_problem_id(t, "id", &id);
    if (!status && id != t->index)
        return rf_problem_fail(t, "its id is %llu: ids are 0, 1, 2 ... in the order of the list",
                               (unsigned long long)id);
    return status;
}

static rf_status node_input(rf_problem_text *t)
{
    rf_problem_ids *inputs = &t->p->inputs;
    uint64_t id;
    rf_json before = t->j;
    if (rf_json_next(&t->j) == RF_JSON_ARRAY_END)
        return RF_E_NOT_FOUND;
    t->j = before;
    rf_status status = rf_problem_id(t, "an input", &id);
    if (status)
        return status;
    if (id >= t->index)
        return rf_problem_fail(t, "it reads node %llu, which does not stand before it",
                               (unsigned long long)id);
    if (inputs->num >= RF_PROBLEM_INPUTS_MOST)
        return rf_problem_fail(t, "more than %d inputs in all", RF_PROBLEM_INPUTS_MOST);
    status = rf_plan_grow(t->p->ctx, &inputs->v, inputs->num, &inputs->capacity, sizeof *inputs->v);
    if (status)
        return status;
    inputs->v[inputs->num++] = (uint32_t)id;
    t->p->nodes.v[t->index].num_inputs++;
    return RF_OK;
}

static rf_status node_inputs(rf_problem_text *t)
{
    rf_status status = RF_OK;
    if (rf_json_next(&t->j) != RF_JSON_ARRAY)
        return rf_problem_fail(t, "inputs is no list");
    t->p->nodes.v[t->index].first_input = (uint32_t)t->p->inputs.num;
    while (!status)
        status = node_input(t);
    return status == RF_E_NOT_FOUND ? RF_OK : status;
}

static rf_status node_member(rf_problem_text *t, int member)
{
    rf_graph_node *node = &t->p->nodes.v[t->index];
    switch (member) {
    case NODE_ID:
        return node_id(t);
    case NODE_COST:
        return rf_problem_cost(t, "cost", &node->cost);
    case NODE_BYTES:
        return rf_problem_bytes(t, "bytes", &node->bytes);
    case NODE_INPUTS:
        return node_inputs(t);
    case NODE_WORKSPACE:
        return rf_problem_bytes(t, "workspace", &node->workspace);
    case NODE_ONCE:
        return rf_problem_flag(t, "once", &node->once);
    default:
        return rf_problem_take_name(t);
    }
}

static rf_status node_take(rf_problem_text *t)
{
    static const char *const names[NODE_ALL] = {"id",        "cost", "bytes", "inputs",
                                                "workspace", "once", "name"};
    static const rf_problem_members members = {
        "it", names, NODE_ALL, 1 << NODE_ID | 1 << NODE_COST | 1 << NODE_BYTES | 1 << NODE_INPUTS,
        1 << NODE_WORKSPACE | 1 << NODE_ONCE};
    rf_problem_nodes *nodes = &t->p->nodes;
    rf_status status = item_begin(t, "node", nodes->num, RF_PROBLEM_NODES_MOST);
    if (!status)
        status = rf_plan_grow(t->p->ctx, &nodes->v, nodes->num, &nodes->capacity, sizeof *nodes->v);
    if (status)
        return status;
    nodes->v[nodes->num++] = (rf_graph_node){0};
    return rf_problem_object(t, &members, node_member, NULL);
}

/* Nodes and stages share their names: a file that has both is refused when all is read. */
rf_status rf_problem_take_nodes(rf_problem_text *t)
{
    t->p->names.num = 0;
    return rf_problem_list(t, "nodes", node_take);
}

/* ---- stages ---- */

static rf_status option_member(rf_problem_text *t, int member)
{
    rf_chain_option *option = &t->p->options.v[t->p->options.num - 1];
    switch (member) {
    case OPTION_SAVED:
        return rf_problem_bytes(t, "saved_bytes", &option->saved);
    case OPTION_FORWARD:
        return rf_problem_cost(t, "forward of an option", &option->forward);
    case OPTION_BACKWARD:
        return rf_problem_cost(t, "backward", &option->backward);
    case OPTION_FORWARD_WS:
        return rf_problem_bytes(t, "forward_workspace", &option->forward_workspace);
    default:
        return rf_problem_bytes(t, "backward_workspace", &option->backward_workspace);
    }
}

static rf_status option_take(rf_problem_text *t)
{
    static const char *const names[OPTION_ALL] = {"saved_bytes", "forward", "backward",
                                                  "forward_workspace", "backward_workspace"};
    static const rf_problem_members members = {"an option", names, OPTION_ALL,
                                               1 << OPTION_SAVED | 1 << OPTION_FORWARD |
                                                   1 << OPTION_BACKWARD,
                                               1 << OPTION_FORWARD_WS | 1 << OPTION_BACKWARD_WS};
    rf_problem_choices *o = &t->p->options;
    if (o->num >= RF_PROBLEM_OPTIONS_MOST)
        return rf_problem_fail(t, "more than %d options in all", RF_PROBLEM_OPTIONS_MOST);
    rf_status status = rf_plan_grow(t->p->ctx, &o->v, o->num, &o->capacity, sizeof *o->v);
    if (status)
        return status;
    o->v[o->num++] = (rf_chain_option){0};
    return rf_problem_object(t, &members, option_member, NULL);
}

static rf_status stage_member(rf_problem_text *t, int member)
{
    rf_chain_stage *stage = &t->p->stages.v[t->index];
    switch (member) {
    case STAGE_OUTPUT:
        return rf_problem_bytes(t, "output_bytes", &stage->output);
    case STAGE_GRADIENT:
        return rf_problem_bytes(t, "gradient_bytes", &stage->gradient);
    case STAGE_LEFT:
        return rf_problem_bytes(t, "left_bytes", &stage->left);
    case STAGE_FORWARD:
        return rf_problem_cost(t, "forward", &stage->forward);
    case STAGE_WORKSPACE:
        return rf_problem_bytes(t, "forward_workspace", &stage->forward_workspace);
    case STAGE_OPTIONS:
        return rf_problem_list(t, "options", option_take);
    default:
        return rf_problem_take_name(t);
    }
}

/* What only all members together can tell. */
static rf_status stage_end(rf_problem_text *t, int seen)
{
    const rf_problem *p = t->p;
    rf_chain_stage *stage = &p->stages.v[t->index];
    stage->num_options = p->options.num - stage->first_option;
    if (!(seen & 1 << STAGE_GRADIENT))
        stage->gradient = stage->output;
    if (!stage->num_options)
        return rf_problem_fail(t, "a stage needs an option");
    for (size_t k = 0; k < stage->num_options; k++)
        if (p->options.v[stage->first_option + k].saved < stage->output)
            return rf_problem_fail(t,
                                   "saved_bytes of option %zu are less than output_bytes: what is "
                                   "saved includes the output",
                                   k);
    return RF_OK;
}

static rf_status stage_take(rf_problem_text *t)
{
    static const char *const names[STAGE_ALL] = {
        "output_bytes", "forward",           "options", "gradient_bytes",
        "left_bytes",   "forward_workspace", "name"};
    static const rf_problem_members members = {
        "it", names, STAGE_ALL, 1 << STAGE_OUTPUT | 1 << STAGE_FORWARD | 1 << STAGE_OPTIONS,
        1 << STAGE_GRADIENT | 1 << STAGE_LEFT | 1 << STAGE_WORKSPACE};
    rf_problem_stages *s = &t->p->stages;
    int seen = 0;
    rf_status status = item_begin(t, "stage", s->num, RF_PROBLEM_STAGES_MOST);
    if (!status)
        status = rf_plan_grow(t->p->ctx, &s->v, s->num, &s->capacity, sizeof *s->v);
    if (status)
        return status;
    s->v[s->num++] = (rf_chain_stage){.first_option = t->p->options.num};
    status = rf_problem_object(t, &members, stage_member, &seen);
    return status ? status : stage_end(t, seen);
}

rf_status rf_problem_take_stages(rf_problem_text *t)
{
    t->p->names.num = 0;
    return rf_problem_list(t, "stages", stage_take);
}
