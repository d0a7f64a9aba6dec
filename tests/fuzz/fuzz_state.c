/* Any bytes as a state file, as they are and with their hashes put right (else hardly anything
 * would get past those): loading succeeds or changes nothing, and the options are read or refused.
 */
#include <refrain/io.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

/* ---- a module of two parameters ---- */

static rf_status no_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m;
    (void)s;
    (void)in;
    (void)out;
    return RF_E_UNSUPPORTED;
}

static const rf_module_class plain_class = {
    .size = sizeof(rf_module_class), .name = "Plain", .forward = no_forward};

static void add(rf_module *m, const char *name, size_t rank, int64_t rows)
{
    const int64_t dims[] = {rows, 2};
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    rf_tensor *t;
    opts.rank = rank;
    opts.dims = dims;
    require(rf_tensor_create(&t, rf_module_context(m), &opts) == RF_OK);
    require(rf_module_add_param(m, name, t) == RF_OK);
    rf_tensor_drop(t);
}

static rf_module *make_module(rf_context *ctx)
{
    rf_module *m;
    require(rf_module_create(&m, ctx, &plain_class, NULL) == RF_OK);
    add(m, "weight", 2, 3);
    add(m, "b", 1, 2);
    return m;
}

/* ---- hashes put right ---- */

static uint64_t get_number(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static void put_number(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void repair(uint8_t *file, size_t size)
{
    static const uint8_t front[] = {0x89, 'R', 'F', 'S', '\r', '\n', 0x1A, '\n', 1, 0, 0, 0};
    if (size < 32)
        return;
    memcpy(file, front, sizeof front);
    put_number(file + 16, size);
    put_number(file + 24, rf_hash64(file, 24, 0));
    for (size_t at = 32; size - at >= 24;) {
        uint64_t len = get_number(file + at + 8);
        if (len > size - at - 24)
            return;
        len = 16 + (len + 7) / 8 * 8;
        if (len > size - at - 8)
            return;
        put_number(file + at + len, rf_hash64(file + at, (size_t)len, 0));
        at += (size_t)len + 8;
    }
}

/* ---- one file ---- */

static void load(const uint8_t *data, size_t size)
{
    char name[] = "/tmp/fuzz-state-XXXXXX", path[64], *text;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_state state = RF_STATE_INIT;
    rf_context *ctx;
    uint64_t before, after;
    int fd = mkstemp(name);
    require(fd >= 0 && unlink(name) == 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    opts.threads = 1;
    require(rf_context_create(&ctx, &opts) == RF_OK);
    state.module = make_module(ctx);
    require(rf_module_hash(state.module, &before) == RF_OK);
    rf_status status = rf_state_load(&state, path);
    require(rf_module_hash(state.module, &after) == RF_OK);
    require(!status || before == after);
    if (status)
        require(!strchr(rf_context_error(ctx)->message, '\n'));
    if (rf_state_options(&text, ctx, path) == RF_OK)
        rf_text_free(ctx, text);
    else
        require(status != RF_OK && !text);
    rf_module_destroy(state.module);
    rf_context_destroy(ctx);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = malloc(size + 1);
    load(data, size);
    if (!file)
        return 0;
    if (size)
        memcpy(file, data, size);
    repair(file, size);
    load(file, size);
    free(file);
    return 0;
}
