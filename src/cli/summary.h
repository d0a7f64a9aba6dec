/* summary.h: the page of --report. */
#ifndef RF_CLI_SUMMARY_H
#define RF_CLI_SUMMARY_H

#include "cli/insight.h"
#include "cli/page.h"

/* Its part that needs a watched step. */
void summary_step(page *p, const insight *look);
void summary_page(page *p, const insight *look, const session *s);

#endif
