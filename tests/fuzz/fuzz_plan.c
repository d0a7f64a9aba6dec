/* Any bytes as a file of a plan: it is read or refused; what was read is written and read again
 * alike, and carrying it out on a model that it may not fit succeeds or is refused, and leaves no
 * trace either way. */
#include <refrain/refrain.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void require_same(const rf_plan *a, const rf_plan *b)
{
    rf_plan_info x = rf_plan_info_of(a), y = rf_plan_info_of(b);
    require(x.peak == y.peak && x.budget == y.budget && x.smallest == y.smallest);
    require(rf_plan_num_parts(a) == rf_plan_num_parts(b));
    for (size_t i = 0; i < rf_plan_num_parts(a); i++) {
        rf_plan_part p = rf_plan_part_at(a, i), q = rf_plan_part_at(b, i);
        require(!strcmp(p.path, q.path) && !strcmp(p.fates, q.fates));
        require(p.first == q.first && p.count == q.count && p.bytes == q.bytes);
        require(!p.dial == !q.dial && (!p.dial || !strcmp(p.dial, q.dial)));
    }
    require(rf_plan_num_points(a) == rf_plan_num_points(b));
    for (size_t i = 0; i < rf_plan_num_points(a); i++)
        require(rf_plan_point_at(a, i).peak == rf_plan_point_at(b, i).peak);
}

static void round_trip(rf_context *ctx, const rf_plan *plan, const char *path)
{
    rf_plan *again;
    require(rf_plan_save(plan, path) == RF_OK);
    require(rf_plan_load(&again, ctx, path) == RF_OK);
    require_same(plan, again);
    rf_plan_destroy(again);
}

static void carry_out(rf_context *ctx, const rf_plan *plan)
{
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    rf_module *model;
    sizes.layers = 2;
    sizes.width = 8;
    sizes.heads = 2;
    sizes.context = 4;
    sizes.vocab = 8;
    require(rf_nn_gpt2(&model, ctx, &sizes) == RF_OK);
    if (!rf_plan_apply(plan, model))
        require(rf_plan_clear(plan, model) == RF_OK);
    else
        require(!strchr(rf_context_error(ctx)->message, '\n'));
    require(rf_module_dial(model)->get(model) == RF_DIAL_AUTO);
    require(!rf_checkpoint_applied(model) && !rf_checkpoint_ranges_num(rf_module_find(model, "h")));
    require(!rf_checkpoint_applied(rf_nn_gpt2_block(model, 1)));
    rf_module_destroy(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Where there is such a place, one that is no disk: a save waits until it is written. */
    char path[32] = "/dev/shm/fuzz-plan-XXXXXX";
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    rf_plan *plan;
    int fd = mkstemp(path);
    if (fd < 0) {
        strcpy(path, "/tmp/fuzz-plan-XXXXXX");
        fd = mkstemp(path);
    }
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
    opts.threads = 1;
    opts.isa = "portable";
    require(rf_context_create(&ctx, &opts) == RF_OK);
    rf_status status = rf_plan_load(&plan, ctx, path);
    require(status == RF_OK || status == RF_E_FORMAT);
    if (status) {
        require(!plan && !strchr(rf_context_error(ctx)->message, '\n'));
    } else {
        round_trip(ctx, plan, path);
        carry_out(ctx, plan);
    }
    rf_plan_destroy(plan);
    rf_context_destroy(ctx);
    unlink(path);
    return 0;
}
