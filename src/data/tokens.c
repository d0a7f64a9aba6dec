/* tokens.c: see tokens.h. */
#include "data/tokens.h"
#include "base/sort.h"
#include "tensor/context.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void rf_tokens_begin(rf_tokens *t, rf_context *ctx, size_t width)
{
    *t = (rf_tokens){.ctx = ctx, .width = width};
}

void rf_tokens_end(rf_tokens *t)
{
    for (size_t i = 0; i < RF_TOKENS_OPEN; i++)
        if (t->open[i].file)
            rf_reader_close(&t->open[i].reader);
    for (size_t i = 0; i < t->num; i++)
        rf_host_free_text(t->ctx, t->files[i].path);
    rf_host_free(t->ctx, t->files, t->capacity * sizeof *t->files);
}

/* ---- files ---- */

/* folder/name (owned; ended by rf_host_free_text) */
static char *tokens_join(rf_context *ctx, const char *folder, const char *name)
{
    size_t len = strlen(folder);
    const char *slash = len && folder[len - 1] == '/' ? "" : "/";
    size_t bytes = len + strlen(slash) + strlen(name) + 1;
    char *path = rf_host_alloc(ctx, bytes);
    if (path)
        snprintf(path, bytes, "%s%s%s", folder, slash, name);
    return path;
}

static char *tokens_absolute(rf_context *ctx, const char *path)
{
    char folder[4096];
    if (path[0] == '/' || !getcwd(folder, sizeof folder))
        return rf_host_copy_text(ctx, path);
    return tokens_join(ctx, folder, path);
}

static rf_token_file tokens_describe(const struct stat *info)
{
    return (rf_token_file){.bytes = (uint64_t)info->st_size,
                           .device = (uint64_t)info->st_dev,
                           .inode = (uint64_t)info->st_ino,
                           .seconds = info->st_mtim.tv_sec,
                           .nanoseconds = info->st_mtim.tv_nsec};
}

static rf_status tokens_append(rf_tokens *t, const char *path, const rf_token_file *described)
{
    rf_token_file file = *described;
    if (file.bytes % t->width)
        return rf_fail(t->ctx, RF_E_FORMAT,
                       "%s: %llu bytes are no whole number of %zu-byte tokens: another type of "
                       "tokens?",
                       path, (unsigned long long)file.bytes, t->width);
    rf_status status = rf_host_grow(t->ctx, &t->files, t->num, &t->capacity, sizeof *t->files);
    if (status)
        return status;
    file.path = tokens_absolute(t->ctx, path);
    if (!file.path)
        return rf_context_error(t->ctx)->code;
    file.first = t->total;
    t->total += file.bytes / t->width;
    t->files[t->num++] = file;
    return RF_OK;
}

/* Opened once, so that a file that can't be read is told now and not in the middle of a run. */
static rf_status tokens_add_file(rf_tokens *t, const char *path)
{
    rf_reader reader;
    struct stat info;
    rf_status status = rf_reader_open(&reader, t->ctx, path);
    if (status)
        return status;
    if (fstat(reader.fd, &info) != 0)
        status = rf_fail_file(t->ctx, path, "can't be read", errno);
    rf_reader_close(&reader);
    rf_token_file described = status ? (rf_token_file){0} : tokens_describe(&info);
    return status ? status : tokens_append(t, path, &described);
}

/* ---- folders ---- */

typedef struct tokens_listing {
    char **names;
    size_t num, capacity;
} tokens_listing;

