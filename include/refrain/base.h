/* base.h: status codes, error details, the context.
 *
 * A context owns everything that Refrain keeps: the allocator, the ledger of bytes, the random
 * number generator, the table of ops. There is no other state: no globals, no thread-locals.
 * A context is used by one thread at a time; different contexts are independent of each other.
 *
 * Ownership, in three words used throughout these headers:
 *   owned     written to **out by a creator; you end it with the matching destroy or drop
 *   scoped    a returned rf_tensor *; it lives until its scope closes
 *   borrowed  returned by a getter; it lives as long as what it was asked of
 *
 * Options structs begin with their size, fields are only ever appended, zero is the safe default,
 * and NULL means all defaults.
 */
#ifndef REFRAIN_BASE_H
#define REFRAIN_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(RF_STATIC)
#define RF_API
#elif defined(__GNUC__)
#define RF_API __attribute__((visibility("default")))
#else
#define RF_API
#endif

#if defined(__GNUC__)
#define RF_MUST_USE __attribute__((warn_unused_result))
#else
#define RF_MUST_USE
#endif

#define RF_VERSION_MAJOR 0
#define RF_VERSION_MINOR 1
#define RF_VERSION_PATCH 0

/* "0.1.0": the version of the library that is running (the macros tell the one compiled with). */
RF_API const char *rf_version(void);

/* Every status, its number (never changed once released) and its text. */
#define RF_STATUS_TABLE(X)                                                            \
    X(RF_OK, 0, "ok")                                                                 \
    X(RF_E_MEMORY, -1, "the allocator gave no memory")                                \
    X(RF_E_BUDGET, -2, "a limit in bytes would be passed")                            \
    X(RF_E_SHAPE, -3, "shapes do not fit")                                            \
    X(RF_E_DTYPE, -4, "element type not supported here")                              \
    X(RF_E_DEVICE, -5, "wrong or unusable device")                                    \
    X(RF_E_ARGUMENT, -6, "bad argument")                                              \
    X(RF_E_STATE, -7, "not possible in this state")                                   \
    X(RF_E_STALE, -8, "the tensor's bytes are gone")                                  \
    X(RF_E_UNSUPPORTED, -9, "not supported")                                          \
    X(RF_E_REPLAY_FEWER, -10, "the recompute saved fewer values than the forward")    \
    X(RF_E_REPLAY_MORE, -11, "the recompute saved more values than the forward")      \
    X(RF_E_REPLAY_META, -12, "the recompute saved values of another shape or type")   \
    X(RF_E_MUTATED, -13, "a value that backward needs was changed since the forward") \
    X(RF_E_CONSUMED, -14, "the graph was consumed by an earlier backward")            \
    X(RF_E_APPLIED, -15, "already applied to this module")                            \
    X(RF_E_NAMES, -16, "an API changed the names of a module tree")                   \
    X(RF_E_CONFLICT, -17, "two APIs that do not compose")                             \
    X(RF_E_NOT_FOUND, -18, "not found")                                               \
    X(RF_E_IO, -19, "a file could not be read or written")                            \
    X(RF_E_FORMAT, -20, "malformed data")                                             \
    X(RF_E_LIBRARY, -21, "a library underneath failed")                               \
    X(RF_E_COMM, -22, "communication failed")                                         \
    X(RF_E_REPLAY_VALUE, -23, "the recompute gave another value than the forward")    \
    X(RF_E_USER, -100, "a callback said stop")

/* RF_OK is zero, failures are negative. The last value only makes the enum wide enough. */
#define RF_STATUS_ENUM(name, number, text) name = number,
typedef enum rf_status { RF_STATUS_TABLE(RF_STATUS_ENUM) RF_STATUS_LAST_ = 1 } rf_status;
#undef RF_STATUS_ENUM

/* "RF_E_SHAPE" for RF_E_SHAPE; "unknown" for a number that is no status. Never NULL. */
RF_API const char *rf_status_name(rf_status status);
/* The one-line text of the table above. Never NULL. */
RF_API const char *rf_status_text(rf_status status);

/* Objects behind handles: the whole of a context, a scope of tensors, a tensor, a module. */
typedef struct rf_context rf_context;
typedef struct rf_scope rf_scope;
typedef struct rf_tensor rf_tensor;
typedef struct rf_module rf_module;

/* A list of tensors: inputs or outputs of a call. Entries may be NULL: absent. */
typedef struct rf_values {
    rf_tensor **v;
    size_t num;
} rf_values;

