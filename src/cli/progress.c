/* progress.c: see progress.h. The time left is that of the steps so far, evaluation and saving
 * included. The loss that is shown is a moving mean: a single batch says little. */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/numbers.h"

static const double progress_interval = 0.1; /* seconds between two looks of the terminal's line */
static const double progress_keep = 0.9;     /* of the mean loss, from one step to the next       */

void progress_begin(progress *p, uint64_t first, uint64_t steps)
{
    *p = (progress){.first = first, .steps = steps};
    p->terminal = isatty(STDOUT_FILENO);
    p->every = steps / 20 ? steps / 20 : 1;
    p->begun = figures_clock();
}

static void progress_print(const progress *p, const figures *f)
{
    char rate[NUMBERS_TEXT], bytes[NUMBERS_TEXT], part[NUMBERS_TEXT], left[NUMBERS_TEXT];
    double each = (figures_clock() - p->begun) / (double)(f->step - p->first);
    numbers_show_rate(rate, figures_rate(f));
    numbers_show_bytes(bytes, f->peak_bytes);
    numbers_show_bytes(part, f->activation_peak_bytes);
    numbers_show_seconds(left, each * (double)(p->steps - f->step));
    printf("step %llu/%llu  loss %.4f", (unsigned long long)f->step, (unsigned long long)p->steps,
           p->mean);
    if (p->has_held_out)
        printf("  held out %.4f", p->held_out);
    printf("  %s tokens/s  memory %s (activations %s)  left %s", rate, bytes, part, left);
}

static void progress_on_terminal(progress *p, const figures *f)
{
    double now = figures_clock();
    if (p->open && now - p->shown < progress_interval && f->step < p->steps)
        return;
    p->shown = now;
    p->open = 1;
    printf("\r");
    progress_print(p, f);
    printf("\033[K"); /* clear what a longer line left */
    fflush(stdout);
}

void progress_step(progress *p, const figures *f)
{
    int first = f->step == p->first + 1;
    p->mean = first ? f->loss : progress_keep * p->mean + (1 - progress_keep) * f->loss;
    if (f->has_held_out) {
        p->held_out = f->held_out_loss;
        p->has_held_out = 1;
    }
    if (p->terminal) {
        progress_on_terminal(p, f);
    } else if (first || f->has_held_out || f->step % p->every == 0 || f->step == p->steps) {
        progress_print(p, f);
        printf("\n");
        fflush(stdout);
    }
}

void progress_end(progress *p)
{
    if (p->open)
        printf("\n");
    p->open = 0;
    fflush(stdout);
}
