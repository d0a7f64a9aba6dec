/* optim.h: the inside of optimisers. An optimiser is a list of parameters, collected once, and a
 * rule that moves one of them; rules know nothing of lists, groups, devices or threads. */
#ifndef RF_OPTIM_OPTIM_H
#define RF_OPTIM_OPTIM_H

#include "kernel/kernel.h"
#include "tensor/context.h"

#include <refrain/ops.h>
#include <refrain/optim.h>

enum { RF_OPTIM_MOMENTS = 2 };

/* One parameter, with the figures that its group gives it. */
typedef struct rf_optim_item {
    char *path;
    rf_tensor *param; /* held */
    rf_tensor *moments[RF_OPTIM_MOMENTS];
    double lr_scale;
    double weight_decay;
    /* Of an item whose moments are away: see away.h. */
    int is_away;
    uint64_t at;                      /* where in the room they begin                         */
    size_t written[RF_OPTIM_MOMENTS]; /* so many chunks were written; those behind are zeros  */
    size_t after; /* the item that was moved after it the last time; as many as there are: none */
} rf_optim_item;

/* What a rule is given: contiguous views of one type, and how often this parameter was moved,
 * this time included. */
typedef struct rf_optim_move {
    rf_exec exec;
    const rf_kernels *kernels;
    const rf_optim_item *item;
    double lr;
    uint64_t count;
    rf_view param, grad;
    rf_view moments[RF_OPTIM_MOMENTS];
} rf_optim_move;

typedef struct rf_optim_rule {
    const char *name;
    const char *moments[RF_OPTIM_MOMENTS]; /* names of the state tensors; NULL: none */
    rf_status (*move)(const void *settings, const rf_optim_move *move);
} rf_optim_rule;

/* What all rules have in common; settings are the rule's own and are copied. */
typedef struct rf_optim_common {
    double lr;
    double weight_decay;
    const rf_param_group *groups;
    size_t num_groups;
    const void *settings;
    size_t settings_bytes;
    rf_device moments;
} rf_optim_common;

enum { RF_OPTIM_SETTINGS = 64 }; /* bytes, at most */

typedef struct rf_away rf_away; /* see away.h */

struct rf_optim {
    rf_context *ctx;
    const rf_optim_rule *rule;
    double lr;
    uint64_t steps;
    rf_optim_item *items;
    size_t num, capacity;
    rf_tensor *counts; /* i64 (num), "step"                */
    rf_away *away;     /* NULL: the moments are in memory  */
    char *name;        /* room for the longest name of a state tensor */
    size_t name_bytes;
    _Alignas(max_align_t) unsigned char settings[RF_OPTIM_SETTINGS];
};

rf_status rf_optim_create(rf_optim **out, rf_module *m, const rf_optim_rule *rule,
                          const rf_optim_common *common);

/* The part of a step that is one parameter's: nothing, if it has no gradient. */
rf_status rf_optim_step_one(rf_optim *opt, size_t index);

/* The rule, on what a move says. */
rf_status rf_optim_apply(const rf_optim *opt, const rf_optim_move *move);
/* How many moments the rule has. */
size_t rf_optim_num_moments(const rf_optim *opt);
/* A tensor of zeros in the class of optimisers, shaped like the item's parameter (owned). */
rf_status rf_optim_moment(rf_tensor **out, const rf_optim *opt, const rf_optim_item *item);

/* rf_optim_each_state for who says what he does with the tensors, so that no byte moves in vain:
 * read them, overwrite all of each (what was in them before is not there then), both, or neither
 * (only shapes are asked for). */
enum { RF_OPTIM_READ = 1, RF_OPTIM_WRITE = 2 };
rf_status rf_optim_visit_state(rf_optim *opt, int access, rf_tensor_visitor visit, void *payload);

/* A finite number that is not negative. */
int rf_optim_figure_ok(double figure);
/* The view of a tensor; data is NULL where there are no bytes. */
rf_view rf_optim_view(rf_tensor *t);

#endif
