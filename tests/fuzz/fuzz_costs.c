/* Any bytes as a file of costs: it is read or refused; a refusal changes nothing; what was read is
 * written and read again alike, and every cost in it is a positive number. */
#include "io/costs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <refrain/io.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static double seconds_of(const rf_costs *costs, rf_cost cost)
{
    return rf_costs_seconds(costs, rf_cost_key_of_text(cost.text, strlen(cost.text)));
}

/* Save, load into a fresh table, compare. */
static void round_trip(rf_context *ctx, rf_costs *costs, const char *path)
{
    rf_costs *again;
    require(rf_costs_save(costs, path) == RF_OK);
    require(rf_costs_create(&again, ctx) == RF_OK);
    require(rf_costs_load(again, path) == RF_OK);
    require(rf_costs_size(again) == rf_costs_size(costs));
    for (size_t i = 0; i < rf_costs_size(costs); i++) {
        rf_cost cost = rf_costs_at(costs, i);
        double difference = seconds_of(again, cost) - cost.seconds;
        require(cost.seconds > 0 && cost.origin == RF_COST_MEASURED);
        require(difference < 1e-8 && difference > -1e-8);
    }
    rf_costs_destroy(again);
}

/* The bytes, with the words CPU and LIB for this machine's names, so that a corpus speaks of every
 * machine. */
static void write_input(int fd, const uint8_t *data, size_t size, const rf_costs_machine *here)
{
    for (size_t at = 0, len; at < size; at += len) {
        int cpu = size - at >= 3 && memcmp(data + at, "CPU", 3) == 0;
        int lib = size - at >= 3 && memcmp(data + at, "LIB", 3) == 0;
        const char *name = cpu ? here->cpu : here->library;
        len = cpu || lib ? 3 : 1;
        if (cpu || lib)
            require(write(fd, name, strlen(name)) == (ssize_t)strlen(name));
        else {
            while (at + len < size && data[at + len] != 'C' && data[at + len] != 'L')
                len++;
            require(write(fd, data + at, len) == (ssize_t)len);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[] = "/tmp/fuzz-costs-XXXXXX";
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    rf_costs *costs;
    int fd = mkstemp(path);
    rf_costs_machine here;
    opts.threads = 1;
    opts.isa = "portable";
    require(rf_context_create(&ctx, &opts) == RF_OK);
    require(rf_costs_create(&costs, ctx) == RF_OK);
    rf_costs_machine_here(&here, ctx);
    require(fd >= 0);
    write_input(fd, data, size, &here);
    require(close(fd) == 0);
    rf_status status = rf_costs_load(costs, path);
    require(status == RF_OK || status == RF_E_FORMAT);
    require(!status || rf_costs_size(costs) == 0);
    if (status)
        require(!strchr(rf_context_error(ctx)->message, '\n'));
    else
        round_trip(ctx, costs, path);
    rf_costs_destroy(costs);
    rf_context_destroy(ctx);
    unlink(path);
    return 0;
}
