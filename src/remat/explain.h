/* explain.h: the inside of a watch. Collecting (explain.c) keeps sums as events come; telling
 * (explain_text.c, explain_json.c) reads them through the public functions alone.
 *
 * Invariants: the groups' bytes add up to what the ledger holds, class by class, after every event;
 * at_peak is the groups' bytes at the moment of the most, or that moment is now (fresh).
 */
#ifndef RF_REMAT_EXPLAIN_H
#define RF_REMAT_EXPLAIN_H

#include "tensor/trace.h"

#include <refrain/explain.h>

enum { EXPLAIN_POINTS = 2048 };

/* An array that grows, of the allocator's memory. */
typedef struct explain_list {
    void *items;
    size_t num, capacity, item_bytes;
} explain_list;

/* A text that was seen; each once. */
typedef struct explain_name {
    char *text;
    size_t bytes;
} explain_name;

/* Bytes of one class, path and op. Names by number. */
typedef struct explain_group {
    rf_mem_class cls;
    uint32_t path, op;
    int before;
    uint64_t bytes, num;
    uint64_t peak_bytes, peak_num;
} explain_group;

/* A storage that is alive and came during the watch. */
typedef struct explain_storage {
    uint64_t id; /* 0: an empty place in the table */
    uint32_t group;
} explain_storage;

typedef struct explain_entry {
    uint32_t path, label;
    rf_explain_region sums; /* without its texts */
} explain_entry;

/* One run of a region: its kernels may be told before it and after it. */
typedef struct explain_run {
    uint64_t id;
    uint64_t kernels;
    double flops, seconds;
    uint32_t entry; /* EXPLAIN_NONE until it was told */
} explain_run;

#define EXPLAIN_NONE UINT32_MAX

struct rf_explain {
    rf_context *ctx;
    rf_allocator alloc;
    rf_status status;
    int running;
    explain_list names, groups, entries, runs, live; /* live: the groups at the peak, in order */
    explain_storage *table;                          /* open addressing                        */
    size_t table_size, table_num;
    uint32_t before[RF_MEM_CLASSES]; /* groups */
    uint64_t left_storage; /* the latest that left, and its group: a change of class is both */
    uint32_t left_group;
    uint64_t used[RF_MEM_CLASSES];
    int fresh; /* this moment is the peak, and the groups are not copied yet */
    uint32_t peak_path, peak_op;
    rf_explain_totals totals;
    rf_explain_point *points; /* each the highest moment of `stride` events */
    size_t num_points;
    uint64_t stride, left; /* events until the newest point is full */
};

static inline explain_group *explain_groups(const rf_explain *e)
{
    return e->groups.items;
}

/* Zeroed bytes with the old ones in front, which are not freed; NULL: no memory, noted in e. */
void *rf_explain_grow(rf_explain *e, const void *items, size_t old_bytes, size_t bytes);
void rf_explain_free(rf_explain *e, void *items, size_t bytes);
/* A zeroed item at the end of a list; NULL: no memory. */
void *rf_explain_list_add(rf_explain *e, explain_list *list, size_t item_bytes);
void rf_explain_list_free(rf_explain *e, explain_list *list);
/* Texts have numbers; the empty one is EXPLAIN_NONE. */
uint32_t rf_explain_name_of(rf_explain *e, const char *text);
const char *rf_explain_name_at(const rf_explain *e, uint32_t index);
uint32_t rf_explain_group_new(rf_explain *e, explain_group like);
uint32_t rf_explain_group_of(rf_explain *e, rf_mem_class cls, uint32_t path, uint32_t op);
/* Remember whose a storage is; take it out again and return its group, EXPLAIN_NONE if unknown. */
void rf_explain_storage_put(rf_explain *e, explain_storage storage);
uint32_t rf_explain_storage_take(rf_explain *e, uint64_t id);

/* For those that tell (explain_say.c): the first failure stays. */
typedef struct explain_sink {
    rf_write write;
    rf_status status;
} explain_sink;
/* Short pieces, printf-style; no floats, which the locale would change. */
void rf_explain_say(explain_sink *sink, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A text of any length as it is; bytes as "12.3 MiB"; a number with so many decimals, at most 9. */
void rf_explain_put(explain_sink *sink, const char *text);
void rf_explain_put_bytes(explain_sink *sink, uint64_t bytes);
void rf_explain_put_decimal(explain_sink *sink, double value, unsigned decimals);

#endif
