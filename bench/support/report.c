/* report.c: see report.h. A ratio is the median over the rounds, each of which had both. */
#include "support/report.h"

#include <string.h>

const report_form report_forms[REPORT_FORMS] = {{"f32 plain", REPORT_OURS, {RF_F32, 0, 0}},
                                                {"f32 blocks", REPORT_OURS, {RF_F32, 1, 0}},
                                                {"bf16 plain", REPORT_OURS, {RF_BF16, 0, 0}},
                                                {"bf16 blocks", REPORT_OURS, {RF_BF16, 1, 0}},
                                                {"f32 one thread", REPORT_SERIAL, {RF_F32, 0, 0}},
                                                {"f32 eager", REPORT_PEER, {RF_F32, 0, 0}},
                                                {"f32 compiled", REPORT_PEER, {RF_F32, 0, 0}},
                                                {"bf16 eager", REPORT_PEER, {RF_BF16, 0, 0}},
                                                {"bf16 compiled", REPORT_PEER, {RF_BF16, 0, 0}}};

static double middle(figures f)
{
    return f.num ? median(&f) : 0;
}

/* Of a over b; 0 if one is missing. */
static double ratio(const figures *a, const figures *b)
{
    figures r = {.num = 0};
    for (int i = 0; i < a->num && i < b->num; i++)
        if (a->v[i] > 0 && b->v[i] > 0)
            figures_add(&r, a->v[i] / b->v[i]);
    return middle(r);
}

void report_row_add(report_row *row, const report_round *round, int counts)
{
    const training_times *plain = &round->times[REPORT_PLAIN];
    if (round->foreign > row->foreign)
        row->foreign = round->foreign;
    if (!counts) {
        row->busy++;
        return;
    }
    for (int form = 0; form < REPORT_FORMS; form++)
        figures_add(&row->step[form], round->times[form].all);
    figures_add(&row->parts[0], plain->forward);
    figures_add(&row->parts[1], plain->backward);
    figures_add(&row->parts[2], plain->optimiser);
}

/* Too few rounds for a median that others did not make. */
static int report_busy(const report_row *row)
{
    return row->step[0].num <= row->busy;
}

/* ---- lines ---- */

static void report_line(const report_row *row, int form)
{
    const report_form *f = &report_forms[form];
    figures t = row->step[form];
    if (!t.num || middle(t) <= 0)
        return;
    double ms = 1e3 * median(&t);
    printf("step config=%s who=%s form=\"%s\" threads=%zu ms=%.3f low=%.3f high=%.3f\n",
           row->config->name, f->who == REPORT_PEER ? "peer" : "refrain", f->name,
           f->who == REPORT_SERIAL ? 1 : row->threads, ms, 1e3 * t.v[0], 1e3 * t.v[t.num - 1]);
}

void report_lines(const report_row *row)
{
    for (int form = 0; form < REPORT_FORMS; form++)
        report_line(row, form);
    printf("parts config=%s forward=%.3f backward=%.3f optimiser=%.3f ms, of \"f32 plain\"\n",
           row->config->name, 1e3 * middle(row->parts[0]), 1e3 * middle(row->parts[1]),
           1e3 * middle(row->parts[2]));
    printf("machine config=%s peak=%.1f library=%.1f GFLOP/s triad=%.1f GB/s rounds=%d busy=%d "
           "foreign=%.3f\n",
           row->config->name, 1e-9 * row->peak, 1e-9 * row->library, 1e-9 * row->bandwidth,
           row->step[0].num, row->busy, row->foreign);
    fflush(stdout);
}

/* ---- the table ---- */

static void cell(double value, int decimals, const char *unit)
{
    char text[24] = "-";
    if (value > 0)
        snprintf(text, sizeof text, "%.*f%s", decimals, value, unit);
    printf(" %9s |", text);
}

/* The peer's better form of two that follow each other. */
static const figures *better(const report_row *row, int form)
{
    double a = middle(row->step[form]), b = middle(row->step[form + 1]);
    return &row->step[b > 0 && (b < a || a <= 0) ? form + 1 : form];
}

/* Forward and backward in f32 over the product library on the same shapes, percent. */
static double report_of_library(const report_row *row)
{
    double seconds = middle(row->parts[0]) + middle(row->parts[1]);
    return row->library > 0 ? 100 * training_flops(row->config) / seconds / row->library : 0;
}

/* The optimiser's seven passes of 4 bytes over the triad, percent. */
static double report_of_bandwidth(const report_row *row)
{
    return 100 * 28.0 * (double)row->parameters / middle(row->parts[2]) / row->bandwidth;
}

static void table_row(const report_row *row, int bf16)
{
    const figures *plain = &row->step[bf16 ? REPORT_BF16 : REPORT_PLAIN];
    const figures *blocks = &row->step[bf16 ? REPORT_BF16_BLOCKS : REPORT_BLOCKS];
    const figures *peer = better(row, bf16 ? REPORT_BF16_EAGER : REPORT_EAGER);
    int busy = report_busy(row);
    double rate = 100 * training_flops(row->config) / middle(*plain);
    printf("| %-12s | %-4s |", row->config->name, bf16 ? "bf16" : "f32");
    cell(1e3 * middle(*plain), 1, "");
    cell(1e3 * middle(*peer), 1, "");
    cell(busy ? 0 : ratio(peer, plain), 2, "");
    cell(busy ? 0 : rate / row->peak, 0, " %");
    cell(busy || bf16 ? 0 : report_of_library(row), 0, " %");
    cell(busy ? 0 : ratio(blocks, plain), 3, "");
    cell(busy || bf16 ? 0 : ratio(&row->step[REPORT_ONE_THREAD], plain), 2, "");
    cell(busy || !bf16 ? 0 : ratio(&row->step[REPORT_PLAIN], plain), 2, "");
    cell(busy || bf16 ? 0 : report_of_bandwidth(row), 0, " %");
    printf("%s\n", busy ? " busy: no ratios" : "");
}

static void table_head(size_t threads, const char *peer)
{
    char name[128], date[16];
    time_t seconds = time(NULL);
    machine_name(name, sizeof name);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&seconds));
    printf("\n%zu threads of %s, %s; Refrain %s, %s\n\n", threads, name, date, rf_version(), peer);
    printf("| %-12s | %-4s | %9s | %9s | %9s | %9s | %9s | %9s | %9s | %9s | %9s |\n", "step",
           "type", "ours, ms", "peer, ms", "peer/ours", "peak", "library", "blocks", "1 thread",
           "f32/bf16", "AdamW");
    printf("|--------------|------|");
    for (int i = 0; i < 9; i++)
        printf("----------:|");
    puts("");
}

void report_table(const report_row *rows, size_t num, const char *peer)
{
    table_head(num ? rows->threads : 0, peer);
    for (size_t i = 0; i < num; i++)
        for (int bf16 = 0; bf16 < 2; bf16++)
            table_row(&rows[i], bf16);
    puts("\npeak: the step's FLOPs over those of a multiply-add loop in f32; library: those of "
         "forward and\nbackward over the product library's on the same shapes; blocks: every block "
         "checkpointed over\nplain; 1 thread: its time over ours; AdamW: 7 passes of 4 bytes over "
         "the triad's bandwidth.");
}
