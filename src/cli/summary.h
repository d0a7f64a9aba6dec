/* summary.h: the page of --report. */
#ifndef RF_CLI_SUMMARY_H
#define RF_CLI_SUMMARY_H

#include "cli/insight.h"
#include "cli/page.h"

/* What any page has: its beginning with the style, a figure with its name, the options, its end. */
void summary_begin(page *p, const char *title);
void summary_tile(page *p, const char *figure, const char *name);
void summary_options(page *p, const train_options *o);
void summary_end(page *p);
/* Its part that needs a watched step. */
void summary_step(page *p, const insight *look);
void summary_page(page *p, const insight *look, const session *s);

#endif
