/* modules.h: a kind of module for tests of modules, and shorthands to build trees of it. */
#ifndef TEST_MODULES_H
#define TEST_MODULES_H

#include "support/world.h"

/* "Part": calls its children one after the other, then multiplies sin of that by its parameter "w",
 * if it has one. Its self, if any, is a part_log. Copies share it. */
extern const rf_module_class part_class;

/* What happened in it: one letter an event. A forward is 'f'; it fails with `fail` if that is set,
 * after recording `message` if that is set. */
typedef struct part_log {
    char text[64];
    rf_status fail;
    const char *message;
} part_log;
void part_note(part_log *log, char letter);

rf_module *part_new(rf_context *ctx, part_log *log);
/* The same, as a child; or NULL if it could not be made. */
rf_module *part_add(rf_module *parent, const char *name);
/* A parameter (or buffer) of n f32 values that depend on salt. */
rf_status part_param(rf_module *m, const char *name, int64_t n, double salt);
rf_status part_buffer(rf_module *m, const char *name, int64_t n, double salt);
/* root: "w"; children a, b; a has "w", "bias", the buffer "mean" and a child inner with "w" (tied
 * to b's "w"). Rows of 4. */
rf_status part_tree(rf_module **out, rf_context *ctx);

/* All names of a tree as one text: "m a|p a.w|". */
const char *part_names(rf_module *m, char *text, size_t bytes);

#endif
