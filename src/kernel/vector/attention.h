/* attention.h: causal attention by tiles of queries and keys, and what its gradient shares.
 *
 * Everything is kept transposed, queries along the lanes: s' (keys, queries) = k q'. Queries stand
 * in panels of RF_TILE_COLS, each (D, RF_TILE_COLS) without gaps; keys and values are read one
 * element at a time, from a copy of the tile without gaps, since rows of one head lie at distances
 * that fall into few sets of a cache. The softmax then runs down the columns of s', without a
 * horizontal sum, and o' (D, queries) = v' p'. The running largest score and sum follow Milakov and
 * Gimelshein 2018; Dao et al. 2022. Tiles above the diagonal are not computed, nor blocks of
 * columns above it in the tiles that it crosses. One (batch, head) is one thread's: no bit depends
 * on threads.
 */
#ifndef RF_KERNEL_VECTOR_ATTENTION_H
#define RF_KERNEL_VECTOR_ATTENTION_H

#include "kernel/vector/gemm.h"
#include "kernel/vector/math.h"
#include "kernel/vector/softmax.h"

#define RF_ATTENTION_KEYS  64  /* of a tile */
#define RF_ATTENTION_BATCH 128 /* queries of a tile, forward */
#if RF_LANES == 16
#define RF_ATTENTION_ROWS 8
#else
#define RF_ATTENTION_ROWS 4
#endif

/* One tensor's rows (t, d) of one batch and head. */
typedef struct vec_head {
    float *data;
    int64_t row;
} vec_head;

typedef struct vec_attention_job {
    int64_t heads, t, d, parts;
    float scale;
    const rf_view *in[6], *out[3]; /* as the entries have them */
    float *lse;
    char *workspace;
    size_t bytes;
} vec_attention_job;

/* The tile at hand: queries from i0 on, keys from j0 on. */
typedef struct vec_attention_tile {
    int64_t i0, ni, j0, nj;
} vec_attention_tile;

static int vec_attention_fits(const rf_view *const *views, int count)
{
    for (int i = 0; i < count; i++) {
        const rf_view *v = views[i];
        if (v->shape.dtype != RF_F32 || (v->strides[3] != 1 && v->shape.dims[3] != 1))
            return 0;
    }
    return 1;
}

static vec_head vec_head_of(const rf_view *v, int64_t head)
{
    int64_t b = head / v->shape.dims[1], h = head % v->shape.dims[1];
    return (vec_head){(float *)v->data + b * v->strides[0] + h * v->strides[1], v->strides[2]};
}

/* How many keys of a tile some query among columns [col, col + RF_TILE_COLS) sees. */
static int64_t vec_attention_keys(const vec_attention_tile *t, int64_t col)
{
    int64_t keys = vec_smaller(t->nj, t->i0 + col + RF_TILE_COLS - t->j0);
    return keys < 0 ? 0 : keys;
}

/* c (rows, RF_TILE_COLS) = (add ? c : 0) + a (rows, k) b (k, RF_TILE_COLS) */
static void vec_attention_product(int64_t rows, int64_t k, const vec_operands *all, int add)
{
    vec_operands x = *all;
    int64_t i = 0;
    for (; i + RF_ATTENTION_ROWS <= rows; i += RF_ATTENTION_ROWS) {
        vec_tile(RF_ATTENTION_ROWS, k, x, add);
        x.a += RF_ATTENTION_ROWS * x.row;
        x.c += RF_ATTENTION_ROWS * x.c_row;
    }
    for (; i < rows; i++) {
        vec_tile(1, k, x, add);
        x.a += x.row;
        x.c += x.c_row;
    }
}

/* Where column col of x' begins: in its panel of (d, RF_TILE_COLS). */
RF_INLINE int64_t vec_panel_at(int64_t col, int64_t d)
{
    return col / RF_TILE_COLS * RF_TILE_COLS * d + col % RF_TILE_COLS;
}

/* x' in panels, of rows [i0, i0 + n), zeros behind up to a whole panel. */
static void vec_attention_turn(vec_head x, int64_t i0, int64_t n, int64_t d, float *to)
{
    for (int64_t i = 0; i < vec_round_up(n, RF_TILE_COLS); i += RF_LANES) {
        int64_t rows = n - i < 0 ? 0 : vec_smaller(n - i, RF_LANES);
        vec_transpose_strip(x.data + (i0 + (rows ? i : 0)) * x.row, x.row, rows, d,
                            to + vec_panel_at(i, d), RF_TILE_COLS, RF_LANES);
    }
}

