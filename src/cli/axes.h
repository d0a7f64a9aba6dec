/* axes.h: the frame of a picture: a scale with round numbers on either side. */
#ifndef RF_CLI_AXES_H
#define RF_CLI_AXES_H

#include "cli/page.h"

enum {
    AXES_WIDTH = 920,
    AXES_HEIGHT = 340,
    AXES_LEFT = 76,
    AXES_RIGHT = 900,
    AXES_TOP = 14,
    AXES_BOTTOM = 270
};

/* One side: from low to high, in units of `unit` each. */
typedef struct axis {
    double low, high;
    double unit; /* 1048576 for MiB */
    const char *title;
    double least; /* between two ticks, in units; 0: anything */
} axis;

double axis_x(const axis *x, double value);
double axis_y(const axis *y, double value);
/* Begin an SVG with that frame, its ticks and titles; label tells what it shows. */
void axes_begin(page *p, const axis *x, const axis *y, const char *label);
void axes_end(page *p);

#endif
