/* Any bytes as a safetensors file: it opens or it does not; if it does, every entry lies in the
 * file, no two share a byte, and each can be asked for and read. */
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

/* The bytes as a file that has no name of its own. */
static int make_file(char path[64], const uint8_t *data, size_t size)
{
    char name[] = "/tmp/fuzz-safetensors-XXXXXX";
    int fd = mkstemp(name);
    require(fd >= 0 && unlink(name) == 0);
    require(write(fd, data, size) == (ssize_t)size);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void read_entry(rf_context *ctx, const rf_safetensors *file, size_t index)
{
    rf_safetensors_entry entry;
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    rf_tensor *t;
    require(rf_safetensors_get(file, index, &entry) == RF_OK);
    require(rf_safetensors_find(file, entry.name) == index);
    opts.dtype = entry.dtype == RF_DTYPES ? RF_F32 : entry.dtype;
    opts.rank = entry.rank;
    opts.dims = entry.dims;
    if (entry.bytes > 1 << 16 || rf_tensor_create(&t, ctx, &opts))
        return;
    rf_status status = rf_safetensors_read(file, index, t);
    require(status == RF_OK || (status == RF_E_DTYPE && entry.dtype == RF_DTYPES));
    rf_tensor_drop(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    rf_safetensors *file;
    uint64_t bytes = 0;
    int fd = make_file(path, data, size);
    opts.threads = 1;
    require(rf_context_create(&ctx, &opts) == RF_OK);
    rf_status status = rf_safetensors_open(&file, ctx, path);
    require(!status == (file != NULL));
    if (status)
        require(!strchr(rf_context_error(ctx)->message, '\n'));
    for (size_t i = 0; file && i < rf_safetensors_num(file); i++) {
        rf_safetensors_entry entry;
        read_entry(ctx, file, i);
        require(rf_safetensors_get(file, i, &entry) == RF_OK);
        bytes += entry.bytes;
    }
    require(bytes <= size);
    rf_safetensors_close(file);
    rf_context_destroy(ctx);
    close(fd);
    return 0;
}
