/* axes.c: see axes.h. */
#include "cli/axes.h"

#include <math.h>

double axis_x(const axis *x, double value)
{
    return AXES_LEFT + (AXES_RIGHT - AXES_LEFT) * (value - x->low) / (x->high - x->low);
}

double axis_y(const axis *y, double value)
{
    return AXES_BOTTOM - (AXES_BOTTOM - AXES_TOP) * (value - y->low) / (y->high - y->low);
}

/* The round number (1, 2 or 5 times a power of ten) that makes at most `most` ticks. */
static double axis_step(const axis *a, double most)
{
    double rough = (a->high - a->low) / a->unit / most;
    if (rough < a->least)
        return a->least;
    double power = pow(10, floor(log10(rough)));
    double times = rough / power;
    return power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

static int axis_decimals(double step)
{
    double decimals = -floor(log10(step) + 1e-9);
    return decimals > 0 ? (int)decimals : 0;
}

static void axes_ticks_x(page *p, const axis *x)
{
    double step = axis_step(x, 9);
    for (double k = ceil(x->low / x->unit / step - 1e-9); k * step * x->unit <= x->high; k++) {
        double at = axis_x(x, k * step * x->unit);
        page_addf(p, "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", at, at,
                  AXES_BOTTOM, AXES_BOTTOM + 5);
        page_addf(p, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.*f</text>\n", at,
                  AXES_BOTTOM + 32, axis_decimals(step), k * step + 0.0);
    }
    page_addf(p, "<text class=\"title\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
              (AXES_LEFT + AXES_RIGHT) / 2, AXES_BOTTOM + 58, x->title);
}

static void axes_ticks_y(page *p, const axis *y)
{
    double step = axis_step(y, 6);
    for (double k = ceil(y->low / y->unit / step - 1e-9); k * step * y->unit <= y->high; k++) {
        double at = axis_y(y, k * step * y->unit);
        page_addf(p, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
                  AXES_LEFT, AXES_RIGHT, at, at);
        page_addf(p, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.*f</text>\n", AXES_LEFT - 8,
                  at + 4.5, axis_decimals(step), k * step + 0.0);
    }
    page_addf(p,
              "<text class=\"title\" transform=\"translate(16 %d) rotate(-90)\" "
              "text-anchor=\"middle\">%s</text>\n",
              (AXES_TOP + AXES_BOTTOM) / 2, y->title);
}

void axes_begin(page *p, const axis *x, const axis *y, const char *label)
{
    page_addf(p, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", AXES_WIDTH,
              AXES_HEIGHT, label);
    axes_ticks_y(p, y);
    axes_ticks_x(p, x);
}

void axes_end(page *p)
{
    page_addf(p,
              "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>"
              "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/></svg>\n",
              AXES_LEFT, AXES_RIGHT, AXES_BOTTOM, AXES_BOTTOM, AXES_LEFT, AXES_LEFT, AXES_TOP,
              AXES_BOTTOM);
}
