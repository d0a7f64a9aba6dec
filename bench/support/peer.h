/* peer.h: PyTorch beside us, where a Python that has it is found: bench/peer_torch.py as a process
 * that lives as long as the bench, so that runs of both can take turns. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdio.h>
#include <sys/types.h>

typedef struct peer {
    pid_t pid; /* 0: there is none */
    FILE *to, *from;
    char about[64]; /* "PyTorch 2.15.0", or why there is none */
} peer;

/* RF_TORCH_PYTHON, or else python3. Without PyTorch there pid is 0. */
void peer_begin(peer *p, size_t threads);
/* Seconds of `steps` training steps: "small", "f32" or "bf16", "eager", "compiled" or "blocks". 0
 * if the peer fails. */
int peer_steps(peer *p, const char *config, const char *form, int steps, double *seconds);
void peer_end(peer *p);

#endif
