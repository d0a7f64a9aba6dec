/* scope.h: the inside of scopes. A scope is a list of handles and a first failure. */
#ifndef RF_TENSOR_SCOPE_H
#define RF_TENSOR_SCOPE_H

#include "tensor/context_struct.h"

struct rf_scope {
    rf_context *ctx;
    rf_scope *parent;
    rf_tensor *first; /* handles, newest first */
    uint32_t children;
    rf_status status;
    int grad;          /* ops record                                     */
    int early_stop;    /* of regions: 0 off, 1 on, -1 as their options   */
    const char *label; /* for policies; borrowed, or NULL      */
    int on_stack;      /* opened by rf_scope_begin                        */
};

/* The same without an allocation, for scopes that live in one function. */
void rf_scope_begin(rf_scope *s, rf_context *ctx, rf_scope *parent);
void rf_scope_end(rf_scope *s);

#endif
