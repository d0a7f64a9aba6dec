/* interrupt.c: see interrupt.h. The handler touches one flag and may call _exit: both are safe
 * whatever it interrupted. */
#include "cli/interrupt.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"

static volatile sig_atomic_t interrupt_flag;

static void interrupt_handle(int signal_number)
{
    (void)signal_number;
    if (interrupt_flag)
        _exit(EXIT_STOPPED);
    interrupt_flag = 1;
}

void interrupt_begin(void)
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt_handle;
    action.sa_flags = SA_RESTART; /* a write that is under way goes on */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* Under nohup the end of the terminal is ignored, and stays so. */
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &action, NULL);
}

int interrupt_asked(void)
{
    return interrupt_flag != 0;
}
