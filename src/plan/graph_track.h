/* graph_track.h: a sequence whose bytes are known at every place, and what an edit would change.
 *
 * Read from its end, a sequence needs no memory but one set: the values that must be stored before
 * place t, which are those before t + 1, less what t makes, plus what t reads. So an edit of a few
 * places changes the sets from there downwards, until old and new set are equal again: the cost of
 * trying an edit is the length of that stretch, not of the sequence. Sums of bytes over the budget
 * are kept from the end too, and give the rest in O(1).
 */
#ifndef RF_PLAN_GRAPH_TRACK_H
#define RF_PLAN_GRAPH_TRACK_H

#include "plan/graph_search.h"

typedef struct rf_graph_track {
    const rf_allocator *a;
    const rf_graph *g;
    const uint8_t *goals;
    uint64_t budget;
    double cost;
    size_t num, room, words;
    uint32_t *node;   /* [num] what runs at a place                                 */
    uint64_t *stored; /* [num + 1] bytes that must be stored before it              */
    double *over;     /* [num + 1] sum of bytes over the budget, from there to the end */
    uint64_t *sets;   /* [num + 1][words] which values these are                    */
    uint32_t *count;  /* [nodes] how often each runs                                */
    /* of the last edit that was tried, from its end downwards */
    uint32_t *new_node;
    uint64_t *set; /* [words] */
    size_t new_num;
    void *block;
    size_t block_bytes;
} rf_graph_track;

/* Put with[0 .. num) in place of what runs at [from, to). */
typedef struct rf_graph_edit {
    size_t from, to;
    const uint32_t *with;
    size_t num;
} rf_graph_edit;

/* What a track would be after an edit. */
typedef struct rf_graph_trial {
    double cost, over; /* of the whole sequence                            */
    size_t stop;       /* nothing below this place changes                 */
    int fits;          /* it is a sequence, and there is room to make it   */
} rf_graph_trial;

/* An empty track with room for `room` executions. g and goals are borrowed. */
rf_status rf_graph_track_begin(rf_graph_track *t, const rf_allocator *a, const rf_graph *g,
                               const uint8_t *goals, size_t room);
/* Make it s, less what is of no use there; 0 if s is no plan or has no room. */
int rf_graph_track_set(rf_graph_track *t, const rf_graph_sequence *s, uint64_t budget);
void rf_graph_track_end(rf_graph_track *t);

rf_graph_trial rf_graph_track_try(rf_graph_track *t, const rf_graph_edit *edit);
/* Make the edit that was tried last. */
void rf_graph_track_make(rf_graph_track *t, const rf_graph_edit *edit, const rf_graph_trial *trial);

static inline int rf_graph_track_has(const rf_graph_track *t, size_t place, uint32_t id)
{
    return t->sets[place * t->words + id / 64] >> id % 64 & 1;
}

/* The bytes that are live while place `at` runs. */
static inline uint64_t rf_graph_track_live(const rf_graph_track *t, size_t at)
{
    const rf_graph_node *n = &t->g->nodes[t->node[at]];
    return t->stored[at] + n->bytes + n->workspace;
}

static inline int rf_graph_reads(const rf_graph *g, uint32_t reader, uint32_t id)
{
    const rf_graph_node *n = &g->nodes[reader];
    for (uint32_t i = 0; i < n->num_inputs; i++)
        if (g->inputs[n->first_input + i] == id)
            return 1;
    return 0;
}

#endif
