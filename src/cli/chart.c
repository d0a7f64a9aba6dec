/* chart.c: see chart.h. A time line has more points than a picture has columns: each column shows
 * its highest moment and then its last one, so that no peak is lost and what lasts is right. */
#include "cli/chart.h"

#include <math.h>
#include <stdio.h>

#include "cli/axes.h"
#include "cli/numbers.h"

const rf_mem_class chart_layers[CHART_LAYERS] = {RF_MEM_PARAM,      RF_MEM_OPTIM,     RF_MEM_GRAD,
                                                 RF_MEM_ACTIVATION, RF_MEM_WORKSPACE, RF_MEM_COMM,
                                                 RF_MEM_OTHER};

/* ---- columns ---- */

enum { CHART_COLUMNS = AXES_RIGHT - AXES_LEFT };

/* What a column shows, by index of points; num 0: as the column before. */
typedef struct chart_column {
    size_t highest, last;
    int num;
} chart_column;

typedef struct chart_line {
    const rf_explain *e;
    const axis *x, *y;
    chart_column columns[CHART_COLUMNS + 1];
} chart_line;

static uint64_t chart_total(const rf_explain *e, size_t index)
{
    return rf_explain_point_at(e, index).bytes[RF_MEM_ALL];
}

static void chart_sort_in(chart_line *line)
{
    for (size_t i = 0; i <= CHART_COLUMNS; i++)
        line->columns[i] = (chart_column){0, 0, 0};
    for (size_t i = 0; i < rf_explain_num_points(line->e); i++) {
        double at = axis_x(line->x, rf_explain_point_at(line->e, i).seconds) - AXES_LEFT;
        chart_column *c = &line->columns[at < CHART_COLUMNS ? (size_t)at : CHART_COLUMNS];
        if (!c->num++ || chart_total(line->e, i) > chart_total(line->e, c->highest))
            c->highest = i;
        c->last = i;
    }
}

/* Bytes of the lowest `layers` layers at a point. */
static double chart_height(const chart_line *line, size_t index, size_t layers)
{
    rf_explain_point point = rf_explain_point_at(line->e, index);
    uint64_t sum = 0;
    for (size_t i = 0; i < layers; i++)
        sum += point.bytes[chart_layers[i]];
    return axis_y(line->y, (double)sum);
}

/* The upper edge of the lowest `layers` layers, from the left to the end of what was watched. */
static void chart_edge(page *p, const chart_line *line, size_t layers)
{
    double end = axis_x(line->x, rf_explain_total(line->e).seconds), y = -1;
    for (size_t i = 0; i <= CHART_COLUMNS; i++) {
        const chart_column *c = &line->columns[i];
        double highest = c->num ? chart_height(line, c->highest, layers) : y;
        double last = c->num ? chart_height(line, c->last, layers) : y;
        if (fabs(highest - y) > 0.04)
            page_addf(p, "H%zuV%.1f", AXES_LEFT + i, highest);
        if (fabs(last - highest) > 0.04)
            page_addf(p, "H%zu.5V%.1f", AXES_LEFT + i, last);
        y = last;
    }
    page_addf(p, "H%.1f", end);
}

/* ---- memory ---- */

static int chart_has(const rf_explain *e, rf_mem_class cls)
{
    for (size_t i = 0; i < rf_explain_num_points(e); i++)
        if (rf_explain_point_at(e, i).bytes[cls])
            return 1;
    return 0;
}

static void chart_legend(page *p, const rf_explain *chosen, const rf_explain *plain, uint64_t limit)
{
    char bytes[NUMBERS_TEXT];
    page_add(p, "<ul class=\"legend\">");
    for (size_t i = CHART_LAYERS; i-- > 0;)
        if (chart_has(chosen, chart_layers[i]))
            page_addf(p, "<li><i class=\"c%d\"></i>%s</li>", (int)chart_layers[i],
                      rf_mem_class_name(chart_layers[i]));
    if (plain)
        page_addf(p, "<li><i class=\"dash\"></i>plain, all classes (peak %s)</li>",
                  numbers_show_bytes(bytes, rf_explain_total(plain).peak));
    if (limit)
        page_addf(p, "<li><i class=\"budget\"></i>budget (%s)</li>",
                  numbers_show_bytes(bytes, limit));
    page_add(p, "</ul>\n<ul class=\"legend\"><li>strip below the picture:</li>");
    for (int phase = RF_PHASE_FORWARD; phase <= RF_PHASE_BACKWARD; phase++)
        page_addf(p, "<li><i class=\"p%d\"></i>%s</li>", phase, rf_phase_name((rf_phase)phase));
    page_addf(p, "<li><i class=\"p%d\"></i>optimiser and the rest</li></ul>\n", RF_PHASE_OTHER);
}

/* What the step was at, as a strip under the axis. */
static void chart_strip(page *p, const chart_line *line)
{
    double from = AXES_LEFT, end = axis_x(line->x, rf_explain_total(line->e).seconds);
    int phase = RF_PHASE_OTHER;
    for (size_t i = 0; i <= CHART_COLUMNS + 1; i++) {
        int over = i > CHART_COLUMNS;
        const chart_column *c = &line->columns[over ? CHART_COLUMNS : i];
        int now = c->num ? (int)rf_explain_point_at(line->e, c->last).phase : phase;
        double at = over ? end : (double)(AXES_LEFT + i);
        if (now == phase && !over)
            continue;
        if (at > from)
            page_addf(p, "<rect class=\"p%d\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"8\"/>",
                      phase, from, AXES_BOTTOM + 7, at - from);
        from = at;
        phase = now;
    }
    page_add(p, "\n");
}

