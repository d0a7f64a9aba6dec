/* costs_write.c: writing a file of costs (costs.h), and where it is. */
#include "io/builder.h"
#include "io/costs_text.h"
#include "base/sort.h"
#include "tensor/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* What other machines may take of a file, and this one. */
enum { COSTS_OTHERS_MOST = RF_COSTS_FILE_MOST / 4, COSTS_OWN_MOST = RF_COSTS_FILE_MOST / 2 };

/* ---- this machine, and its place for caches ---- */

/* Of a file of the system, which has no size: what one read gives. */
static size_t costs_read_some(const char *path, char *buffer, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, buffer, bytes - 1) : 0;
    if (fd >= 0)
        close(fd);
    buffer[len > 0 ? len : 0] = 0;
    return len > 0 ? (size_t)len : 0;
}

void rf_costs_machine_here(rf_costs_machine *m, const rf_context *ctx)
{
    char info[4096];
    struct utsname system;
    *m = (rf_costs_machine){.cpu = "unknown",
                            .threads = rf_context_threads(ctx),
                            .isa = rf_context_isa(ctx),
                            .library = rf_version()};
    costs_read_some("/proc/cpuinfo", info, sizeof info);
    const char *name = strstr(info, "model name");
    name = name ? strchr(name, ':') : NULL;
    if (name)
        snprintf(m->cpu, sizeof m->cpu, "%.*s", (int)strcspn(name + 1, "\n"), name + 1);
    else if (uname(&system) == 0)
        snprintf(m->cpu, sizeof m->cpu, "%s", system.machine);
    size_t spaces = strspn(m->cpu, " ");
    memmove(m->cpu, m->cpu + spaces, strlen(m->cpu + spaces) + 1);
    for (char *c = m->cpu; *c; c++)
        if (*c < 0x20 || *c > 0x7E)
            *c = '?';
}

const char *rf_costs_default_path(char *buffer)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int len = -1;
    if (cache && cache[0] == '/')
        len = snprintf(buffer, RF_COSTS_PATH, "%s/refrain/costs.json", cache);
    else if (home && home[0] == '/')
        len = snprintf(buffer, RF_COSTS_PATH, "%s/.cache/refrain/costs.json", home);
    return len > 0 && len < RF_COSTS_PATH ? buffer : NULL;
}

/* The folders that the default path may lack: the cache and ours in it. What fails here fails
 * again, with a message, when the file is written. */
static void costs_make_folders(const char *path)
{
    char folder[RF_COSTS_PATH];
    snprintf(folder, sizeof folder, "%s", path);
    char *name = strrchr(folder, '/');
    *name = 0;
    char *ours = strrchr(folder, '/');
    *ours = 0;
    if (ours != folder)
        (void)mkdir(folder, 0700);
    *ours = '/';
    (void)mkdir(folder, 0700);
}

/* ---- writing ---- */

/* Machines of the old file that stay: raw text, for what they mean is not ours to say. */
static rf_status costs_keep_other(void *payload, const rf_costs_text *t,
                                  const rf_costs_found *found)
{
    rf_builder *b = payload;
    int outdated = found->cpu && !found->library;
    if (rf_costs_found_here(found) || outdated ||
        b->len + (found->end - found->begin) > COSTS_OTHERS_MOST)
        return RF_OK;
    rf_builder_add(b, t->text + found->begin, found->end - found->begin);
    rf_builder_add_text(b, ",\n");
    return b->status;
}

static int costs_by_text(const void *payload, const void *a, const void *b)
{
    const rf_costs *costs = payload;
    return strcmp(costs->entries[*(const uint32_t *)a].cost.text,
                  costs->entries[*(const uint32_t *)b].cost.text);
}

static uint64_t costs_nanoseconds(double seconds)
{
    uint64_t ns = seconds < 1e6 ? (uint64_t)(seconds * 1e9 + 0.5) : RF_COSTS_MOST_NS;
    return ns ? ns : 1;
}

static void costs_write_entries(rf_builder *b, const rf_costs *costs, const uint32_t *order)
{
    size_t begin = b->len;
    const char *before = "";
    for (size_t i = 0; i < costs->num && b->len - begin < COSTS_OWN_MOST; i++) {
        const rf_cost *cost = &costs->entries[order[i]].cost;
        if (cost->origin != RF_COST_MEASURED)
            continue;
        rf_builder_add_text(b, before);
        before = ",\n";
        rf_builder_add_string(b, cost->text);
        rf_builder_add_text(b, ": ");
        rf_builder_add_number(b, costs_nanoseconds(cost->seconds));
    }
}

static void costs_write_machine(rf_builder *b, const rf_costs *costs, const rf_costs_machine *here)
{
    rf_builder_add_text(b, "{\"cpu\": ");
    rf_builder_add_string(b, here->cpu);
    rf_builder_add_text(b, ", \"threads\": ");
    rf_builder_add_number(b, here->threads);
    rf_builder_add_text(b, ", \"isa\": ");
    rf_builder_add_string(b, here->isa);
    rf_builder_add_text(b, ", \"library\": ");
    rf_builder_add_string(b, here->library);
    rf_builder_add_text(b, ", \"costs\": {\n");
    size_t bytes = costs->num * sizeof(uint32_t);
    uint32_t *order = bytes ? rf_host_alloc(costs->ctx, bytes) : NULL;
    if (bytes && !order) {
        b->status = rf_context_error(costs->ctx)->code;
        return;
    }
    for (size_t i = 0; i < costs->num; i++)
        order[i] = (uint32_t)i;
    rf_sort(order, costs->num, sizeof *order, costs_by_text, costs);
    costs_write_entries(b, costs, order);
    rf_host_free(costs->ctx, order, bytes);
    rf_builder_add_text(b, "}}");
}

/* The new text: the front, the others of the old text, this machine. */
static void costs_write(rf_builder *b, rf_costs *costs, rf_costs_text *old)
{
    rf_builder_add_text(b, "{\"format\": \"refrain-costs\", \"version\": 1, \"machines\": [\n");
    if (old->text && !b->status)
        b->status = rf_costs_text_walk(old, costs_keep_other, b);
    costs_write_machine(b, costs, &old->here);
    rf_builder_add_text(b, "\n]}\n");
}

static rf_status costs_save(rf_costs *costs, const char *path, int ours)
{
    rf_costs_text old;
    rf_builder b;
    rf_builder_begin(&b, costs->ctx);
    rf_status status = rf_costs_text_open(&old, costs, path);
    if (!status && old.text)
        status = rf_costs_text_take(&old, costs);
    if (status == RF_E_FORMAT && ours) { /* nothing in it is worth keeping */
        rf_text_free(costs->ctx, old.text);
        old.text = NULL;
        status = RF_OK;
    }
    if (!status)
        costs_write(&b, costs, &old);
    status = status ? status : b.status;
    if (!status)
        status = rf_text_write(costs->ctx, path, b.text, b.len);
    rf_text_free(costs->ctx, old.text);
    rf_builder_end(&b);
    return status;
}

rf_status rf_costs_save(rf_costs *costs, const char *path)
{
    char buffer[RF_COSTS_PATH];
    if (path)
        return costs_save(costs, path, 0);
    path = rf_costs_default_path(buffer);
    if (!path)
        return RF_OK;
    costs_make_folders(path);
    if (costs_save(costs, path, 1))
        rf_log_line(costs->ctx, "costs are not kept: %s", rf_context_error(costs->ctx)->message);
    return RF_OK;
}