/* Allocate (old is NULL) or free (size is 0); old_size is then exactly what was allocated.
 * Blocks must be aligned to 64 bytes. Returning NULL for an allocation is RF_E_MEMORY. */
typedef void *(*rf_alloc_fn)(void *payload, void *old, size_t old_size, size_t size);

/* Told lines of diagnostics; the library itself never prints. */
typedef void (*rf_log_fn)(void *payload, const char *line);

/* What went wrong last in a context. Recording it never allocates. */
typedef struct rf_error {
    size_t size;
    rf_status code;
    const char *message;   /* one line, no newline                                     */
    const char *op;        /* the op at fault, "matmul"; "" if none                    */
    const char *path;      /* the module at fault, "h.3.mlp"; "" if none               */
    uint64_t bytes_wanted; /* for RF_E_MEMORY and RF_E_BUDGET, else 0                  */
    uint64_t bytes_free;   /* what the limit had left                                  */
    uint64_t limit;        /* the limit, or 0                                          */
    uint64_t limit_needed; /* the smallest limit known to work, or 0                   */
    int64_t slot;          /* for RF_E_REPLAY_*: index of the first slot at fault; -1  */
} rf_error;

/* How a context is made; NULL and zeros are one with the C library's memory and all processors. */
typedef struct rf_context_options {
    size_t size;
    rf_alloc_fn alloc;        /* NULL: the C library's aligned allocator                    */
    void *alloc_payload;      /* handed to alloc                                            */
    void *memory;             /* a caller's buffer as the context's whole memory, or NULL;  */
    size_t memory_bytes;      /* its bytes; the buffer must outlive the context             */
    size_t threads;           /* 0: one per processor that this process may use             */
    uint64_t seed;            /* of the context's generator                                 */
    rf_log_fn log;            /* NULL: diagnostics are dropped                              */
    void *log_payload;        /* handed to log                                              */
    const char *isa;          /* "portable", "avx2", "avx512", and with products of bf16    */
                              /* "avx512_bf16" or "amx"; NULL: the best this CPU has. With  */
                              /* "portable" and one thread no library underneath is called, */
                              /* and nothing is allocated outside alloc or memory           */
    const char *spill_folder; /* copied: where the spill file is made; NULL: the current folder */
    int dry; /* nothing has bytes and no kernel runs, but shapes, graphs, errors and the ledger are
                as always: a model and its step cost nothing and tell what they would take. Reading
                a value is RF_E_DEVICE. See predict.h */
} rf_context_options;
#define RF_CONTEXT_OPTIONS_INIT                                     \
    {                                                               \
        sizeof(rf_context_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/* Create a context (owned). RF_E_ARGUMENT for an unknown isa or a buffer too small to begin in. */
RF_API RF_MUST_USE rf_status rf_context_create(rf_context **out, const rf_context_options *opts);

/* End a context. Modules, optimisers, held tensors and scopes must be ended before; in a debug
 * build what is left over is logged by name. NULL is accepted. */
RF_API void rf_context_destroy(rf_context *ctx);

/* Details of the last failure in this context (borrowed, never NULL, code RF_OK at first). */
RF_API const rf_error *rf_context_error(const rf_context *ctx);

/* How many threads the context's kernels use, and the instruction set that they were chosen for. */
RF_API size_t rf_context_threads(const rf_context *ctx);
RF_API const char *rf_context_isa(const rf_context *ctx);
/* Whether the context is dry, for good or while a prediction runs: values are not there. */
RF_API int rf_context_dry(const rf_context *ctx);
/* Seconds that recomputing took since the context began, nested ones counted once. */
RF_API double rf_context_recompute_seconds(const rf_context *ctx);

/* The generator: counter-based (Philox 4x32-10), so its whole state is these 16 bytes. Random ops
 * take numbers from offset onward and move it; setting it replays them. */
typedef struct rf_rng {
    uint64_t seed;
    uint64_t offset; /* in blocks of four 32-bit numbers */
} rf_rng;
RF_API rf_rng rf_context_rng(const rf_context *ctx);
RF_API void rf_context_set_rng(rf_context *ctx, rf_rng rng);

/* Whether all of text fits a pattern: '*' is any run of characters, '?' any one, the rest itself.
 * Steps are at most the product of the two lengths. */
RF_API int rf_pattern_matches(const char *pattern, const char *text);
/* The one of num words that text was most likely meant to be; NULL if none is near. */
RF_API const char *rf_nearest_word(const char *text, const char *const *words, size_t num);

#ifdef __cplusplus
}
#endif
#endif
