/* plan_show.h: a plan for people and for programs. */
#ifndef RF_CLI_PLAN_SHOW_H
#define RF_CLI_PLAN_SHOW_H

#include "cli/budget.h"
#include "cli/page.h"

/* Slower than plain, in percent, of a point of the curve. */
double plan_slower(const budget *b, double seconds);

/* The figures, the table of the parts and the curve, as lines on standard output. */
void plan_print(const budget *b);
/* The same as one JSON object. */
void plan_json(page *p, const budget *b);
/* The same as a page with pictures. */
void plan_page(page *p, const budget *b);

/* The part of a page that any page about a plan has. */
void plan_page_fates(page *p, const budget *b);

#endif
