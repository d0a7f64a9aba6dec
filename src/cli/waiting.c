/* waiting.c: see waiting.h.
 *
 * OpenMP's threads spin for milliseconds before they sleep. On a machine that has other work to do,
 * they then burn the processor that the thread they wait for needs: on two processors with one
 * other busy program a step was seen to take eight times as long. A short spin costs 4 % when the
 * machine is idle. The OpenMP library reads its settings from the environment before main begins,
 * so they can only be given to a program that starts. */
#include "cli/waiting.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/paths.h"

static const struct waiting_setting {
    const char *name;
    const char *value; /* NULL: only looked at */
} waiting_settings[] = {
    {"OMP_WAIT_POLICY", NULL},
    {"GOMP_SPINCOUNT", "1000"}, /* of GCC's library: rounds */
    {"KMP_BLOCKTIME", "0"},     /* of LLVM's: milliseconds  */
};
enum { WAITING_SETTINGS = sizeof waiting_settings / sizeof *waiting_settings };

void waiting_settle(char **argv)
{
    char program[PATHS_BYTES];
    for (size_t i = 0; i < WAITING_SETTINGS; i++)
        if (getenv(waiting_settings[i].name))
            return;
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (len <= 0)
        return;
    program[len] = '\0';
    for (size_t i = 0; i < WAITING_SETTINGS; i++)
        if (waiting_settings[i].value &&
            setenv(waiting_settings[i].name, waiting_settings[i].value, 1))
            return;
    execv(program, argv);
}
