/* problem_write.c: an answer as one JSON object. Numbers are written so that reading them gives the
 * same double, with a point whatever the locale. */
#include "base/number.h"
#include "io/builder.h"
#include "io/problem.h"

#include <stdio.h>
#include <string.h>

enum { WRITE_CURVE = 256 };

/* The shortest of 15 to 17 digits that reads as the same. */
static void write_real(rf_builder *b, double value)
{
    char text[40];
    double back = 0;
    for (int digits = 15; digits <= 17; digits++) {
        int len = snprintf(text, sizeof text, "%.*g", digits, value);
        for (char *c = text; *c; c++)
            if (!strchr("0123456789+-e", *c))
                *c = '.';
        if (rf_number_parse(text, (size_t)len, &back) && back == value)
            break;
    }
    rf_builder_add_text(b, text);
}

static void write_key(rf_builder *b, const char *key)
{
    rf_builder_add_text(b, b->len > 1 ? ",\"" : "\"");
    rf_builder_add_text(b, key);
    rf_builder_add_text(b, "\":");
}

static void write_bytes(rf_builder *b, const char *key, uint64_t bytes)
{
    write_key(b, key);
    rf_builder_add_number(b, bytes);
}

static void write_cost(rf_builder *b, const char *key, double cost)
{
    write_key(b, key);
    write_real(b, cost);
}

static void write_flag(rf_builder *b, const char *key, int flag)
{
    write_key(b, key);
    rf_builder_add_text(b, flag ? "true" : "false");
}

/* ---- steps ---- */

static void write_graph_steps(rf_builder *b, const rf_graph_steps *steps)
{
    for (size_t i = 0; i < steps->num; i++) {
        rf_builder_add_text(b, i ? ",[\"" : "[\"");
        rf_builder_add_text(b, steps->v[i].drop ? "drop\"," : "run\",");
        rf_builder_add_number(b, steps->v[i].node);
        rf_builder_add_text(b, "]");
    }
}

static void write_chain_steps(rf_builder *b, const rf_chain_steps *steps)
{
    static const char *const names[] = {"forward_drop", "forward_store", "forward_keep",
                                        "forward_keep_drop", "backward"};
    for (size_t i = 0; i < steps->num; i++) {
        const rf_chain_step *step = &steps->v[i];
        rf_builder_add_text(b, i ? ",[\"" : "[\"");
        rf_builder_add_text(b, names[step->kind]);
        rf_builder_add_text(b, "\",");
        rf_builder_add_number(b, step->stage);
        if (step->kind == RF_CHAIN_FORWARD_KEEP || step->kind == RF_CHAIN_FORWARD_KEEP_DROP) {
            rf_builder_add_text(b, ",");
            rf_builder_add_number(b, step->option);
        }
        rf_builder_add_text(b, "]");
    }
}

static void write_steps(rf_builder *b, const rf_problem *p)
{
    write_key(b, "steps");
    rf_builder_add_text(b, "[");
    if (p->kind == RF_PROBLEM_GRAPH)
        write_graph_steps(b, &p->graph_answer.steps);
    else
        write_chain_steps(b, &p->chain_steps);
    rf_builder_add_text(b, "]");
}

/* ---- figures ---- */

static void write_bounds(rf_builder *b, const rf_problem *p)
{
    const rf_problem_answer *a = &p->answer;
    const char *name = rf_problem_name(p, a->binds);
    write_bytes(b, "smallest_budget", a->smallest_budget);
    write_flag(b, "smallest_exact", a->smallest_exact);
    write_bytes(b, "lower_bound", a->lower_bound);
    write_bytes(b, "binds", a->binds);
    if (*name) {
        write_key(b, "binds_name");
        rf_builder_add_string(b, name);
    }
}

static void write_answer(rf_builder *b, const rf_problem *p)
{
    const rf_problem_answer *a = &p->answer;
    write_flag(b, "feasible", a->feasible);
    write_bytes(b, "budget", a->budget);
    if (a->feasible) {
        write_cost(b, "cost", a->cost);
        write_cost(b, "cost_bound", a->cost_bound);
    }
    write_flag(b, "exact", a->exact);
    write_cost(b, "plain_cost", a->plain_cost);
    if (a->feasible)
        write_bytes(b, "peak", a->peak);
    write_bytes(b, "plain_peak", a->plain_peak);
    write_bounds(b, p);
    if (a->feasible)
        write_steps(b, p);
}

/* A curve of thousands of points helps nobody: some of them, the first and the last included. */
static void write_curve(rf_builder *b, const rf_problem *p)
{
    size_t num = rf_problem_num_points(p), step = 1 + num / WRITE_CURVE;
    write_cost(b, "plain_cost", p->answer.plain_cost);
    write_bytes(b, "plain_peak", p->answer.plain_peak);
    write_bounds(b, p);
    write_key(b, "curve");
    for (size_t i = 0; i < num; i = i + step < num || i + 1 == num ? i + step : num - 1) {
        rf_problem_point point = rf_problem_point_at(p, i);
        rf_builder_add_text(b, i ? ",{\"peak\":" : "[{\"peak\":");
        rf_builder_add_number(b, point.peak);
        rf_builder_add_text(b, ",\"cost\":");
        write_real(b, point.cost);
        rf_builder_add_text(b, "}");
    }
    rf_builder_add_text(b, "]");
}

rf_status rf_problem_json(const rf_problem *p, rf_write sink)
{
    rf_builder b;
    if (!p->answered)
        return rf_fail(p->ctx, RF_E_STATE, "problem: solve it first, then ask for the answer");
    rf_builder_begin(&b, p->ctx);
    rf_builder_add_text(&b, "{");
    if (p->answer.asked)
        write_answer(&b, p);
    else
        write_curve(&b, p);
    rf_builder_add_text(&b, "}\n");
    rf_status status = b.status ? b.status : sink.write(sink.payload, b.text, b.len);
    rf_builder_end(&b);
    return status;
}
