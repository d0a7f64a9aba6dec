/* reference_optim.c: the optimisers; see reference.h. */
#include "kernel/reference_view.h"

#include <math.h>

rf_status rf_reference_adamw(const rf_exec *e, const double c[7], const rf_view *const pgmv[4])
{
    int64_t n = rf_shape_count(&pgmv[0]->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++) {
        double p = ref_get(pgmv[0], i), g = ref_get(pgmv[1], i);
        double m = c[1] * ref_get(pgmv[2], i) + (1 - c[1]) * g;
        double v = c[2] * ref_get(pgmv[3], i) + (1 - c[2]) * g * g;
        ref_set(pgmv[2], i, m);
        ref_set(pgmv[3], i, v);
        p -= c[0] * c[4] * p;
        ref_set(pgmv[0], i, p - c[0] * (m / c[5]) / (sqrt(v / c[6]) + c[3]));
    }
    return RF_OK;
}

rf_status rf_reference_sgd(const rf_exec *e, const double c[5], int first,
                           const rf_view *const pgv[3])
{
    int64_t n = rf_shape_count(&pgv[0]->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++) {
        double p = ref_get(pgv[0], i), g = ref_get(pgv[1], i) + c[3] * p, step = g;
        if (pgv[2]) {
            double v = first ? g : c[1] * ref_get(pgv[2], i) + (1 - c[2]) * g;
            ref_set(pgv[2], i, v);
            step = c[4] != 0 ? g + c[1] * v : v;
        }
        ref_set(pgv[0], i, p - c[0] * step);
    }
    return RF_OK;
}
