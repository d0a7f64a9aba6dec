/* context.h: what the layers above tensor need of a context: memory for bookkeeping, errors, names.
 * The struct itself is in context_struct.h, which only base machinery includes. */
#ifndef RF_TENSOR_CONTEXT_H
#define RF_TENSOR_CONTEXT_H

#include <refrain/extend.h>

/* Bookkeeping memory: aligned to 64, entered in the ledger as RF_MEM_OTHER. NULL: the error
 * is recorded. Zeroed. */
void *rf_host_alloc(rf_context *ctx, size_t bytes);
void rf_host_free(rf_context *ctx, void *p, size_t bytes); /* bytes as allocated; NULL is fine */
/* A copy of text; freed by rf_host_free_text. */
char *rf_host_copy_text(rf_context *ctx, const char *text);
void rf_host_free_text(rf_context *ctx, char *text);
/* An array that grows: items points at *capacity elements of item_bytes; makes room for one more
 * than num. */
rf_status rf_host_grow(rf_context *ctx, void *items, size_t num, size_t *capacity,
                       size_t item_bytes);

/* Record an error: one line, printf-style; %.*s and the like are fine. Returns status. Never
 * allocates; a long message is cut. */
rf_status rf_fail(rf_context *ctx, rf_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* How many errors were recorded so far: tells whether somebody who failed has said why. */
uint64_t rf_context_errors(const rf_context *ctx);
/* The path of the module that runs now, for error records: set by module calls, "" outside. */
typedef void (*rf_path_writer)(const void *module, char *buffer, size_t bytes);
void rf_context_set_module(rf_context *ctx, const void *module, rf_path_writer writer,
                           const void **previous);
/* The path of the error that was just recorded is this: of a parameter, rather than of the module
 * that runs. */
void rf_error_set_path(rf_context *ctx, const char *path);
/* Write the path of the parameter whose bytes s are, in the tree around module. 0: there is none.
 */
struct rf_storage;
typedef int (*rf_param_finder)(const void *module, const struct rf_storage *s, char *path,
                               size_t bytes);
void rf_context_set_param_finder(rf_context *ctx, rf_param_finder finder);
/* A block that graph nodes may still point at (a module's shell): freed when no node is left, at
 * the latest with the context. The first member of the block. */
typedef struct rf_retired {
    struct rf_retired *next;
    size_t bytes;
} rf_retired;
void rf_context_retire(rf_context *ctx, rf_retired *block, size_t bytes);
void rf_log_line(rf_context *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* In a dry run: so many bytes would have been read and written now, outside of ops. */
void rf_context_spend(rf_context *ctx, double bytes);
/* The table that the context's kernels are taken from. */
const struct rf_kernels *rf_context_kernels(const rf_context *ctx);

#endif