/* A dot with its figure beside it, to the side where there is room. */
static void chart_peak(page *p, const chart_line *line)
{
    char bytes[NUMBERS_TEXT];
    rf_explain_totals t = rf_explain_total(line->e);
    double x = axis_x(line->x, t.peak_seconds), y = axis_y(line->y, (double)t.peak);
    int left = x > (AXES_LEFT + AXES_RIGHT) / 2;
    page_addf(p,
              "<circle class=\"peak\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>"
              "<text class=\"mark\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">peak %s</text>\n",
              x, y, left ? x - 9 : x + 9, y - 7, left ? "end" : "start",
              numbers_show_bytes(bytes, t.peak));
}

/* Units in which the figures on the side are short. */
static void chart_bytes_axis(axis *y, double most)
{
    static const char *const titles[] = {"held, KiB", "held, MiB", "held, GiB", "held, TiB"};
    size_t i = 0;
    *y = (axis){0, most * 1.12, 1024, NULL, 0};
    while (i < 3 && most >= 1024 * y->unit) {
        y->unit *= 1024;
        i++;
    }
    y->title = titles[i];
}

static double chart_max(double a, double b)
{
    return a > b ? a : b;
}

void chart_memory(page *p, const rf_explain *chosen, const rf_explain *plain, uint64_t limit)
{
    rf_explain_totals t = rf_explain_total(chosen);
    double seconds = t.seconds, most = (double)t.peak;
    axis x = {0, 0, 1e-3, "time in the step, milliseconds", 0}, y;
    if (plain) {
        seconds = chart_max(seconds, rf_explain_total(plain).seconds);
        most = chart_max(most, (double)rf_explain_total(plain).peak);
    }
    if ((double)limit < 1.5 * most) /* one far above would flatten the rest */
        most = chart_max(most, (double)limit);
    x.high = chart_max(seconds, 1e-6);
    chart_bytes_axis(&y, chart_max(most, 1024));
    chart_legend(p, chosen, plain, limit);
    axes_begin(p, &x, &y, "Bytes held during one step, by class");
    chart_line line = {.e = chosen, .x = &x, .y = &y};
    chart_sort_in(&line);
    for (size_t i = CHART_LAYERS; i-- > 0;) {
        if (!chart_has(chosen, chart_layers[i]))
            continue;
        page_addf(p, "<path class=\"c%d\" d=\"M%d %d", (int)chart_layers[i], AXES_LEFT,
                  AXES_BOTTOM);
        chart_edge(p, &line, i + 1);
        page_addf(p, "V%dZ\"/>\n", AXES_BOTTOM);
    }
    chart_strip(p, &line);
    if (plain) {
        chart_line other = {.e = plain, .x = &x, .y = &y};
        chart_sort_in(&other);
        page_addf(p, "<path class=\"plain\" d=\"M%d %d", AXES_LEFT, AXES_BOTTOM);
        chart_edge(p, &other, CHART_LAYERS);
        page_add(p, "\"/>\n");
    }
    if (limit && (double)limit <= y.high)
        page_addf(p, "<line class=\"limit\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                  AXES_LEFT, AXES_RIGHT, axis_y(&y, (double)limit), axis_y(&y, (double)limit));
    chart_peak(p, &line);
    axes_end(p);
}

/* ---- loss ---- */

static void chart_loss_axes(const insight *look, axis *x, axis *y)
{
    double low = look->points[0].loss, high = low;
    for (size_t i = 0; i < look->num; i++) {
        const insight_point *q = &look->points[i];
        low = q->loss < low ? q->loss : low;
        high = chart_max(q->loss, high);
        if (q->has_held_out) {
            low = q->held_out < low ? q->held_out : low;
            high = chart_max(q->held_out, high);
        }
    }
    double room = high > low ? 0.08 * (high - low) : 0.5;
    double first = (double)look->points[0].step, last = (double)look->points[look->num - 1].step;
    *x = (axis){first, last > first ? last : first + 1, 1, "step", 1};
    *y = (axis){low - room, high + room, 1, "loss, nats per token", 0};
}

void chart_loss(page *p, const insight *look)
{
    axis x, y;
    int held_out = 0;
    chart_loss_axes(look, &x, &y);
    for (size_t i = 0; i < look->num; i++)
        held_out |= look->points[i].has_held_out;
    page_add(p, "<ul class=\"legend\"><li><i class=\"loss\"></i>training");
    if (look->stride > 1)
        page_addf(p, ", mean of %llu steps", (unsigned long long)look->stride);
    page_addf(p, "</li>%s</ul>\n", held_out ? "<li><i class=\"held\"></i>held out</li>" : "");
    axes_begin(p, &x, &y, "Loss over steps");
    page_add(p, "<polyline class=\"loss\" points=\"");
    for (size_t i = 0; i < look->num; i++)
        page_addf(p, "%.1f,%.1f ", axis_x(&x, (double)look->points[i].step),
                  axis_y(&y, look->points[i].loss));
    page_add(p, "\"/>\n");
    if (look->num == 1)
        page_addf(p, "<circle class=\"loss\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n",
                  axis_x(&x, x.low), axis_y(&y, look->points[0].loss));
    for (size_t i = 0; i < look->num; i++)
        if (look->points[i].has_held_out)
            page_addf(p, "<circle class=\"held\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>\n",
                      axis_x(&x, (double)look->points[i].step),
                      axis_y(&y, look->points[i].held_out));
    axes_end(p);
}
