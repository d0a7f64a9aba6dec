/* scope.h: the inside of scopes. A scope is a list of handles and a first failure. */
#ifndef RF_TENSOR_SCOPE_H
#define RF_TENSOR_SCOPE_H

#include "tensor/context_struct.h"

/* What scopes know of hooks on saved values: grad/saved_hooks.c has the rest. */
struct rf_saved_entry {
    rf_saved_entry *outer; /* referenced */
    uint32_t refs;
    void (*end)(rf_saved_entry *entry); /* refs came to 0 */
};

static inline void rf_saved_entry_unref(rf_saved_entry *entry)
{
    while (entry && --entry->refs == 0) {
        rf_saved_entry *outer = entry->outer;
        entry->end(entry);
        entry = outer;
    }
}

struct rf_scope {
    rf_context *ctx;
    rf_scope *parent;
    rf_tensor *first; /* handles, newest first */
    uint32_t children;
    rf_status status;
    int grad;              /* ops record                                     */
    int early_stop;        /* of regions: 0 off, 1 on, -1 as their options   */
    const char *label;     /* for policies; borrowed, or NULL      */
    const char *no_hooks;  /* why saved values may not be hooked; or NULL */
    rf_saved_entry *hooks; /* on saved values, the innermost first        */
    rf_dtype precision;    /* of products */
    int on_stack;          /* opened by rf_scope_begin                        */
};

/* The same without an allocation, for scopes that live in one function. */
void rf_scope_begin(rf_scope *s, rf_context *ctx, rf_scope *parent);
void rf_scope_end(rf_scope *s);

#endif
