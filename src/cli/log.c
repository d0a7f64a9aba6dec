/* log.c: see log.h. */
#include "cli/log.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "cli/report.h"

static int log_failed(const train_log *log)
{
    report_error(strerror(errno ? errno : EIO), log->path,
                 "make room for the log, or write it elsewhere");
    return EXIT_FAILED;
}

/* Whether a line is one of ours, of a step up to `last`. */
static int log_keeps(const char *line, uint64_t last)
{
    unsigned long long step;
    return strchr(line, '\n') && sscanf(line, "{\"step\": %llu,", &step) == 1 && step <= last;
}

/* Cut the file where the run that goes on will write next: lines of steps that were taken after the
 * last save are going to be written again. */
static int log_rewind(train_log *log, uint64_t resumed)
{
    char line[1024];
    long end = 0;
    while (fgets(line, sizeof line, log->file) && log_keeps(line, resumed))
        end = ftell(log->file);
    if (ferror(log->file) || fseek(log->file, end, SEEK_SET) ||
        ftruncate(fileno(log->file), (off_t)end))
        return log_failed(log);
    return EXIT_FINE;
}

int log_open(train_log *log, const char *path, uint64_t resumed)
{
    *log = (train_log){NULL, path};
    if (!path)
        return EXIT_FINE;
    errno = 0;
    log->file = resumed ? fopen(path, "r+") : NULL;
    if (log->file)
        return log_rewind(log, resumed);
    log->file = fopen(path, "w");
    return log->file ? EXIT_FINE : log_failed(log);
}

static int log_flush(train_log *log)
{
    return fflush(log->file) || ferror(log->file) ? log_failed(log) : EXIT_FINE;
}

int log_step(train_log *log, const figures *f)
{
    if (!log->file)
        return EXIT_FINE;
    fprintf(log->file,
            "{\"step\": %llu, \"loss\": %.9g, \"tokens\": %llu, \"ms\": %.3f, "
            "\"tokens_per_second\": %.1f, \"peak_bytes\": %llu, \"activation_peak_bytes\": %llu, "
            "\"resident_peak_bytes\": %llu, \"recompute_ms\": %.3f",
            (unsigned long long)f->step, f->loss, (unsigned long long)f->tokens, 1e3 * f->seconds,
            figures_rate(f), (unsigned long long)f->peak_bytes,
            (unsigned long long)f->activation_peak_bytes,
            (unsigned long long)f->resident_peak_bytes, 1e3 * f->recompute_seconds);
    if (f->has_held_out)
        fprintf(log->file, ", \"held_out_loss\": %.9g", f->held_out_loss);
    fprintf(log->file, "}\n");
    return log_flush(log);
}

int log_done(train_log *log, const log_end *end)
{
    if (!log->file)
        return EXIT_FINE;
    fprintf(log->file,
            "{\"done\": true, \"parameters\": %llu, \"parameters_hash\": \"%016llx\", "
            "\"steps\": %llu, \"seconds\": %.3f, \"peak_bytes\": %llu, "
            "\"activation_peak_bytes\": %llu",
            (unsigned long long)end->parameters, (unsigned long long)end->hash,
            (unsigned long long)end->steps, end->seconds, (unsigned long long)end->peak_bytes,
            (unsigned long long)end->activation_peak_bytes);
    if (end->planned)
        fprintf(log->file, ", \"predicted_peak_bytes\": %llu, \"predicted_slower_percent\": %.3f",
                (unsigned long long)end->predicted_peak_bytes, end->predicted_slower);
    fprintf(log->file, "}\n");
    return log_flush(log);
}

int log_close(train_log *log)
{
    if (!log->file)
        return EXIT_FINE;
    FILE *file = log->file;
    log->file = NULL;
    return fclose(file) ? log_failed(log) : EXIT_FINE;
}
