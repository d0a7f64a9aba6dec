/* chain_rows.c: what a table's rows are made of: the scale of bytes and times that suits a chain,
 * and the loop in which nearly all of a table's time goes. Rows never rise: more memory never costs
 * time. */
#include "plan/chain_parts.h"

#include <math.h>

enum { ROW_PIECE = 64 }; /* levels that are skipped together */

/* ---- scale ---- */

static uint64_t scale_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

uint64_t rf_chain_common(const rf_chain *c)
{
    uint64_t common = scale_divisor(c->input, c->input_gradient);
    for (size_t i = 0; i < c->num_stages; i++) {
        const rf_chain_stage *s = &c->stages[i];
        common = scale_divisor(common, s->output);
        common = scale_divisor(common, s->gradient);
        common = scale_divisor(common, s->left);
        common = scale_divisor(common, s->forward_workspace);
        for (size_t k = 0; k < s->num_options; k++) {
            const rf_chain_option *o = rf_chain_option_of(c, i, k);
            common = scale_divisor(common, o->saved);
            common = scale_divisor(common, o->forward_workspace);
            common = scale_divisor(common, o->backward_workspace);
        }
    }
    return common;
}

double rf_chain_longest(const rf_chain *c)
{
    double sum = 0;
    for (size_t i = 0; i < c->num_stages; i++) {
        double most = c->stages[i].forward;
        for (size_t k = 0; k < c->stages[i].num_options; k++) {
            const rf_chain_option *o = rf_chain_option_of(c, i, k);
            most = fmax(most, o->forward + o->backward);
        }
        sum += most;
    }
    return sum;
}

/* ---- rows ---- */

static void row_lower(float *restrict row, const float *restrict rest, const float *restrict own,
                      float time, size_t num)
{
#if defined(_OPENMP) && !defined(__clang__) /* clang does it by itself where it optimises */
#pragma omp simd
#endif
    for (size_t i = 0; i < num; i++) {
        float sum = time + rest[i] + own[i];
        row[i] = sum < row[i] ? sum : row[i];
    }
}

/* Piece by piece, without the pieces that cannot gain: rows never rise, so in a piece
 * none of the sums is less than the last, and no entry more than the first. */
void rf_chain_row_lower(float *row, const rf_chain_row_sum *sum, size_t num)
{
    for (size_t i = 0, piece = ROW_PIECE; i < num; i += piece) {
        piece = piece < num - i ? piece : num - i;
        float least = sum->time + sum->rest[i + piece - 1] + sum->own[i + piece - 1];
        if (least < row[i])
            row_lower(row + i, sum->rest + i, sum->own + i, sum->time, piece);
    }
}
