/* columns.h: the values that each place of a window sees, side by side, and back. */
#ifndef RF_KERNEL_COLUMNS_H
#define RF_KERNEL_COLUMNS_H

#include "kernel/window.h"

/* One image's channels, as many as x says: x is (C, H, W), columns (C KH KW, OH OW), both row-major
 * without gaps. */
typedef struct rf_columns {
    const rf_window *window;
    rf_view x, columns;
    int64_t places[2]; /* OH, OW */
    size_t threads;
} rf_columns;

/* columns = what the window sees of x; zeros where it sees padding. */
void rf_columns_unfold(const rf_columns *c);
/* x = the sum over everything that sees it, in a fixed order. */
void rf_columns_fold(const rf_columns *c);

/* The other way round, and of all images at once: for a weight's gradient where the images have few
 * places. Whether it is the way to take, by pass and shapes; and as rf_convolution. */
int rf_conv_rows_fit(const rf_conv_call *c);
size_t rf_conv_rows_workspace(size_t threads, const rf_conv_call *c);
rf_status rf_conv_rows(const rf_exec *e, const rf_conv_call *c);

#endif
