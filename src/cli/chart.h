/* chart.h: pictures as inline SVG, in the colours of summary.c's style sheet. They scale with the
 * page's width; legends are text outside of them, so that nothing covers anything. */
#ifndef RF_CLI_CHART_H
#define RF_CLI_CHART_H

#include "cli/budget.h"
#include "cli/insight.h"
#include "cli/page.h"

/* Bytes over the time of a step, by class, one above the other; the total of a plain step as a line
 * (plain may be NULL), and the limit (0: none). */
void chart_memory(page *p, const rf_explain *chosen, const rf_explain *plain, uint64_t limit);
/* Slow-down over budget, the point of the plan, and the budget. */
void chart_curve(page *p, const budget *b);
/* Loss over steps, and what was held out. */
void chart_loss(page *p, const insight *look);

/* The classes in the order in which they lie, lowest first. */
enum { CHART_LAYERS = 7 };
extern const rf_mem_class chart_layers[CHART_LAYERS];

#endif
