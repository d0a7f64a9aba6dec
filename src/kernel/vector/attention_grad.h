/* attention_grad.h: the gradient of attention.h, tile by tile in the same form.
 *
 * p = exp(scale q k' - lse), dv = p' do, dp = do v', ds = p (dp - sum(do o)) scale, dq = ds k,
 * dk = ds' q (Dao et al. 2022, algorithm 4). For each tile of queries all tiles of keys below the
 * diagonal; dk and dv grow where they will stay, beginning with the tile on the diagonal.
 */
#ifndef RF_KERNEL_VECTOR_ATTENTION_GRAD_H
#define RF_KERNEL_VECTOR_ATTENTION_GRAD_H

#include "kernel/vector/attention.h"

#define RF_ATTENTION_SQUARE 64 /* queries and keys of a tile */

typedef struct vec_attention_back {
    float *q, *g, *dq;      /* panels of (d, RF_TILE_COLS); g is do */
    float *q_rows, *g_rows; /* (64, wide): padded to whole tiles */
    float *k_rows, *v_rows; /* (64 keys, d) */
    float *p, *ds;          /* (64 keys, 64 queries) */
    float *lse, *along;     /* (64): along is sum(do o) */
    int64_t wide;
    vec_head k, v, dk, dv;
} vec_attention_back;

static size_t vec_attention_grad_bytes(const rf_view *q)
{
    const int64_t tile = RF_ATTENTION_SQUARE, d = q->shape.dims[3];
    int64_t wide = vec_round_up(d, RF_TILE_COLS);
    return (size_t)((5 * d + 2 * wide + 2 * tile + 2) * tile) * sizeof(float);
}

static size_t vec_attention_grad_workspace(size_t threads, const rf_view *q)
{
    if (!vec_attention_fits(&q, 1))
        return 0;
    return threads * vec_attention_grad_bytes(q);
}

/* p' and ds' of RF_TILE_COLS columns. */
static void vec_attention_slopes(const vec_attention_job *a, const vec_attention_tile *t,
                                 const vec_attention_back *w, int64_t keys, int64_t col)
{
    vec scale = vec_all(a->scale);
    for (int64_t c = col; c < col + RF_TILE_COLS; c += RF_LANES) {
        vec lse = vec_load(w->lse + c), along = vec_load(w->along + c);
        int masked = t->j0 + keys > t->i0 + c + 1;
        for (int64_t j = 0; j < keys; j++) {
            int64_t at = j * RF_ATTENTION_SQUARE + c;
            vec s = vec_fma(vec_load(w->p + at), scale, -lse);
            if (masked)
                s = vec_attention_mask(s, t->j0 + j - t->i0, c);
            vec p = vec_exp_negative(s);
            vec_store(w->p + at, p);
            vec_store(w->ds + at, p * (vec_load(w->ds + at) - along) * scale);
        }
    }
}

/* A tile of `rows` by `cols` at the edge: computed whole, kept in part. */
static void vec_attention_edge(vec_operands x, int64_t k, int64_t rows, int64_t cols, int add)
{
    float some[RF_ATTENTION_ROWS * RF_TILE_COLS], *c = x.c;
    int64_t c_row = x.c_row;
    x.c = some;
    x.c_row = RF_TILE_COLS;
    vec_tile(RF_ATTENTION_ROWS, k, x, 0);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t n = 0; n < cols; n++)
            c[r * c_row + n] = some[r * RF_TILE_COLS + n] + (add ? c[r * c_row + n] : 0);
}

/* c (keys, d) = (add ? c : 0) + a (keys, queries) b (queries, wide). On the diagonal, queries
 * before the first key of a block of rows are left out. */
static void vec_attention_rows(const vec_attention_job *job, const vec_attention_tile *t,
                               const float *a, const float *b, vec_head c)
{
    const int64_t tile = RF_ATTENTION_SQUARE, wide = vec_round_up(job->d, RF_TILE_COLS);
    int diagonal = t->i0 == t->j0;
    for (int64_t x = 0; x < job->d; x += RF_TILE_COLS)
        for (int64_t j = 0; j < t->nj; j += RF_ATTENTION_ROWS) {
            int64_t rows = vec_smaller(RF_ATTENTION_ROWS, t->nj - j), first = diagonal ? j : 0;
            int64_t cols = vec_smaller(RF_TILE_COLS, job->d - x);
            vec_operands o = {a + j * tile + first,
                              tile,
                              1,
                              b + first * wide + x,
                              wide,
                              c.data + (t->j0 + j) * c.row + x,
                              c.row};
            if (rows < RF_ATTENTION_ROWS || cols < RF_TILE_COLS)
                vec_attention_edge(o, t->ni - first, rows, cols, !diagonal);
            else
                vec_tile(RF_ATTENTION_ROWS, t->ni - first, o, !diagonal);
        }
}

