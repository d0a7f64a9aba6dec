/* Any bytes as a file of images and one of labels (their lengths divided by a u16 at the front):
 * they open or they do not; if they do, every batch can be read, pixels and labels in their range.
 */
#include <refrain/data.h>

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
    char name[] = "/tmp/fuzz-images-XXXXXX";
    int fd = mkstemp(name);
    require(fd >= 0 && unlink(name) == 0);
    require(write(fd, data, size) == (ssize_t)size);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void check_batch(const rf_images *data, rf_tensor *images, rf_tensor *labels)
{
    const float *pixels = rf_tensor_data(images);
    const int32_t *label = rf_tensor_data(labels);
    for (int64_t i = 0; i < rf_tensor_count(images); i++)
        require(pixels[i] >= 0 && pixels[i] <= 1);
    for (int64_t i = 0; i < rf_tensor_count(labels); i++)
        require(label[i] >= 0 && label[i] < rf_images_classes(data));
    require(rf_tensor_dim(images, 2) == rf_images_rows(data));
}

static void read_all(rf_context *ctx, rf_images *data)
{
    rf_scope *s;
    rf_tensor *images, *labels;
    rf_status status = RF_OK;
    for (uint64_t i = 0; i < 4; i++) {
        require(rf_scope_open(&s, ctx, NULL) == RF_OK);
        require(rf_images_next(data, s, &images, &labels) == RF_OK);
        check_batch(data, images, labels);
        status = rf_images_held_out_batch(data, s, i, &images, &labels);
        require(status == (i ? RF_E_NOT_FOUND : RF_OK));
        if (!status)
            check_batch(data, images, labels);
        rf_scope_close(s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char paths[2][64];
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_images_options how = RF_IMAGES_OPTIONS_INIT;
    rf_context *ctx;
    rf_images *images;
    size_t first = size < 2 ? 0 : data[0] + 256u * data[1];
    data += size < 2 ? 0 : 2;
    size -= size < 2 ? 0 : 2;
    first = first < size ? first : size;
    int fds[2] = {make_file(paths[0], data, first),
                  make_file(paths[1], data + first, size - first)};
    opts.threads = 1;
    how.batch = 2;
    how.held_out = 1;
    require(rf_context_create(&ctx, &opts) == RF_OK);
    rf_status status = rf_images_open(&images, ctx, paths[0], paths[1], &how);
    require(!status == (images != NULL));
    if (status)
        require(!strchr(rf_context_error(ctx)->message, '\n'));
    else
        read_all(ctx, images);
    rf_images_close(images);
    rf_context_destroy(ctx);
    close(fds[0]);
    close(fds[1]);
    return 0;
}
