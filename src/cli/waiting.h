/* waiting.h: how threads wait for each other. */
#ifndef RF_CLI_WAITING_H
#define RF_CLI_WAITING_H

/* Start the command over with settings under which threads that wait give their processor away
 * soon; returns if that is not needed (the user has settings, or it has been done), or can't be. */
void waiting_settle(char **argv);

#endif
