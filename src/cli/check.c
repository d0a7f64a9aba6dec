/* check.c: refrain check: the library's two promises, put to the proof on the machine at hand with
 * the kernels that it chose. A line for each check; the last one counts them. */
#include "cli/check.h"

#include <stdio.h>

#include <refrain/base.h>

#include "cli/report.h"

/* The machine, and how many threads "all" are; 0 after a report. */
static size_t check_greet(const check_options *options)
{
    rf_context *ctx;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = (size_t)options->threads;
    rf_status status = rf_context_create(&ctx, &opts);
    if (status) {
        report_error(rf_status_text(status), "starting", "close other programs");
        return 0;
    }
    size_t threads = rf_context_threads(ctx);
    printf("refrain %s on %s, %zu threads\n", rf_version(), rf_context_isa(ctx), threads);
    rf_context_destroy(ctx);
    return threads;
}

int check_run(const check_options *options)
{
    check_tally tally = {options, 0, 0};
    size_t threads = check_greet(options);
    if (!threads)
        return EXIT_FAILED;
    check_gradients(&tally);
    check_equality(&tally, 1);
    if (threads > 1)
        check_equality(&tally, threads);
    if (!tally.failed) {
        printf("\n%zu checks passed\n", tally.made);
        return EXIT_FINE;
    }
    printf("\n%zu of %zu checks failed\n", tally.failed, tally.made);
    return EXIT_FAILED;
}
