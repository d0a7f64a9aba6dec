/* graph_track.h: a sequence whose bytes are known at every place, and what an edit would change.
 *
 * Read from its end, a sequence needs no memory but one set: the values that must be stored before
 * place t, which are those before t + 1, less what t makes, plus what t reads. An edit of a few
 * places changes these sets from there downwards, by a few values, until each of them met the
 * execution or the reader that it comes from. In between the live bytes of all places change by one
 * same amount. So an edit is tried by walking over the few places that touch one of these values (a
 * signature of 64 bits a place finds them), and by one pass over the live bytes of those between.
 */
#ifndef RF_PLAN_GRAPH_TRACK_H
#define RF_PLAN_GRAPH_TRACK_H

#include "plan/graph_search.h"

typedef struct rf_graph_change {
    uint32_t id;
    uint32_t added; /* 1: stored after the edit and not before; 0: the other way round */
} rf_graph_change;

typedef struct rf_graph_track {
    const rf_allocator *a;
    const rf_graph *g;
    const uint8_t *goals;
    uint64_t budget;
    double cost;
    size_t num, room, words;
    uint32_t *node;      /* [num] what runs at a place                                    */
    uint64_t *signature; /* [num] a bit of every value that it makes or reads             */
    double *excess;      /* [num] live bytes while it runs, less the budget               */
    double *over;        /* [num + 1] sum of what is positive of them, there to the end   */
    uint64_t *stored;    /* [num + 1] bytes that must be stored before it                 */
    uint64_t *sets;      /* [num + 1][words] which values these are                       */
    uint32_t *count;     /* [nodes] how often each runs                                   */
    /* of the last edit that was tried */
    uint32_t *new_node; /* [new_num] what runs in place of it, from its end downwards     */
    uint32_t *useless;  /* [num_useless] places below whose execution has no reader left, falling */
    size_t new_num, num_useless;
    rf_graph_change *changes; /* [num_changes] values that differ below a place */
    size_t num_changes;
    uint64_t *set; /* [words] */
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

/* The bit of a value in signatures. */
static inline uint64_t rf_graph_signature(uint32_t id)
{
    return (uint64_t)1 << (id * 0x9e3779b1u >> 26);
}

static inline int rf_graph_reads(const rf_graph *g, uint32_t reader, uint32_t id)
{
    const rf_graph_node *n = &g->nodes[reader];
    for (uint32_t i = 0; i < n->num_inputs; i++)
        if (g->inputs[n->first_input + i] == id)
            return 1;
    return 0;
}

/* The place of the first reader of id at or after `place`; num if there is none. */
static inline size_t rf_graph_next_read(const rf_graph_track *t, size_t place, uint32_t id)
{
    uint64_t bit = rf_graph_signature(id);
    while (place < t->num &&
           !(t->signature[place] & bit && rf_graph_reads(t->g, t->node[place], id)))
        place++;
    return place;
}

#endif
