/* load.c: a safetensors file into a module, by path.
 *
 * A file may have all its names under one prefix, as published models do ("transformer."). Which it
 * is follows from the first path: every entry that ends with it proposes a prefix, and the first
 * under which the file has all paths is taken. Everything is checked before the first element is
 * overwritten, so that afterwards only the device can fail.
 */
#include <refrain/io.h>

#include "base/pattern.h"
#include "io/safetensors.h"
#include "tensor/context.h"

#include <string.h>

typedef struct load_run {
    rf_context *ctx;
    rf_module *module;
    const char *path;
    rf_safetensors *file;
    const rf_header *header;
    const char *prefix; /* the beginning of some entry's name */
    size_t prefix_len;
    unsigned char *used; /* of each entry */
} load_run;

static rf_status load_walk(load_run *run, rf_tensor_visitor visit)
{
    rf_status status = rf_module_each_param(run->module, 0, visit, run);
    return status ? status : rf_module_each_buffer(run->module, visit, run);
}

static size_t load_find(const load_run *run, const char *path)
{
    return rf_header_find(run->header, run->prefix, run->prefix_len, path);
}

/* ---- the prefix ---- */

static rf_status load_has(void *payload, const char *path, rf_tensor *t)
{
    (void)t;
    return load_find(payload, path) < ((load_run *)payload)->header->num ? RF_OK : RF_E_USER;
}

/* Try every prefix that the first path allows, no prefix first. RF_E_USER ends the walk: the first
 * path is enough. */
static rf_status load_choose_prefix(void *payload, const char *path, rf_tensor *t)
{
    load_run *run = payload;
    size_t len = strlen(path), first = 0;
    (void)t;
    run->prefix = "";
    run->prefix_len = 0;
    for (size_t i = 0;; i++) {
        rf_status status = load_walk(run, load_has);
        if (status != RF_E_USER)
            return status ? status : RF_E_USER; /* it has all; or something else failed */
        const char *name = NULL;
        size_t name_len = 0;
        for (; i < run->header->num; i++) {
            name = run->header->items[i].name;
            name_len = strlen(name);
            if (name_len > len && name[name_len - len - 1] == '.' &&
                strcmp(name + name_len - len, path) == 0)
                break;
        }
        if (i == run->header->num) { /* none has all; the first is the best guess for the error */
            run->prefix = first ? run->header->items[first - 1].name : "";
            run->prefix_len = first ? strlen(run->prefix) - len : 0;
            return RF_E_USER;
        }
        first = first ? first : i + 1;
        run->prefix = name;
        run->prefix_len = name_len - len;
    }
}

/* ---- checks ---- */

static rf_status load_check(void *payload, const char *path, rf_tensor *t)
{
    load_run *run = payload;
    size_t index = load_find(run, path);
    if (index == run->header->num)
        return rf_fail(run->ctx, RF_E_NOT_FOUND,
                       "%s: it has no '%.*s%s', which the model needs: a file of another model?",
                       run->path, (int)(run->prefix_len < 100 ? run->prefix_len : 100), run->prefix,
                       path);
    run->used[index] = 1;
    return rf_safetensors_check(run->file, index, t);
}

static int load_ignores(const load_run *run, const char *name, const char *const *ignored)
{
    int prefixed = strncmp(name, run->prefix, run->prefix_len) == 0;
    for (; ignored && *ignored; ignored++)
        if (rf_pattern_matches(*ignored, name) ||
            (prefixed && rf_pattern_matches(*ignored, name + run->prefix_len)))
            return 1;
    return 0;
}

static rf_status load_check_rest(const load_run *run, const char *const *ignored)
{
    for (size_t i = 0; i < run->header->num; i++)
        if (!run->used[i] && !load_ignores(run, run->header->items[i].name, ignored))
            return rf_fail(run->ctx, RF_E_NOT_FOUND,
                           "%s: the model has no place for '%.100s': a file of another model?",
                           run->path, run->header->items[i].name);
    return RF_OK;
}

/* ---- reading ---- */

static rf_status load_read(void *payload, const char *path, rf_tensor *t)
{
    load_run *run = payload;
    return rf_safetensors_read(run->file, load_find(run, path), t);
}

static rf_status load_all(load_run *run, const char *const *ignored)
{
    rf_status status = load_walk(run, load_choose_prefix);
    if (!status || status == RF_E_USER) /* RF_OK: there was no path at all */
        status = load_walk(run, load_check);
    if (!status)
        status = load_check_rest(run, ignored);
    if (!status)
        status = load_walk(run, load_read);
    return status;
}

rf_status rf_module_load(rf_module *m, const char *path, const char *const *ignored)
{
    load_run run = {.ctx = rf_module_context(m), .module = m, .path = path, .prefix = ""};
    rf_status status = rf_safetensors_open(&run.file, run.ctx, path);
    if (status)
        return status;
    run.header = rf_safetensors_header(run.file);
    size_t num = run.header->num;
    run.used = rf_host_alloc(run.ctx, num + 1);
    status = run.used ? load_all(&run, ignored) : rf_context_error(run.ctx)->code;
    rf_host_free(run.ctx, run.used, num + 1);
    rf_safetensors_close(run.file);
    return status;
}
