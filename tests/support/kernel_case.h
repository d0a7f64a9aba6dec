/* kernel_case.h: one kernel on one set of shapes, checked in every way that its contract promises.
 *
 * A case says how to call the kernel and what doubles it should give. kernel_case_check then runs
 * it on every table, type, layout, thread count and buffer offset, and asserts that
 *   - the values are right within the case's tolerance,
 *   - the bits are the same again, at another address, and (CASE_THREADS) on other threads,
 *   - nothing but the outputs' elements was written.
 */
#ifndef TEST_KERNEL_CASE_H
#define TEST_KERNEL_CASE_H

#include "kernel/kernel.h"

enum { CASE_VIEWS = 9 };

typedef enum case_flag {
    CASE_THREADS = 1,  /* the bits do not depend on the thread count          */
    CASE_STRIDED = 2,  /* inputs and outputs may have any strides             */
    CASE_NO_BF16 = 4,  /* only f32 and f64                                    */
    CASE_EXACT_IN = 8, /* small integers as inputs, where rounding would blur */
    CASE_ROW_OUT = 16  /* with CASE_STRIDED: outputs have no gaps             */
} case_flag;

typedef struct kernel_view {
    int dtype; /* CASE_FLOAT: the type under test; CASE_WIDE: f32, or f64 for f64; else rf_dtype */
    int rank;
    int64_t dims[4];
    double low, high; /* of an input's values; both 0: [-2, 2]. Integers: [low, high) */
    int absent;       /* the kernel gets NULL */
} kernel_view;

enum { CASE_FLOAT = -1, CASE_WIDE = -2 };

typedef struct kernel_case {
    const char *name;
    unsigned flags;
    int inputs, outputs;
    kernel_view view[CASE_VIEWS]; /* inputs, then outputs */
    size_t (*workspace)(const rf_kernels *k, size_t threads, const rf_view *const *v);
    rf_status (*call)(const struct kernel_case *c, const rf_kernels *k, const rf_exec *e,
                      const rf_view *const *v);
    /* row-major doubles of each view (NULL: absent), as the kernel sees them after rounding */
    void (*truth)(const struct kernel_case *c, double *const *v);
    double relative, absolute; /* for f32; relative to the value. f64: a millionth of it */
    double number[4];          /* what call and truth agree on */
    int64_t integer[4];
} kernel_case;

void kernel_case_check(const kernel_case *c);

/* The tables that run here: the reference (of which nothing else is the test), then the fast ones.
 */
enum { KERNEL_TABLES = 6 };
size_t kernel_tables(const rf_kernels *tables[KERNEL_TABLES]);

/* Number i of a fixed sequence, in [0, 1). */
double kernel_noise(uint64_t salt, uint64_t i);
int64_t kernel_count(const kernel_view *v);
/* An element of any type, read and written without the library. index: in elements from data. */
double kernel_get(const rf_view *v, int64_t index);
void kernel_put(const rf_view *v, int64_t index, double value);
rf_view kernel_plain_view(int dtype, int rank, const int64_t *dims, void *data);

#endif
