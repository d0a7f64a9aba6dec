/* checkpoints.c: see checkpoints.h. */
#include "cli/checkpoints.h"

#include <stdio.h>

#include <refrain/nn.h>

#include "cli/report.h"

int checkpoints_fit(option_choice_n choice, uint64_t layers)
{
    char what[128];
    if (choice.word != TRAIN_CHECKPOINT_SEQUENTIAL || choice.n <= layers)
        return 1;
    snprintf(what, sizeof what, "--checkpoint sequential:%llu: the model has %llu layers",
             (unsigned long long)choice.n, (unsigned long long)layers);
    report_error(what, "refrain train", "give at most as many segments as layers");
    return 0;
}

/* Blocks 0, stride, 2 stride, ... */
static rf_status checkpoints_every(rf_module *model, uint64_t stride, uint64_t layers,
                                   const rf_checkpoint_options *opts)
{
    rf_status status = RF_OK;
    for (uint64_t i = 0; i < layers && !status; i += stride)
        status = rf_checkpoint(rf_nn_gpt2_block(model, (size_t)i), opts);
    return status;
}

rf_status checkpoints_apply(rf_module *model, option_choice_n choice, uint64_t layers)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.fates = choice.more;
    switch ((train_checkpoint)choice.word) {
    case TRAIN_CHECKPOINT_NONE:
        return RF_OK;
    case TRAIN_CHECKPOINT_BLOCK:
        return checkpoints_every(model, 1, layers, &opts);
    case TRAIN_CHECKPOINT_EVERY:
        return checkpoints_every(model, choice.n, layers, &opts);
    case TRAIN_CHECKPOINT_SEQUENTIAL:
        return rf_checkpoint_sequential(rf_module_find(model, "h"), (size_t)choice.n, &opts);
    }
    return RF_OK;
}

rf_status checkpoints_clear(rf_module *model, option_choice_n choice, uint64_t layers)
{
    rf_status status = RF_OK;
    if (choice.word == TRAIN_CHECKPOINT_SEQUENTIAL)
        return rf_checkpoint_sequential_clear(rf_module_find(model, "h"));
    for (size_t i = 0; i < layers && !status; i++) {
        rf_module *block = rf_nn_gpt2_block(model, i);
        if (rf_checkpoint_applied(block))
            status = rf_checkpoint_clear(block);
    }
    return status;
}