/* Rows [i0, i0 + n) of x from x'. */
static void vec_attention_turn_back(const float *from, int64_t n, int64_t d, vec_head x, int64_t i0)
{
    for (int64_t i = 0; i < n; i += RF_LANES)
        for (int64_t j = 0; j < d; j += RF_LANES) {
            int64_t cols = vec_smaller(d - j, RF_LANES), rows = vec_smaller(n - i, RF_LANES);
            const float *at = from + vec_panel_at(i, d) + j * RF_TILE_COLS;
            vec s[RF_LANES];
            for (int64_t r = 0; r < RF_LANES; r++)
                s[r] = r < cols ? vec_load(at + r * RF_TILE_COLS) : (vec){0};
            vec_transpose_square(s);
            for (int64_t r = 0; r < rows; r++)
                vec_store_part(x.data + (i0 + i + r) * x.row + j, cols, s[r]);
        }
}

/* Rows [i0, i0 + n) of x without gaps, each padded to `wide` with zeros. */
static void vec_attention_copy(vec_head x, int64_t i0, int64_t n, int64_t d, int64_t wide,
                               float *to)
{
    for (int64_t i = 0; i < n; i++, to += wide) {
        const float *from = x.data + (i0 + i) * x.row;
        int64_t j = 0;
        for (; j + RF_LANES <= d; j += RF_LANES)
            vec_store(to + j, vec_load(from + j));
        if (j < d)
            vec_store_part(to + j, d - j, vec_load_part(from + j, d - j, 0));
        memset(to + d, 0, (size_t)(wide - d) * sizeof(float));
    }
}

/* -infinity where a key comes after the query: key is the key's number from the tile's first query
 * (negative before it), col the column of lane 0. */
RF_INLINE vec vec_attention_mask(vec s, int64_t key, int64_t col)
{
    vec_int lane;
    for (int i = 0; i < RF_LANES; i++)
        lane[i] = i;
    return vec_pick(lane + (int32_t)col >= (int32_t)key, s, vec_all(-INFINITY));
}

/* ---- forward ---- */

typedef struct vec_attention_work {
    float *q, *o;              /* panels of (d, RF_TILE_COLS) */
    float *k, *v;              /* (keys, d) */
    float *s;                  /* (keys, RF_TILE_COLS): one panel's scores */
    float *top, *sum, *shrink; /* of each query: largest score, sum, what both shrink by */
} vec_attention_work;

static size_t vec_attention_bytes(const rf_view *q)
{
    const int64_t keys = RF_ATTENTION_KEYS, batch = RF_ATTENTION_BATCH, d = q->shape.dims[3];
    return (size_t)(2 * d * (batch + keys) + keys * RF_TILE_COLS + 3 * batch) * sizeof(float);
}

static size_t vec_attention_workspace(size_t threads, const rf_view *q)
{
    if (!vec_attention_fits(&q, 1))
        return 0;
    return threads * vec_attention_bytes(q);
}

/* RF_LANES columns of s', column c of the panel and col of the tile: scores to exponentials, and
 * the running largest and sum. */
static void vec_attention_column(const vec_attention_tile *t, const vec_attention_work *w,
                                 int64_t keys, int64_t col, float scale)
{
    float *s = w->s + col % RF_TILE_COLS;
    vec old = vec_load(w->top + col), top = old, also = old, sum = {0};
    int masked = t->j0 + keys > t->i0 + col + 1;
    for (int64_t j = 0; j < keys; j++) {
        vec x = vec_load(s + j * RF_TILE_COLS) * scale;
        if (masked)
            x = vec_attention_mask(x, t->j0 + j - t->i0, col);
        vec_store(s + j * RF_TILE_COLS, x);
        if (j & 1)
            also = vec_max(also, x);
        else
            top = vec_max(top, x);
    }
    top = vec_max(top, also);
    for (int64_t j = 0; j < keys; j++) {
        vec p = vec_exp_negative(vec_load(s + j * RF_TILE_COLS) - top);
        vec_store(s + j * RF_TILE_COLS, p);
        sum += p;
    }
    vec shrink = vec_exp_negative(old - top);
    vec_store(w->top + col, top);
    vec_store(w->shrink + col, shrink);
    vec_store(w->sum + col, vec_fma(vec_load(w->sum + col), shrink, sum));
}

/* A panel of o' times a factor for each column. */
static void vec_attention_scale(float *o, int64_t d, const float *factors)
{
    vec f[RF_TILE_VECS];
    for (int v = 0; v < RF_TILE_VECS; v++)
        f[v] = vec_load(factors + v * RF_LANES);
    for (int64_t x = 0; x < d; x++)
        for (int v = 0; v < RF_TILE_VECS; v++) {
            float *at = o + x * RF_TILE_COLS + v * RF_LANES;
            vec_store(at, vec_load(at) * f[v]);
        }
}

