/* peer.c: see peer.h.
 *
 * Its settings are those under which it was fastest here: its own OpenMP and product library, as
 * many threads as ours, and an allocator that gives no memory back to fault it in again. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_setaffinity */
#endif
#include "support/peer.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PEER_LINE = 4096 };

static void peer_settings(const char *threads)
{
    setenv("OMP_NUM_THREADS", threads, 1);
    setenv("MKL_NUM_THREADS", threads, 1);
    unsetenv("OMP_WAIT_POLICY");
    setenv("GLIBC_TUNABLES",
           "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=100000000000:"
           "glibc.malloc.top_pad=268435456:glibc.malloc.hugetlb=1",
           1);
}

/* Ours is bound to one processor by now, and a child inherits that. */
static void peer_unbind(void)
{
    cpu_set_t all;
    CPU_ZERO(&all);
    for (int i = 0; i < CPU_SETSIZE; i++)
        CPU_SET(i, &all);
    sched_setaffinity(0, sizeof all, &all);
}

/* In the child. What it says besides answers goes to bench's own errors only if asked for. */
static void peer_run(const int to[2], const int from[2], const char *threads)
{
    const char *python = getenv("RF_TORCH_PYTHON");
    peer_settings(threads);
    peer_unbind();
    dup2(to[0], 0);
    dup2(from[1], 1);
    for (int i = 0; i < 2; i++) {
        close(to[i]);
        close(from[i]);
    }
    if (!getenv("RF_PEER_ERRORS") && !freopen("/dev/null", "w", stderr))
        _exit(1);
    if (!python || !*python)
        python = "python3";
    execlp(python, python, BENCH_PEER, threads, (char *)NULL);
    _exit(127);
}

static int peer_ask(peer *p, const char *line, char *answer)
{
    if (!p->pid || fprintf(p->to, "%s\n", line) < 0 || fflush(p->to) ||
        !fgets(answer, PEER_LINE, p->from))
        return 0;
    answer[strcspn(answer, "\n")] = '\0';
    return 1;
}

void peer_begin(peer *p, size_t threads)
{
    char text[24], answer[PEER_LINE];
    int to[2], from[2];
    *p = (peer){.pid = 0};
    signal(SIGPIPE, SIG_IGN);
    snprintf(text, sizeof text, "%zu", threads);
    if (pipe(to) || pipe(from))
        exit(1);
    p->pid = fork();
    if (!p->pid)
        peer_run(to, from, text);
    close(to[0]);
    close(from[1]);
    p->to = fdopen(to[1], "w");
    p->from = fdopen(from[0], "r");
    if (p->pid < 0 || !p->to || !p->from)
        exit(1);
    if (peer_ask(p, "about", answer)) {
        snprintf(p->about, sizeof p->about, "%.63s", answer);
        return;
    }
    peer_end(p);
    snprintf(p->about, sizeof p->about, "no Python with PyTorch (set RF_TORCH_PYTHON)");
}

int peer_steps(peer *p, const char *config, const char *form, int steps, double *seconds)
{
    char line[128], answer[PEER_LINE], *at = answer;
    snprintf(line, sizeof line, "%s %s %d", config, form, steps);
    if (!peer_ask(p, line, answer))
        return 0;
    for (int i = 0; i < steps; i++)
        seconds[i] = strtod(at, &at);
    return 1;
}

void peer_end(peer *p)
{
    if (!p->pid)
        return;
    fclose(p->to);
    fclose(p->from);
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
}
