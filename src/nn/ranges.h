/* ranges.h: which children of a sequential container are regions, and running them.
 *
 * The ranges are numbered in preorder: an outer one before those in it. They are a list, or
 * follow from the number of children by the rule of segments; who runs them asks for one by number
 * (rf_ranges_at) and sees no difference.
 *
 * Ranges are shared by a container and the graphs of its calls, and never change.
 */
#ifndef RF_NN_RANGES_H
#define RF_NN_RANGES_H

#include "nn/checkpoint.h"

typedef struct rf_ranges_item {
    size_t first, count;
    size_t inside;    /* how many of the ranges after it are in it */
    rf_settings *set; /* in a list: referenced                     */
} rf_ranges_item;

struct rf_ranges {
    rf_context *ctx;
    uint32_t refs;
    size_t segments;        /* 0: as listed                              */
    int tail;               /* the last segment is a region too          */
    size_t children;        /* of the container that the list is for     */
    size_t num;             /* items: of the list; of segments there is one, with the settings of
                               all                                       */
    rf_ranges_item items[]; /* those of a list in preorder               */
};

/* Zeroed but for its head; the items' settings are to be filled in. */
rf_status rf_ranges_create(rf_ranges **out, rf_context *ctx, size_t num);
void rf_ranges_ref(rf_ranges *ranges); /* NULL is fine here and below */
void rf_ranges_unref(rf_ranges *ranges);

/* How many ranges there are, and which is number index in a call of m. One may be empty. */
size_t rf_ranges_num(const rf_ranges *ranges);
rf_ranges_item rf_ranges_at(const rf_ranges *ranges, const rf_module *m, size_t index);

/* A call of m: every range a region, the rest plain. */
rf_status rf_ranges_run(rf_ranges *ranges, rf_module *m, rf_scope *s, const rf_values *in,
                        rf_values *out);
/* The inside of one: its children, where the ranges in it are regions. */
rf_status rf_ranges_call(const rf_region_part *part, rf_module *m, rf_scope *s, const rf_values *in,
                         rf_values *out);

/* rf_api.copy and destroy where the state is ranges. */
rf_status rf_ranges_copy_state(void *state, rf_context *ctx, void **state_out);
void rf_ranges_destroy(void *state);

/* The two ways to give ranges, which exclude each other. */
extern const rf_api rf_ranges_api;
extern const rf_api rf_segments_api;

#endif
