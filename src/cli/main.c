/* main.c: the command. A verb is a row; everything else is found by its options. */
#include <stdio.h>
#include <string.h>

#include "cli/check.h"
#include "cli/help.h"
#include "cli/info.h"
#include "cli/plan.h"
#include "cli/problem.h"
#include "cli/report.h"
#include "cli/sample.h"
#include "cli/train.h"
#include "cli/waiting.h"

typedef union main_options {
    train_options train;
    plan_options plan;
    sample_options sample;
    info_options info;
    check_options check;
    problem_options problem;
} main_options;

static int main_train(main_options *options, option_set given)
{
    return train_run(&options->train, given);
}

static int main_plan(main_options *options, option_set given)
{
    return plan_run(&options->plan, given);
}

static int main_sample(main_options *options, option_set given)
{
    (void)given;
    return sample_run(&options->sample);
}

static int main_info(main_options *options, option_set given)
{
    (void)given;
    return info_run(&options->info);
}

static int main_check(main_options *options, option_set given)
{
    (void)given;
    return check_run(&options->check);
}

static int main_problem(main_options *options, option_set given)
{
    return problem_run(&options->problem, given);
}

/* plan has two tables: what it plans decides, a file of somebody's or a run of ours. */
enum { MAIN_VERBS = 6, MAIN_PROBLEM = 2 };
static const option_table *const main_tables[MAIN_VERBS] = {
    &train_table, &plan_table, &problem_table, &sample_table, &info_table, &check_table};
static int (*const main_runs[MAIN_VERBS])(main_options *, option_set) = {
    main_train, main_plan, main_problem, main_sample, main_info, main_check};

/* Which verb it is; MAIN_VERBS: none. */
static size_t main_find(int argc, char **argv)
{
    size_t verb = 0;
    while (verb < MAIN_VERBS && strcmp(argv[1], main_tables[verb]->verb) != 0)
        verb++;
    int plans = verb < MAIN_VERBS && main_tables[verb] == &plan_table;
    return plans && problem_wanted(argc - 2, argv + 2) ? MAIN_PROBLEM : verb;
}

static int main_verb(size_t verb, int argc, char **argv)
{
    main_options options;
    option_set given;
    option_error error;
    option_result result = options_parse(main_tables[verb], argc, argv, &options, &given, &error);
    if (result == OPTION_FINE)
        return main_runs[verb](&options, given);
    options_end(main_tables[verb], &options);
    if (result == OPTION_HELP) {
        help_verb(main_tables[verb]);
        return EXIT_FINE;
    }
    report_error(error.what, error.where, error.advice);
    return EXIT_USAGE;
}

static int main_unknown(const char *word)
{
    const char *words[MAIN_VERBS];
    char what[160], advice[64];
    for (size_t i = 0; i < MAIN_VERBS; i++)
        words[i] = main_tables[i]->verb;
    const char *nearest = rf_nearest_word(word, words, MAIN_VERBS);
    snprintf(what, sizeof what, "'%.100s' is nothing that refrain does", word);
    if (nearest)
        snprintf(advice, sizeof advice, "did you mean refrain %s?", nearest);
    else
        snprintf(advice, sizeof advice, "see refrain --help");
    report_error(what, "refrain", advice);
    return EXIT_USAGE;
}

static int main_command(int argc, char **argv)
{
    if (argc < 2) {
        report_error("a verb is missing", "refrain",
                     "say train, plan, sample, info or check; see --help");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("refrain %s\n", rf_version());
        return EXIT_FINE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help_command(main_tables, MAIN_VERBS);
        return EXIT_FINE;
    }
    size_t verb = main_find(argc, argv);
    return verb < MAIN_VERBS ? main_verb(verb, argc - 2, argv + 2) : main_unknown(argv[1]);
}

int main(int argc, char **argv)
{
    waiting_settle(argv);
    int status = main_command(argc, argv);
    if ((fflush(stdout) || ferror(stdout)) && status == EXIT_FINE) {
        report_error("not all output could be written", "standard output", "make room for it");
        status = EXIT_FAILED;
    }
    return status;
}
