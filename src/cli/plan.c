/* plan.c: see plan.h. What train would decide is decided and told, and nothing is run. */
#include "cli/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include <refrain/io.h>

#include "cli/plan_show.h"
#include "cli/report.h"
#include "cli/resume.h"

/* As train settles its own: the saved run's, where one goes on. */
static int plan_settle(train_options *o, option_set given, char **texts)
{
    int failed = o->resume ? resume_options(o, given, texts) : EXIT_FINE;
    if (failed)
        return failed;
    if (!o->data.num) {
        report_error("--data is missing", "refrain plan", "give --data FILE|FOLDER ...");
        return EXIT_USAGE;
    }
    if (!o->budget || !o->memory)
        return EXIT_FINE;
    report_error("--budget and --memory exclude each other", "refrain plan",
                 "give --budget alone: it is a limit too");
    return EXIT_USAGE;
}

static int plan_make_page(const budget *b, const char *path)
{
    page p = {NULL, 0, 0, 0};
    int failed = EXIT_FINE;
    plan_page(&p, b);
    if (p.failed) {
        report_error("no memory", path, "close other programs");
        failed = EXIT_FAILED;
    } else if (rf_text_write(b->tools, path, p.text, p.len)) {
        report_failure(b->tools, "--report", "give a file in a folder that can be written to");
        failed = EXIT_FAILED;
    }
    page_end(&p);
    return failed;
}

static int plan_print_json(const budget *b)
{
    page p = {NULL, 0, 0, 0};
    plan_json(&p, b);
    int failed = p.failed;
    if (failed)
        report_error("no memory", "--json", "close other programs");
    else
        fwrite(p.text, 1, p.len, stdout);
    page_end(&p);
    return failed ? EXIT_FAILED : EXIT_FINE;
}

static int plan_write_file(const budget *b, const plan_options *o)
{
    if (!o->save || !rf_plan_save(b->plan, o->save))
        return EXIT_FINE;
    report_failure(b->tools, "--save", "give a file in a folder that can be written to");
    return EXIT_FAILED;
}

static int plan_tell(const budget *b, const plan_options *o)
{
    int failed = EXIT_FINE;
    if (o->json)
        failed = plan_print_json(b);
    else
        plan_print(b);
    failed = failed ? failed : plan_write_file(b, o);
    return failed || !o->report ? failed : plan_make_page(b, o->report);
}

int plan_run(plan_options *options, option_set given)
{
    train_options *o = &options->train;
    budget b = {.options = NULL};
    char *texts = NULL;
    option_set given_train = plan_given_train(given);
    int failed = plan_settle(o, given_train, &texts);
    if (!failed)
        failed = budget_wanted(o) ? budget_find_plan(&b, o, given_train)
                                  : budget_find_smallest(&b, o, given_train);
    if (!failed)
        failed = plan_tell(&b, options);
    budget_end(&b);
    options_end(&train_table, o);
    free(texts);
    return failed;
}
