/* steps.c: training steps, ours and PyTorch's in turn, and what of the machine they use.
 *
 *   steps [--tiny] [--runs N] [--threads N] [--alone] [CONFIG...]
 *
 * One round is a turn of each form: ours in f32 and bf16, plain and with every block checkpointed,
 * and on one thread; the peer's eager and compiled (its better one counts). A round in which others
 * used more than 8 % of a processor does not count; with too few that do there are no ratios. Lines
 * of key=value come first, the table last. --alone leaves the peer out, --tiny its compiler.
 */
#include "support/peer.h"
#include "support/report.h"

#include <string.h>
#include <unistd.h>

#define BUSY 0.08

/* How long a turn should be, at most how many steps, and the pause in which the threads of the one
 * before fall asleep. The first of several steps finds caches and threads as others left them, and
 * does not count. */
static const double turn_seconds = 0.1;
enum { TURN_STEPS = 8, PAUSE_NS = 20000000 };

typedef struct options {
    int tiny, runs, alone;
    size_t threads;
    const training_config *configs[TRAINING_CONFIGS];
    size_t num;
} options;

typedef struct race {
    report_row *row;
    training ours[2]; /* on all threads, on one */
    peer *peer;
    int tiny;
    int steps[REPORT_FORMS]; /* of a turn; 0: the form is left out */
} race;

/* Steps of one form. 0 if the peer failed. */
static int race_steps(race *r, int form, int steps, training_times *times)
{
    const report_form *f = &report_forms[form];
    double seconds[TURN_STEPS];
    if (f->who == REPORT_PEER &&
        !peer_steps(r->peer, r->row->config->name, f->name, steps, seconds))
        return 0;
    for (int i = 0; i < steps; i++)
        if (f->who == REPORT_PEER)
            times[i] = (training_times){.all = seconds[i]};
        else
            times[i] = training_step(&r->ours[f->who == REPORT_SERIAL], f->form);
    return 1;
}

/* Two steps warm; how long the second takes tells how many make a turn. */
static void race_warm(race *r, int form)
{
    training_times times[2];
    r->steps[form] = 0;
    if (report_forms[form].who == REPORT_PEER && !r->peer->pid)
        return;
    if (r->tiny && strstr(report_forms[form].name, "compiled")) /* it takes minutes */
        return;
    if (!race_steps(r, form, 2, times))
        return;
    double steps = turn_seconds / times[1].all;
    r->steps[form] = steps < 1 ? 1 : steps > TURN_STEPS ? TURN_STEPS : (int)steps;
}

/* The form that begins is another in each round: it follows the other program. */
static void race_round(race *r, int number)
{
    report_round round = {.foreign = 0};
    machine_meter meter = machine_meter_begin(r->peer->pid);
    for (int i = 0; i < REPORT_FORMS; i++) {
        training_times times[TURN_STEPS];
        int form = (i + number) % REPORT_FORMS, steps = r->steps[form], first = steps > 1;
        if (!steps)
            continue;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        if (!race_steps(r, form, steps, times))
            r->steps[form] = 0;
        else
            round.times[form] = training_middle(times + first, steps - first);
    }
    round.foreign = machine_meter_foreign(&meter);
    report_row_add(r->row, &round, round.foreign <= BUSY);
}

static void bench(report_row *row, const options *o, peer *other)
{
    race r = {.row = row, .peer = other, .tiny = o->tiny};
    training_begin(&r.ours[0], row->config, o->threads, NULL);
    training_begin(&r.ours[1], row->config, 1, NULL);
    for (int form = 0; form < REPORT_FORMS; form++)
        race_warm(&r, form);
    row->threads = rf_context_threads(r.ours[0].ctx);
    row->peak = machine_peak((int)row->threads);
    row->bandwidth = machine_bandwidth((int)row->threads);
    row->library = products_rate(row->config, row->threads);
    row->parameters = training_parameters(&r.ours[0]);
    for (int i = 0; i < 2 * o->runs && row->step[0].num < o->runs; i++)
        race_round(&r, i);
    training_end(&r.ours[0]);
    training_end(&r.ours[1]);
}

/* ---- the command line ---- */

static int usage(void)
{
    fprintf(stderr, "usage: steps [--tiny] [--runs N] [--threads N] [--alone] [CONFIG...]\n"
                    "CONFIG: tiny small gpt2b1 gpt2b4 resnet18\n");
    return 2;
}

/* Whether all of them are understood. */
static int parse(options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const training_config *c = training_find(argv[i]);
        if (!strcmp(argv[i], "--tiny"))
            o->tiny = 1;
        else if (!strcmp(argv[i], "--alone"))
            o->alone = 1;
        else if (!strcmp(argv[i], "--runs") && i + 1 < argc)
            o->runs = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
            o->threads = (size_t)atoi(argv[++i]);
        else if (c && o->num < TRAINING_CONFIGS)
            o->configs[o->num++] = c;
        else
            return 0;
    }
    return o->runs >= 1 && o->runs <= MAX_RUNS;
}

static void choose(options *o)
{
    const training_config *from = o->tiny ? training_least : training_configs;
    if (o->tiny)
        o->runs = 2;
    if (!o->num)
        for (size_t i = 0; i < (o->tiny ? TRAINING_LEAST : TRAINING_CONFIGS); i++)
            o->configs[o->num++] = &from[i];
}

/* Threads stay on their processors, ours as the peer's: two of a program that wake on the same one
 * may stay there for longer than a step. OpenMP reads that before main begins. */
static void bind_threads(char **argv)
{
    if (getenv("OMP_PROC_BIND") || setenv("OMP_PROC_BIND", "true", 1))
        return;
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    static report_row rows[TRAINING_CONFIGS];
    options o = {.runs = 9};
    peer other = {.about = "PyTorch was not asked for"};
    if (!parse(&o, argc, argv))
        return usage();
    bind_threads(argv);
    choose(&o);
    if (!o.threads) /* a bound thread would find one */
        o.threads = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (!o.alone)
        peer_begin(&other, o.threads);
    for (size_t i = 0; i < o.num; i++) {
        rows[i].config = o.configs[i];
        bench(&rows[i], &o, &other);
        report_lines(&rows[i]);
    }
    report_table(rows, o.num, other.about);
    peer_end(&other);
    return 0;
}
