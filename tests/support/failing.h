/* failing.h: an allocator whose k-th allocation fails, and that knows what is not freed yet. */
#ifndef RF_SUPPORT_FAILING_H
#define RF_SUPPORT_FAILING_H

#include <refrain/base.h>

typedef struct failing_allocator {
    size_t fail_at; /* fail this allocation, counted from 1; 0: none */
    size_t calls;   /* allocations asked for                          */
    size_t bytes;   /* not freed                                      */
} failing_allocator;

/* For rf_context_options.alloc, with a failing_allocator as payload. */
void *failing_alloc(void *payload, void *old, size_t old_size, size_t size);
/* A context on it; fails the test if there is none. */
rf_context *failing_context(failing_allocator *a);

#endif