static void vec_attention_forward_tile(const vec_attention_job *a, const vec_attention_tile *t,
                                       const vec_attention_work *w)
{
    for (int64_t col = 0; col < t->ni; col += RF_TILE_COLS) {
        int64_t keys = vec_attention_keys(t, col), at = vec_panel_at(col, a->d);
        const vec_operands scores = {w->k, a->d, 1, w->q + at, RF_TILE_COLS, w->s, RF_TILE_COLS};
        const vec_operands values = {w->v, 1, a->d, w->s, RF_TILE_COLS, w->o + at, RF_TILE_COLS};
        if (!keys)
            continue;
        vec_attention_product(keys, a->d, &scores, 0);
        for (int64_t c = col; c < col + RF_TILE_COLS; c += RF_LANES)
            vec_attention_column(t, w, keys, c, a->scale);
        if (t->j0)
            vec_attention_scale(w->o + at, a->d, w->shrink + col);
        vec_attention_product(a->d, keys, &values, t->j0 > 0);
    }
}

/* o = o' / sum, lse = top + log(sum) */
static void vec_attention_finish(const vec_attention_job *a, const vec_attention_tile *t,
                                 const vec_attention_work *w, vec_head o, float *lse)
{
    for (int64_t c = 0; c < vec_round_up(t->ni, RF_TILE_COLS); c += RF_LANES) {
        vec sum = vec_load(w->sum + c);
        if (c < t->ni)
            vec_store_part(lse + t->i0 + c, vec_smaller(RF_LANES, t->ni - c),
                           vec_load(w->top + c) + vec_log(sum));
        vec_store(w->shrink + c, 1.0f / sum);
    }
    for (int64_t c = 0; c < t->ni; c += RF_TILE_COLS)
        vec_attention_scale(w->o + vec_panel_at(c, a->d), a->d, w->shrink + c);
    vec_attention_turn_back(w->o, t->ni, a->d, o, t->i0);
}

static void vec_attention_head(const vec_attention_job *a, int64_t head,
                               const vec_attention_work *w)
{
    vec_head q = vec_head_of(a->in[0], head), k = vec_head_of(a->in[1], head);
    vec_head v = vec_head_of(a->in[2], head), o = vec_head_of(a->out[0], head);
    vec_attention_tile t;
    for (t.i0 = 0; t.i0 < a->t; t.i0 += RF_ATTENTION_BATCH) {
        t.ni = vec_smaller(RF_ATTENTION_BATCH, a->t - t.i0);
        vec_attention_turn(q, t.i0, t.ni, a->d, w->q);
        for (int i = 0; i < RF_ATTENTION_BATCH; i++) {
            w->top[i] = -INFINITY;
            w->sum[i] = 0;
        }
        for (t.j0 = 0; t.j0 < t.i0 + t.ni; t.j0 += RF_ATTENTION_KEYS) {
            t.nj = vec_smaller(RF_ATTENTION_KEYS, a->t - t.j0);
            vec_attention_copy(k, t.j0, t.nj, a->d, a->d, w->k);
            vec_attention_copy(v, t.j0, t.nj, a->d, a->d, w->v);
            vec_attention_forward_tile(a, &t, w);
        }
        vec_attention_finish(a, &t, w, o, a->lse + head * a->t);
    }
}

static void vec_attention_part(const void *job, int64_t part)
{
    const vec_attention_job *a = job;
    vec_attention_work w = {.q = (float *)(void *)(a->workspace + (size_t)part * a->bytes)};
    w.o = w.q + a->d * RF_ATTENTION_BATCH;
    w.k = w.o + a->d * RF_ATTENTION_BATCH;
    w.v = w.k + a->d * RF_ATTENTION_KEYS;
    w.s = w.v + a->d * RF_ATTENTION_KEYS;
    w.top = w.s + RF_ATTENTION_KEYS * RF_TILE_COLS;
    w.sum = w.top + RF_ATTENTION_BATCH;
    w.shrink = w.sum + RF_ATTENTION_BATCH;
    int64_t lo, hi;
    vec_share(a->heads, a->parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        vec_attention_head(a, lo, &w);
}

static vec_attention_job vec_attention_job_of(const rf_exec *e, double scale, const rf_view *q,
                                              size_t bytes)
{
    const int64_t *dims = q->shape.dims;
    vec_attention_job a = {.heads = dims[0] * dims[1], .t = dims[2], .d = dims[3], .bytes = bytes};
    a.parts = vec_smaller(a.heads, (int64_t)e->threads);
    a.scale = (float)scale;
    a.workspace = e->workspace;
    if (!a.t || !a.d)
        a.parts = 0;
    return a;
}

static rf_status vec_attention(const rf_exec *e, double scale, const rf_view *const in[3],
                               const rf_view *o, const rf_view *lse)
{
    const rf_view *const views[] = {in[0], in[1], in[2], o};
    if (!vec_attention_fits(views, 4) || !vec_plain(&lse, 1))
        return rf_reference_attention(e, scale, in, o, lse);
    vec_attention_job a = vec_attention_job_of(e, scale, in[0], vec_attention_bytes(in[0]));
    for (int i = 0; i < 3; i++)
        a.in[i] = in[i];
    a.out[0] = o;
    a.lse = lse->data;
    vec_run(e, a.parts, vec_attention_part, &a);
    return RF_OK;
}

#endif
