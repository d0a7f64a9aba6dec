/* failing.c: see failing.h. Sizes given back are checked by what is left over in the end. */
#include "support/failing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

void *failing_alloc(void *payload, void *old, size_t old_size, size_t size)
{
    failing_allocator *a = payload;
    if (!size) {
        a->bytes -= old_size;
        free(old);
        return NULL;
    }
    if (++a->calls == a->fail_at)
        return NULL;
    void *p = NULL;
    if (posix_memalign(&p, 64, size) != 0)
        return NULL;
    a->bytes += size;
    return p;
}

rf_context *failing_context(failing_allocator *a)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx = NULL;
    opts.alloc = failing_alloc;
    opts.alloc_payload = a;
    opts.threads = 1;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    return ctx;
}
