/* files.c: see files.h. */
#include "support/files.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

void files_put(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

void files_put_text(const char *path, const char *text)
{
    files_put(path, text, strlen(text));
}

unsigned char *files_get(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    unsigned char *data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, file), size);
    fclose(file);
    *len = (size_t)size;
    return data;
}

int files_equal(const char *path, const void *data, size_t len)
{
    size_t has;
    unsigned char *bytes = files_get(path, &has);
    int equal = has == len && memcmp(bytes, data, len) == 0;
    free(bytes);
    return equal;
}

int files_exist(const char *path)
{
    return access(path, F_OK) == 0;
}

size_t files_count(const char *folder, const char *beginning)
{
    DIR *listing = opendir(folder);
    size_t num = 0;
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        num += strncmp(entry->d_name, beginning, strlen(beginning)) == 0;
    closedir(listing);
    return num;
}
