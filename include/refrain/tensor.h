/* tensor.h: scopes and tensors.
 *
 * A tensor is a handle on counted bytes: shape, strides, type, device. Handles live in a scope;
 * ops put their results there, closing the scope drops them, and nobody frees an intermediate.
 * The bytes go away with their last user: handle, view or graph.
 *
 * An expression that is given NULL gives NULL; the scope remembers the first failure. So a model
 * reads like mathematics, and is checked once, at its end.
 */
#ifndef REFRAIN_TENSOR_H
#define REFRAIN_TENSOR_H

#include <refrain/memory.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most axes that a tensor may have. */
#define RF_MAX_RANK 8

/* Types of elements. */
typedef enum rf_dtype {
    RF_F32 = 0,
    RF_F64 = 1,
    RF_BF16 = 2, /* the upper half of an f32 */
    RF_I32 = 3,
    RF_I64 = 4,
    RF_U8 = 5,
    RF_DTYPES
} rf_dtype;

RF_API const char *rf_dtype_name(rf_dtype dtype); /* "f32"; "unknown" */
RF_API size_t rf_dtype_size(rf_dtype dtype);      /* bytes of one element; 0 if unknown */

/* ---- scopes ------------------------------------------------------------------------------ */

/* Open a scope (owned) in a context; parent may be NULL. A child inherits its parent's settings. */
RF_API RF_MUST_USE rf_status rf_scope_open(rf_scope **out, rf_context *ctx, rf_scope *parent);
/* Close it: every handle still inside is dropped. Children must be closed before. NULL is fine. */
RF_API void rf_scope_close(rf_scope *s);
/* The first failure inside this scope, or RF_OK. */
RF_API rf_status rf_scope_status(const rf_scope *s);
/* Forget the failure, so that expressions work again. */
RF_API void rf_scope_clear(rf_scope *s);
/* Record a failure of your own, as an op would; the first one stays. Returns status. */
RF_API rf_status rf_scope_fail(rf_scope *s, rf_status status, const char *message);
/* The context that the scope was opened in (borrowed). */
RF_API rf_context *rf_scope_context(const rf_scope *s);
/* Whether ops in this scope (and in scopes opened in it from now on) record for gradients. */
RF_API void rf_scope_set_grad(rf_scope *s, int enabled);
RF_API int rf_scope_grad(const rf_scope *s);

/* Move a handle to the parent scope (of a root scope: RF_E_STATE, NULL). Returns t. */
RF_API rf_tensor *rf_keep(rf_scope *s, rf_tensor *t);
/* Give a scoped handle back before its scope closes. NULL is fine. */
RF_API void rf_release(rf_scope *s, rf_tensor *t);
/* Let a handle outlive every scope, once more per call; end each with rf_tensor_drop. Returns t. */
RF_API rf_tensor *rf_tensor_hold(rf_tensor *t);
/* End one hold; the last one gives the bytes back. NULL is fine. */
RF_API void rf_tensor_drop(rf_tensor *t);

/* ---- making tensors ------------------------------------------------------------------------ */

/* What rf_tensor_create makes; zeros are an f32 of rank 0 on the processor. */
typedef struct rf_tensor_options {
    size_t size;
    rf_dtype dtype;
    size_t rank;
    const int64_t *dims;
    rf_device device;
    rf_mem_class mem_class; /* RF_MEM_ALL (zero) means RF_MEM_ACTIVATION */
    int requires_grad;
} rf_tensor_options;
#define RF_TENSOR_OPTIONS_INIT                                                \
    {                                                                         \
        sizeof(rf_tensor_options), RF_F32, 0, 0, RF_DEVICE_CPU, RF_MEM_ALL, 0 \
    }

/* A tensor of zeros that belongs to no scope (owned; end it with rf_tensor_drop). */
RF_API RF_MUST_USE rf_status rf_tensor_create(rf_tensor **out, rf_context *ctx,
                                              const rf_tensor_options *opts);

/* Scoped tensors: zeros; all elements value; a copy of caller's elements, row-major. */
RF_API rf_tensor *rf_zeros(rf_scope *s, rf_dtype dtype, size_t rank, const int64_t *dims);
RF_API rf_tensor *rf_full(rf_scope *s, rf_dtype dtype, size_t rank, const int64_t *dims,
                          double value);
RF_API rf_tensor *rf_tensor_copy_in(rf_scope *s, rf_dtype dtype, size_t rank, const int64_t *dims,
                                    const void *host);

/* Wrap a caller's buffer of bytes as a row-major scoped tensor, without copying. release (may be
 * NULL) is called with payload once the last user of the bytes is gone; on failure at once. The
 * buffer should be aligned to 64 bytes for equal bits with other tensors. Class BORROWED. */
typedef struct rf_buffer {
    void *data;
    size_t bytes;
    void (*release)(void *payload);
    void *payload;
} rf_buffer;
RF_API rf_tensor *rf_tensor_borrow(rf_scope *s, rf_dtype dtype, size_t rank, const int64_t *dims,
                                   rf_buffer buffer);

/* ---- reading tensors ------------------------------------------------------------------------- */

/* Copy the elements, row-major, to host; bytes must be exactly theirs (RF_E_ARGUMENT).
 * RF_E_STALE if a backward has used the tensor up; RF_E_DEVICE on the meta device. */
RF_API RF_MUST_USE rf_status rf_tensor_copy_out(const rf_tensor *t, void *host, size_t bytes);
/* Overwrite the elements with caller's, row-major; counts as an in-place change. */
RF_API RF_MUST_USE rf_status rf_tensor_copy_from(rf_tensor *t, const void *host, size_t bytes);
/* The single element of a one-element tensor, as a double. */
RF_API RF_MUST_USE rf_status rf_tensor_item(const rf_tensor *t, double *out);

/* What a tensor is: its context (borrowed), type of elements, device, and number of axes. */
RF_API rf_context *rf_tensor_context(const rf_tensor *t);
RF_API rf_dtype rf_tensor_dtype(const rf_tensor *t);
RF_API rf_device rf_tensor_device(const rf_tensor *t);
RF_API size_t rf_tensor_rank(const rf_tensor *t);
RF_API const int64_t *rf_tensor_dims(const rf_tensor *t);    /* borrowed */
RF_API const int64_t *rf_tensor_strides(const rf_tensor *t); /* in elements; borrowed */
RF_API int64_t rf_tensor_dim(const rf_tensor *t, int axis);  /* axis < 0 counts from the end; 0 */
RF_API int64_t rf_tensor_count(const rf_tensor *t);          /* number of elements */
RF_API size_t rf_tensor_bytes(const rf_tensor *t);           /* count times element size */
/* How often the bytes were changed in place. Views share it. */
RF_API uint32_t rf_tensor_version(const rf_tensor *t);
/* Where the elements lie, for code that reads or writes them itself (CPU only, NULL elsewhere or if
 * stale). In a recompute this computes the value first. Changing a recorded tensor this way is not
 * noticed: call rf_tensor_touch. */
RF_API void *rf_tensor_data(rf_tensor *t);
/* Say that the elements were changed through rf_tensor_data: the version rises. */
RF_API void rf_tensor_touch(rf_tensor *t);
/* Whether two handles name the same bytes in the same shape. */
RF_API int rf_tensor_same(const rf_tensor *a, const rf_tensor *b);

#ifdef __cplusplus
}
#endif
#endif