static int tokens_by_name(const void *payload, const void *a, const void *b)
{
    (void)payload;
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static rf_status tokens_list(rf_context *ctx, DIR *folder, const char *path, tokens_listing *list)
{
    struct dirent *entry;
    while (errno = 0, (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        rf_status status =
            rf_host_grow(ctx, &list->names, list->num, &list->capacity, sizeof *list->names);
        if (status)
            return status;
        list->names[list->num] = rf_host_copy_text(ctx, entry->d_name);
        if (!list->names[list->num++])
            return rf_context_error(ctx)->code;
    }
    return errno ? rf_fail_file(ctx, path, "can't be listed", errno) : RF_OK;
}

/* Regular files only; links are not followed, because what they point at is often there too. */
static rf_status tokens_add_listed(rf_tokens *t, const char *folder, const char *name, size_t *num)
{
    struct stat info;
    char *path = tokens_join(t->ctx, folder, name);
    rf_status status = RF_OK;
    if (!path)
        return rf_context_error(t->ctx)->code;
    if (lstat(path, &info) != 0)
        status = rf_fail_file(t->ctx, path, "can't be read", errno);
    else if (S_ISREG(info.st_mode)) {
        status = tokens_add_file(t, path);
        ++*num;
    }
    rf_host_free_text(t->ctx, path);
    return status;
}

static rf_status tokens_add_folder(rf_tokens *t, const char *path)
{
    tokens_listing list = {0};
    size_t num = 0;
    DIR *folder = opendir(path);
    if (!folder)
        return rf_fail_file(t->ctx, path, "can't be listed", errno);
    rf_status status = tokens_list(t->ctx, folder, path, &list);
    closedir(folder);
    if (!status)
        rf_sort(list.names, list.num, sizeof *list.names, tokens_by_name, NULL);
    for (size_t i = 0; i < list.num; i++) {
        if (!status)
            status = tokens_add_listed(t, path, list.names[i], &num);
        rf_host_free_text(t->ctx, list.names[i]);
    }
    rf_host_free(t->ctx, list.names, list.capacity * sizeof *list.names);
    if (!status && !num)
        return rf_fail(t->ctx, RF_E_ARGUMENT,
                       "%s: no data: the folder has no regular files (links, hidden files and "
                       "folders in it do not count)",
                       path);
    return status;
}

rf_status rf_tokens_add(rf_tokens *t, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return tokens_add_folder(t, path);
    return tokens_add_file(t, path);
}

/* ---- reading ---- */

/* The last file that begins at or before a token. Empty files begin where the next one does. */
static size_t tokens_find(const rf_tokens *t, uint64_t token)
{
    size_t low = 0, high = t->num;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (t->files[middle].first <= token)
            low = middle;
        else
            high = middle;
    }
    return low;
}

const char *rf_tokens_where(const rf_tokens *t, uint64_t token, uint64_t *byte)
{
    const rf_token_file *file = &t->files[tokens_find(t, token)];
    *byte = (token - file->first) * t->width;
    return file->path;
}

static int tokens_same(const rf_token_file *a, const rf_token_file *b)
{
    return a->bytes == b->bytes && a->device == b->device && a->inode == b->inode &&
           a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

static rf_status tokens_open(rf_tokens *t, size_t index, const rf_reader **out)
{
    rf_open_file *slot = &t->open[index % RF_TOKENS_OPEN];
    const rf_token_file *file = &t->files[index];
    struct stat info;
    *out = &slot->reader;
    if (slot->file == index + 1)
        return RF_OK;
    if (slot->file)
        rf_reader_close(&slot->reader);
    slot->file = 0;
    rf_status status = rf_reader_open(&slot->reader, t->ctx, file->path);
    if (status)
        return status;
    rf_token_file now = {0};
    if (fstat(slot->reader.fd, &info) == 0)
        now = tokens_describe(&info);
    if (!tokens_same(&now, file)) {
        rf_reader_close(&slot->reader);
        return rf_fail(t->ctx, RF_E_IO,
                       "%s: it was changed since the data were opened; leave it alone while it is "
                       "in use",
                       file->path);
    }
    slot->file = index + 1;
    return RF_OK;
}

rf_status rf_tokens_get(rf_tokens *t, uint64_t first, size_t num, void *to)
{
    unsigned char *at = to;
    for (size_t index = tokens_find(t, first), some; num; index++, num -= some) {
        const rf_token_file *file = &t->files[index];
        const rf_reader *reader;
        uint64_t from = first - file->first, left = file->bytes / t->width - from;
        some = left < num ? (size_t)left : num;
        if (!some)
            continue;
        rf_status status = tokens_open(t, index, &reader);
        if (!status)
            status = rf_reader_get(reader, from * t->width, at, some * t->width);
        if (status)
            return status;
        at += some * t->width;
        first += some;
    }
    return RF_OK;
}
