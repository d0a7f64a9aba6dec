/* extend.h: for authors of ops and devices. An op is one row of a table: what is written here is
 * all that Refrain knows of its own ops too, so yours get slots, regions, accounting and gradient
 * checks in the same way. */
#ifndef REFRAIN_EXTEND_H
#define REFRAIN_EXTEND_H

#include <refrain/grad.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_MAX_INPUTS  16
#define RF_MAX_OUTPUTS 4
#define RF_MAX_ATTRS   96   /* bytes of attributes of one call */
#define RF_ABSENT      0xFF /* dtype of an input that was not given */

/* The shape of a tensor, without its bytes. */
typedef struct rf_shape {
    uint8_t dtype; /* rf_dtype, or RF_ABSENT */
    uint8_t device;
    uint8_t rank;
    int64_t dims[RF_MAX_RANK];
} rf_shape;

/* A shape, how it lies in memory, and where. */
typedef struct rf_view {
    rf_shape shape;
    int64_t strides[RF_MAX_RANK]; /* in elements */
    int64_t offset;               /* in elements, from the start of the storage */
    void *data;                   /* first element of the view; NULL on meta and while unknown */
} rf_view;

/* An op: one row of the table, below. */
typedef struct rf_op_class rf_op_class;

/* One call of an op. infer reads in[].shape and fills out[].shape (strides are row-major unless a
 * view op sets strides and offset); it may lower num_out. forward finds data everywhere. */
typedef struct rf_op_call {
    rf_context *ctx;
    const rf_op_class *op;
    const void *attrs; /* RF_MAX_ATTRS bytes, a copy of what the caller gave */
    size_t num_in;
    size_t num_out;
    rf_view *in;
    rf_view *out;
    rf_rng rng;      /* for random ops: where its numbers begin                       */
    void *workspace; /* of workspace_bytes, aligned to 64                             */
    size_t workspace_bytes;
} rf_op_call;

/* Which values backward reads: bit i for input i, bit j for output j. */
typedef struct rf_op_reads {
    uint32_t inputs;
    uint32_t outputs;
} rf_op_reads;

/* What a call costs, for reports and policies. */
typedef struct rf_op_cost {
    double flops; /* multiplications and additions */
    double bytes; /* read and written */
} rf_op_cost;

/* One call of an op's backward rule, which is written with ops, in scope. */
typedef struct rf_op_grad {
    rf_scope *scope;
    const rf_op_class *op;
    const void *attrs;
    size_t num_in;
    size_t num_out;
    const rf_shape *in_shape;
    const rf_shape *out_shape;
    rf_tensor *const *grad_out; /* NULL where no gradient arrived                        */
    rf_tensor **grad_in;        /* to be filled where wanted; NULL means zero            */
    uint32_t wanted;            /* bit i: input i wants a gradient                       */
    rf_rng rng;                 /* what the forward call had                             */
    int create_graph;           /* gradients are being recorded                          */
    void *node;                 /* the library's own                                     */
} rf_op_grad;

/* A saved value, by the number of the input or output; only those that reads declares, else NULL
 * and RF_E_STATE. Computes it again in a region. Scoped in grad->scope. */
RF_API rf_tensor *rf_op_saved_input(rf_op_grad *grad, size_t index);
RF_API rf_tensor *rf_op_saved_output(rf_op_grad *grad, size_t index);
/* A saved input for a rule that writes something else in its place and reads it no more: the saved
 * bytes themselves where nobody else will read them, else a copy. Ask for it last: in a recompute
 * the others may have to be made of it first. */
RF_API rf_tensor *rf_op_take_input(rf_op_grad *grad, size_t index);
/* What the gradients of input `index` have added up to so far, for a rule that would rather add to
 * it, in place, than make another gradient of that size: it then gives this same tensor as
 * grad_in[index]. Where others share the bytes it is a copy, made now, so that the sum's bits are
 * the same either way. NULL: there is none yet, or gradients are being recorded. */
RF_API rf_tensor *rf_op_grad_sum(rf_op_grad *grad, size_t index);

