/* frame.h: what stays of a region between its forward and its recompute.
 *
 * A frame owns its function and slots for its inputs. It has a record for every value that its ops
 * saved, in order of saving: the shape, whether somebody still waits for it, and where it comes
 * from. The nodes' slots refer to the frame and a number; the frame lives as long as the last of
 * them. It never refers to nodes, so there are no cycles. What a policy keeps is in a list of its
 * own (keep.h).
 *
 * A step is one op that the region's function runs itself, in no inner region; steps are counted in
 * both passes, and a record knows in which step it was saved.
 *
 * A replay is one recompute of a frame in one backward: the values, computed or pending, by number.
 */
#ifndef RF_REMAT_FRAME_H
#define RF_REMAT_FRAME_H

#include "grad/engine.h"
#include "remat/keep.h"
#include "remat/region.h"
#include "remat/trail.h"
#include "remat/watch.h"

typedef struct rf_replay rf_replay;

typedef enum rf_record_source {
    RF_RECORD_INSIDE, /* computed by the region: will be computed again */
    RF_RECORD_INPUT,  /* an input of the region, or captured from an outer one */
    RF_RECORD_KEPT,   /* computed by the region, and kept: see keep.h          */
    RF_RECORD_OUTSIDE /* from outside every region: the slot keeps the bytes   */
} rf_record_source;

typedef struct rf_record {
    rf_shape shape;
    const rf_op_class *op; /* NULL: kept as an input of an inner region */
    const void *module;    /* whose call saved it */
    uint64_t hash;         /* of its elements, where values are verified; else 0 */
    uint64_t from;         /* RF_RECORD_INPUT: which; RF_RECORD_KEPT: the storage's id */
    uint32_t step;
    uint8_t source;
    uint8_t wanted; /* a slot waits for it */
} rf_record;

/* An input, or a value of an outer region that the function reached for. */
typedef struct rf_frame_input {
    rf_slot slot;
    uint64_t storage; /* whose bytes: a storage's id */
    uint8_t present;
    uint8_t requires_grad;
    uint8_t from_region; /* a region that still ran had computed it */
} rf_frame_input;

struct rf_frame {
    rf_slot_owner owner;
    rf_context *ctx;
    uint32_t refs;
    rf_function fn;
    rf_region_hooks hooks;
    rf_policy policy;
    rf_verify verify;
    int fresh_random, early_stop;
    rf_dtype precision;
    char *label;
    rf_rng rng;
    const void *module;

    size_t num_in, num_out; /* of the function */
    rf_frame_input *inputs; /* num_in of them, then captures */
    size_t num_inputs, cap_inputs;
    rf_record *records;
    size_t num_records, cap_records;
    size_t live;  /* records somebody waits for */
    size_t top;   /* records below this may be waited for */
    int complete; /* its forward has returned   */
    rf_kept_list keep;
    rf_island *islands;
    rf_op_trail *trail; /* of the forward; NULL unless debug */
    rf_replay *replays;
};

/* One value of a replay. */
typedef struct rf_replayed {
    rf_storage *storage; /* referenced; NULL: not reached, or handed out */
    uint32_t version;
    uint8_t done;  /* handed out, or never to be asked for */
    uint8_t given; /* handed out */
    rf_view view;
} rf_replayed;

struct rf_replay {
    rf_run_closer closer;
    rf_frame *frame;
    rf_replay *next; /* of the same frame */
    uint64_t run;
    size_t num;     /* values: the frame's records when it began */
    size_t reached; /* values saved so far                       */
    size_t left;    /* values and inputs to be handed out yet    */
    rf_replayed *values;
    rf_status mismatch; /* first difference from the forward */
    size_t mismatch_slot;
    rf_shape mismatch_shape;
    rf_op_trail *trail; /* NULL unless debug */
};

/* A region whose function runs: the first time (replay is NULL) or again. */
struct rf_region_run {
    rf_keeper base;
    rf_frame *frame;
    rf_replay *replay;
    struct rf_region_run *outer;
    uint64_t id;
    uint32_t steps;  /* so far */
    uint32_t cursor; /* in the frame's kept values, in a replay */
    uint32_t never;  /* how many modules that refuse are at work */
    rf_watch watch;
};

rf_status rf_frame_create(rf_frame **out, rf_scope *s, const rf_region_call *call);
void rf_frame_unref(rf_frame *frame);
/* Call the destroy of each that has one. */
void rf_frame_end_payloads(const rf_function *fn, const rf_region_hooks *hooks,
                           const rf_policy *policy);
void rf_frame_drop_unwanted(rf_frame *frame);
/* A hash of the elements, or of some of them, as verify asks; 0: it does not, or there are none. */
uint64_t rf_verify_hash(rf_verify verify, const rf_storage *s, const rf_view *view);
/* rf_keeper.begin of both passes: what an op may do in a region, and results that there are. */
rf_status rf_region_begin(rf_keeper *keeper, rf_step *step);
/* rf_keeper.save of the first run. */
rf_status rf_frame_save(rf_keeper *keeper, const rf_save *save, rf_slot *slot);
/* "region NAME" for messages; buffer has room for 128. */
const char *rf_frame_name(const rf_frame *frame, char *buffer);
/* The function, between its hooks. */
rf_status rf_frame_call(rf_frame *frame, rf_scope *s, rf_pass pass, const rf_values *in,
                        rf_values *out);

/* The replay of frame in the backward that runs, made and run now if there is none. */
rf_status rf_replay_of(rf_replay **out, rf_frame *frame);
/* Look at value number index; *out gets a reference. */
rf_status rf_replay_look(rf_replay *replay, size_t index, rf_storage **out, rf_view *view);
/* Value or input number index was handed out for the last time in this backward. When all were, the
 * outer regions' values that were inputs of this one may go too. */
void rf_replay_handed_out(rf_replay *replay, size_t index);
void rf_replay_end(rf_replay *replay);

#endif
