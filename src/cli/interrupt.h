/* interrupt.h: Ctrl-C and its like. The first one asks for a clean end, which the training loop
 * looks for between steps; the second one ends the process at once. */
#ifndef RF_CLI_INTERRUPT_H
#define RF_CLI_INTERRUPT_H

/* From now on SIGINT, SIGTERM and SIGHUP ask. Files that may not grow become errors of writing. */
void interrupt_begin(void);
int interrupt_asked(void);

#endif