/* What is special about an op: bits of rf_op_class.traits. */
typedef enum rf_op_traits {
    RF_OP_VIEW = 1,        /* the output shares input 0's bytes; forward is not called        */
    RF_OP_INPLACE = 2,     /* output 0 is input 0, changed                                    */
    RF_OP_RANDOM = 4,      /* takes numbers from the generator: see random_blocks             */
    RF_OP_FIRST_ORDER = 8, /* backward cannot be recorded: see backward_composed              */
    RF_OP_NO_GRAD = 16,    /* has no gradient: results never require one                      */
    RF_OP_EFFECT = 32,     /* does something besides its result: again in every recompute       */
    RF_OP_STRIDED = 64,    /* infer sets the strides of the outputs, which have no gaps         */
    RF_OP_ONCE = 128, /* an effect of the forward alone: a recompute leaves it out (in place, or, */
    /* in a region of depth one, with results, which are kept then)      */
    RF_OP_FORBID = 256, /* an effect that must not happen in a region: RF_E_UNSUPPORTED there */
    RF_OP_PRODUCT = 512 /* sums of products: done in the scope's precision                    */
} rf_op_traits;

/* One input of a sample call. */
typedef struct rf_op_sample_input {
    int absent;
    int integer; /* i64 in [low, high); else the float type under test, in [low, high]  */
    double low, high;
    size_t rank;
    int64_t dims[RF_MAX_RANK];
} rf_op_sample_input;
/* A call with valid shapes and attributes, for tests that walk the table. */
typedef struct rf_op_sample {
    size_t num_in;
    rf_op_sample_input in[RF_MAX_INPUTS];
    unsigned char attrs[RF_MAX_ATTRS];
} rf_op_sample;

/* The row itself. Required: size, name, num_out, infer, and forward unless the op is a view. */
struct rf_op_class {
    size_t size;
    const char *name;
    const char *doc; /* one line: the formula */
    uint32_t traits;
    uint32_t num_out; /* results, then auxiliaries (which callers never see)                    */
    uint32_t num_aux;
    /* Check inputs and attributes, fill out shapes. Use rf_op_fail for errors. */
    rf_status (*infer)(rf_op_call *call);
    rf_status (*forward)(rf_op_call *call);
    /* Which values backward will read if the gradients of `wanted` are wanted. */
    rf_op_reads (*reads)(const rf_op_call *call, uint32_t wanted);
    rf_status (*backward)(rf_op_grad *grad);
    /* For RF_OP_FIRST_ORDER: the same with ops that can be recorded; NULL refuses by name. It may
     * read what reads declares. */
    rf_status (*backward_composed)(rf_op_grad *grad);
    /* Blocks of four 32-bit numbers that a random op takes. */
    uint64_t (*random_blocks)(const rf_op_call *call);
    size_t (*workspace)(const rf_op_call *call);
    rf_op_cost (*cost)(const rf_op_call *call); /* NULL: bytes of inputs and outputs, no FLOPs  */
    /* Fill valid sample number `index`; return 0 when there are no more. */
    int (*sample)(size_t index, rf_op_sample *out);
    /* Input number `input` holds indices: each below what this returns, which reads shapes and
     * attributes only. For those who make up inputs, as measuring does. NULL, or 0 returned: it
     * holds none. */
    int64_t (*index_below)(const rf_op_call *call, size_t input);
    /* For an op with forms that keep more or less: the time of a call lies between those of two
     * others, which alone are measured. Make call, a copy with attrs and room for all outputs,
     * the first of them (end 0) or the second (end 1), and return how far it lay from the first:
     * 0 to 1. NULL: it has one form. */
    double (*between)(rf_op_call *call, void *attrs, int end);
};

/* Make an op known to a context (for reports and table walks; rf_op_run works without). op must
 * outlive it. RF_E_ARGUMENT if the name is taken or a required field is missing. */
RF_API RF_MUST_USE rf_status rf_op_register(rf_context *ctx, const rf_op_class *op);
/* The one way in: run op on in (entries may be NULL where the op allows it). attrs are attrs_size
 * bytes (at most RF_MAX_ATTRS), copied. Results are scoped, in out. */
RF_API RF_MUST_USE rf_status rf_op_run(rf_scope *s, const rf_op_class *op, const rf_values *in,
                                       const void *attrs, size_t attrs_size, rf_values *out);
/* Record an error for the context of a call; returns status. */
RF_API rf_status rf_op_fail(rf_op_call *call, rf_status status, const char *message);

/* All ops of a context: Refrain's own first. */
RF_API size_t rf_op_count(const rf_context *ctx);
RF_API const rf_op_class *rf_op_at(const rf_context *ctx, size_t index);

/* How often each op was recorded (called) and executed (computed; recompute included). */
typedef struct rf_op_counts {
    uint64_t recorded;
    uint64_t executed;
    double flops; /* of those executed, by the op's cost */
} rf_op_counts;
RF_API rf_op_counts rf_op_counts_of(const rf_context *ctx, const char *name);
RF_API void rf_op_counts_reset(rf_context *ctx);

#ifdef __cplusplus
}
#endif
#endif
