/* chart_curve.c: the curve of budget against slow-down; see chart.h. What a budget between two
 * points gets is the plan of the lower one, so the line goes along in steps. */
#include "cli/chart.h"
#include "cli/axes.h"
#include "cli/numbers.h"
#include "cli/plan_show.h"

static void curve_axes(const budget *b, axis *x, axis *y)
{
    static const char *const titles[] = {"budget, KiB", "budget, MiB", "budget, GiB"};
    size_t num = rf_plan_num_points(b->plan), unit = 0;
    double low = (double)b->chosen.peak, high = (double)b->plain.peak, most = budget_slower(b);
    for (size_t i = 0; i < num; i++) {
        rf_plan_point point = rf_plan_point_at(b->plan, i);
        double slower = plan_slower(b, point.seconds);
        double peak = (double)(point.peak - b->grown);
        low = peak < low ? peak : low;
        high = peak > high ? peak : high;
        most = slower > most ? slower : most;
    }
    double room = high > low ? 0.05 * (high - low) : 1024;
    *x = (axis){low - room, high + room, 1024, NULL, 0};
    for (; unit < 2 && high >= 1024 * x->unit; unit++)
        x->unit *= 1024;
    x->title = titles[unit];
    *y = (axis){0, most > 1 ? 1.15 * most : 1, 1, "slower than without a plan, percent", 0};
}

static void curve_line(page *p, const budget *b, const axis *x, const axis *y)
{
    double before = -1;
    page_add(p, "<polyline class=\"curve\" points=\"");
    for (size_t i = 0; i < rf_plan_num_points(b->plan); i++) {
        rf_plan_point point = rf_plan_point_at(b->plan, i);
        double at = axis_x(x, (double)(point.peak - b->grown));
        if (before >= 0)
            page_addf(p, "%.1f,%.1f ", at, before);
        before = axis_y(y, plan_slower(b, point.seconds));
        page_addf(p, "%.1f,%.1f ", at, before);
    }
    page_add(p, "\"/>\n");
}

static void curve_chosen(page *p, const budget *b, const axis *x, const axis *y)
{
    char bytes[NUMBERS_TEXT];
    double at = axis_x(x, (double)b->chosen.peak), up = axis_y(y, budget_slower(b));
    int left = at > (AXES_LEFT + AXES_RIGHT) / 2;
    page_addf(p,
              "<circle class=\"peak\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>"
              "<text class=\"mark\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s, %.1f %%</text>\n",
              at, up, left ? at - 9 : at + 9, up - 7, left ? "end" : "start",
              numbers_show_bytes(bytes, b->chosen.peak), budget_slower(b));
}

void chart_curve(page *p, const budget *b)
{
    axis x, y;
    double limit = (double)b->options->budget;
    curve_axes(b, &x, &y);
    axes_begin(p, &x, &y, "Slow-down over budget");
    curve_line(p, b, &x, &y);
    if (limit >= x.low && limit <= x.high)
        page_addf(p, "<line class=\"limit\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n",
                  axis_x(&x, limit), axis_x(&x, limit), AXES_TOP, AXES_BOTTOM);
    curve_chosen(p, b, &x, &y);
    axes_end(p);
}