static void vec_attention_grad_tile(const vec_attention_job *a, const vec_attention_tile *t,
                                    const vec_attention_back *w)
{
    const int64_t tile = RF_ATTENTION_SQUARE, step = RF_TILE_COLS;
    for (int64_t col = 0; col < t->ni; col += RF_TILE_COLS) {
        int64_t keys = vec_attention_keys(t, col), at = vec_panel_at(col, a->d);
        const vec_operands s = {w->k_rows, a->d, 1, w->q + at, step, w->p + col, tile};
        const vec_operands dp = {w->v_rows, a->d, 1, w->g + at, step, w->ds + col, tile};
        const vec_operands dq = {w->k_rows, 1, a->d, w->ds + col, tile, w->dq + at, step};
        vec_attention_product(keys, a->d, &s, 0);
        vec_attention_product(keys, a->d, &dp, 0);
        vec_attention_slopes(a, t, w, keys, col);
        vec_attention_product(a->d, keys, &dq, t->j0 > 0);
    }
    vec_attention_rows(a, t, w->p, w->g_rows, w->dv);
    vec_attention_rows(a, t, w->ds, w->q_rows, w->dk);
}

/* lse and sum(do o) of a tile's queries. */
static void vec_attention_along(const vec_attention_job *a, const vec_attention_tile *t,
                                int64_t head, const vec_attention_back *w)
{
    vec_head g = vec_head_of(a->in[0], head), o = vec_head_of(a->in[4], head);
    for (int64_t i = 0; i < RF_ATTENTION_SQUARE; i++) {
        int64_t at = t->i0 + i;
        w->lse[i] = w->along[i] = 0;
        if (i >= t->ni)
            continue;
        w->lse[i] = a->lse[head * a->t + at];
        w->along[i] = vec_row_dot(g.data + at * g.row, o.data + at * o.row, a->d, 0);
    }
}

static void vec_attention_grad_head(const vec_attention_job *a, int64_t head, vec_attention_back *w)
{
    vec_head g = vec_head_of(a->in[0], head), q = vec_head_of(a->in[1], head);
    vec_attention_tile t;
    w->k = vec_head_of(a->in[2], head);
    w->v = vec_head_of(a->in[3], head);
    w->dk = vec_head_of(a->out[1], head);
    w->dv = vec_head_of(a->out[2], head);
    for (t.i0 = 0; t.i0 < a->t; t.i0 += RF_ATTENTION_SQUARE) {
        t.ni = vec_smaller(RF_ATTENTION_SQUARE, a->t - t.i0);
        vec_attention_turn(q, t.i0, t.ni, a->d, w->q);
        vec_attention_turn(g, t.i0, t.ni, a->d, w->g);
        vec_attention_copy(q, t.i0, t.ni, a->d, w->wide, w->q_rows);
        vec_attention_copy(g, t.i0, t.ni, a->d, w->wide, w->g_rows);
        vec_attention_along(a, &t, head, w);
        for (t.j0 = 0; t.j0 <= t.i0; t.j0 += RF_ATTENTION_SQUARE) {
            t.nj = vec_smaller(RF_ATTENTION_SQUARE, a->t - t.j0);
            vec_attention_copy(w->k, t.j0, t.nj, a->d, a->d, w->k_rows);
            vec_attention_copy(w->v, t.j0, t.nj, a->d, a->d, w->v_rows);
            vec_attention_grad_tile(a, &t, w);
        }
        vec_attention_turn_back(w->dq, t.ni, a->d, vec_head_of(a->out[0], head), t.i0);
    }
}

static void vec_attention_grad_part(const void *job, int64_t part)
{
    const vec_attention_job *a = job;
    const int64_t tile = RF_ATTENTION_SQUARE, strip = a->d * tile;
    vec_attention_back w = {.q = (float *)(void *)(a->workspace + (size_t)part * a->bytes)};
    w.wide = vec_round_up(a->d, RF_TILE_COLS);
    w.g = w.q + strip;
    w.dq = w.g + strip;
    w.k_rows = w.dq + strip;
    w.v_rows = w.k_rows + strip;
    w.p = w.v_rows + strip;
    w.ds = w.p + tile * tile;
    w.lse = w.ds + tile * tile;
    w.along = w.lse + tile;
    w.q_rows = w.along + tile;
    w.g_rows = w.q_rows + tile * w.wide;
    int64_t lo, hi;
    vec_share(a->heads, a->parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        vec_attention_grad_head(a, lo, &w);
}

static rf_status vec_attention_grad(const rf_exec *e, double scale, const rf_view *const in[6],
                                    const rf_view *const out[3])
{
    if (!vec_attention_fits(in, 5) || !vec_plain(in + 5, 1) || !vec_attention_fits(out, 3))
        return rf_reference_attention_grad(e, scale, in, out);
    vec_attention_job a = vec_attention_job_of(e, scale, in[1], vec_attention_grad_bytes(in[1]));
    for (int i = 0; i < 6; i++)
        a.in[i] = in[i];
    for (int i = 0; i < 3; i++)
        a.out[i] = out[i];
    a.lse = in[5]->data;
    vec_run(e, a.parts, vec_attention_grad_part, &a);
    return RF_OK;
}

#endif
