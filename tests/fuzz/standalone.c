/*
 * Runs a fuzz target without a fuzzer: on every file given (or found in the folders given), and
 * then on a fixed number of mutations of those. The mutations depend on nothing but the corpus, so
 * a failure repeats; the input that is running is kept in ./current-input until it has passed.
 *
 *   fuzz_name [-n MUTATIONS] FILE|FOLDER ...
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_INPUTS = 1024, MAX_SIZE = 1 << 20 };

typedef struct input {
    uint8_t *data;
    size_t size;
} input;

typedef struct corpus {
    input item[MAX_INPUTS];
    size_t count;
} corpus;

/* xorshift64*: repeatable, and good enough to choose bytes with. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static void run_one(const uint8_t *data, size_t size)
{
    /* A copy of the exact size, so that reading past it is seen by the sanitizer. */
    uint8_t *copy = malloc(size ? size : 1);
    FILE *file = fopen("current-input", "wb");

    if (file) {
        fwrite(data, 1, size, file);
        fclose(file);
    }
    if (copy) {
        memcpy(copy, data, size);
        LLVMFuzzerTestOneInput(copy, size);
    }
    free(copy);
}

static int add_file(corpus *all, const char *path)
{
    input *item = &all->item[all->count];
    FILE *file = fopen(path, "rb");

    if (!file || all->count == MAX_INPUTS) {
        fprintf(stderr, "%s: can't be read\n", path);
        return 1;
    }
    item->data = malloc(MAX_SIZE);
    item->size = item->data ? fread(item->data, 1, MAX_SIZE, file) : 0;
    fclose(file);
    all->count++;
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_path(corpus *all, const char *path)
{
    struct stat info;
    struct dirent **entry = NULL;
    int status = 0, count;

    if (stat(path, &info) != 0)
        return 0; /* a target that has no corpus yet */
    if (!S_ISDIR(info.st_mode))
        return add_file(all, path);
    count = scandir(path, &entry, NULL, by_name);
    for (int i = 0; i < count; i++) {
        char name[4096];

        snprintf(name, sizeof name, "%s/%s", path, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.')
            status |= add_file(all, name);
        free(entry[i]);
    }
    free(entry);
    return status;
}

/* One to eight edits: a bit, a byte, a cut, a run repeated, a number at an edge, a splice. */
static size_t mutate(uint8_t *data, size_t size, const corpus *all, uint64_t *state)
{
    static const uint64_t edges[] = {
        0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0xffffffff, UINT64_C(0x7fffffffffffffff), UINT64_MAX};
    size_t edits = 1 + next_random(state) % 8;

    for (size_t i = 0; i < edits; i++) {
        size_t at = size ? next_random(state) % size : 0;
        size_t len = size > at ? 1 + next_random(state) % (size - at) : 0;
        uint64_t value = next_random(state);

        switch (next_random(state) % 6) {
        case 0:
            if (size)
                data[at] ^= (uint8_t)(1u << (value & 7));
            break;
        case 1:
            if (size)
                data[at] = (uint8_t)value;
            break;
        case 2:
            size = at;
            break;
        case 3:
            if (len && size + len <= MAX_SIZE) {
                memmove(data + at + len, data + at, size - at);
                size += len;
            }
            break;
        case 4:
            len = size - at < 8 ? size - at : 8;
            memcpy(data + at, &edges[value % (sizeof edges / sizeof *edges)], len);
            break;
        default:
            if (all->count) {
                const input *other = &all->item[value % all->count];

                len = other->size < MAX_SIZE - at ? other->size : MAX_SIZE - at;
                memcpy(data + at, other->data, len);
                size = at + len > size ? at + len : size;
            }
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    static corpus all;
    size_t mutations = getenv("RF_TEST_FAST") ? 1000 : 5000;
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    uint8_t *data = malloc(MAX_SIZE);
    int status = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-n") == 0 && i + 1 < argc)
            mutations = strtoul(argv[++i], NULL, 10);
        else
            status |= add_path(&all, argv[i]);
    }
    run_one((const uint8_t *)"", 0);
    for (size_t i = 0; i < all.count; i++)
        run_one(all.item[i].data, all.item[i].size);
    for (size_t i = 0; data && i < mutations; i++) {
        size_t size = 0;

        if (all.count) {
            const input *from = &all.item[next_random(&state) % all.count];

            size = from->size;
            memcpy(data, from->data, size);
        }
        run_one(data, mutate(data, size, &all, &state));
    }
    printf("%zu inputs, %zu mutations\n", all.count, mutations);
    for (size_t i = 0; i < all.count; i++)
        free(all.item[i].data);
    free(data);
    remove("current-input");
    return status;
}
