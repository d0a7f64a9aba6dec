/* batch_norm.h: normalising each channel over everything else, and the gradient. f32 here.
 *   y = (x - mean) scale + bias, scale = gain rstd, rstd = 1 / sqrt(var + eps)
 *   dx = scale (g - mean(g) - (x - mean) rstd^2 mean(g (x - mean)))
 *   dgain = rstd sum of g (x - mean), dbias = sum of g
 * (Ioffe and Szegedy 2015). A channel is one thread's, so that it stays in that one's cache from
 * pass to pass, and goes by in blocks: f32 sums inside of one, f64 over them in order. The bits
 * depend on the shapes alone.
 */
#ifndef RF_KERNEL_VECTOR_BATCH_NORM_H
#define RF_KERNEL_VECTOR_BATCH_NORM_H

#include "kernel/vector/norm.h"
#include "kernel/window.h"

#define RF_BATCH_BLOCK 1024

typedef struct vec_batch {
    int64_t images, channels, each, parts; /* N, C, the product of the rest */
    double eps;
    const float *x, *g, *gain, *bias;
    float *to, *mean, *var, *dgain, *dbias; /* y or dx; NULL: not wanted */
} vec_batch;

/* A block of a channel: a piece of one image's plane, or the planes of some images where these are
 * shorter than a vector. */
typedef struct vec_batch_block {
    int64_t at, n, planes; /* where the first element is; elements, planes in all */
    int64_t image, done;
} vec_batch_block;

static int vec_batch_next(const vec_batch *b, int64_t channel, vec_batch_block *k)
{
    if (k->done == b->each || !b->each) {
        k->done = 0;
        k->image += k->planes;
    }
    if (k->image >= b->images || !b->each)
        return 0;
    k->at = (k->image * b->channels + channel) * b->each + k->done;
    k->planes = 1;
    k->n = vec_smaller(b->each - k->done, RF_BATCH_BLOCK);
    k->done += k->n;
    if (b->each < RF_LANES) {
        k->planes = vec_smaller(b->images - k->image, RF_BATCH_BLOCK / b->each);
        k->n = k->planes * b->each;
    }
    return 1;
}

/* The block's elements side by side: where they are, or in buffer. */
static const float *vec_batch_fetch(const vec_batch *b, const vec_batch_block *k, const float *x,
                                    float *buffer)
{
    if (k->planes == 1)
        return x + k->at;
    for (int64_t i = 0; i < k->planes; i++)
        for (int64_t j = 0; j < b->each; j++)
            buffer[i * b->each + j] = x[k->at + i * b->channels * b->each + j];
    return buffer;
}

static float *vec_batch_place(const vec_batch *b, const vec_batch_block *k, float *buffer)
{
    return k->planes == 1 ? b->to + k->at : buffer;
}

static void vec_batch_deliver(const vec_batch *b, const vec_batch_block *k, const float *buffer)
{
    for (int64_t i = 0; i < k->planes && k->planes > 1; i++)
        for (int64_t j = 0; j < b->each; j++)
            b->to[k->at + i * b->channels * b->each + j] = buffer[i * b->each + j];
}

static double vec_batch_moment(const vec_batch *b, int64_t channel, float shift, int squared)
{
    float buffer[RF_BATCH_BLOCK];
    double total = 0;
    for (vec_batch_block k = {.planes = 0}; vec_batch_next(b, channel, &k);)
        total += (double)vec_row_moment(vec_batch_fetch(b, &k, b->x, buffer), k.n, shift, squared);
    return total / ((double)b->images * (double)b->each);
}

/* The scale of channel: its gain over the deviation, which is 1 / *rstd. */
static float vec_batch_scale(const vec_batch *b, int64_t channel, double *rstd)
{
    *rstd = 1 / sqrt((double)b->var[channel] + b->eps);
    return (float)(*rstd * (b->gain ? (double)b->gain[channel] : 1));
}

static void vec_batch_channel(const vec_batch *b, int64_t channel)
{
    float mean = (float)vec_batch_moment(b, channel, 0, 0), buffer[2][RF_BATCH_BLOCK];
    double rstd;
    b->mean[channel] = mean;
    b->var[channel] = (float)vec_batch_moment(b, channel, mean, 1);
    const vec scale = vec_all(vec_batch_scale(b, channel, &rstd));
    const vec bias = vec_all(b->bias ? b->bias[channel] : 0);
    for (vec_batch_block k = {.planes = 0}; vec_batch_next(b, channel, &k);) {
        const float *x = vec_batch_fetch(b, &k, b->x, buffer[0]);
        float *y = vec_batch_place(b, &k, buffer[1]);
        for (int64_t i = 0; i < k.n; i += RF_LANES) {
            int64_t n = vec_smaller(k.n - i, RF_LANES);
            vec_store_part(y + i, n, vec_fma(vec_load_part(x + i, n, mean) - mean, scale, bias));
        }
        vec_batch_deliver(b, &k, y);
    }
}

/* ---- the gradient ---- */

/* sums += of g, and of g (x - mean), over a block. */
static void vec_batch_gather(const float *g, const float *x, int64_t count, float mean,
                             double sums[2])
{
    vec sum[2] = {{0}}, along[2] = {{0}};
    for (int64_t i = 0; i < count; i += 2 * RF_LANES)
        for (int j = 0; j < 2; j++) {
            int64_t at = i + j * RF_LANES, n = vec_smaller(count - at, RF_LANES);
            if (n <= 0)
                break;
            vec gi = vec_load_part(g + at, n, 0);
            sum[j] += gi;
            along[j] = vec_fma(gi, vec_load_part(x + at, n, mean) - mean, along[j]);
        }
    sums[0] += (double)vec_total(sum[0] + sum[1]);
    sums[1] += (double)vec_total(along[0] + along[1]);
}

/* dx = (g - less) scale + (x - mean) slope */
static void vec_batch_spread(const vec_batch *b, int64_t channel, const float c[4])
{
    float buffer[3][RF_BATCH_BLOCK], mean = c[0], less = c[1], scale = c[2];
    const vec slope = vec_all(c[3]);
    for (vec_batch_block k = {.planes = 0}; vec_batch_next(b, channel, &k);) {
        const float *x = vec_batch_fetch(b, &k, b->x, buffer[0]);
        const float *g = vec_batch_fetch(b, &k, b->g, buffer[1]);
        float *dx = vec_batch_place(b, &k, buffer[2]);
        for (int64_t i = 0; i < k.n; i += RF_LANES) {
            int64_t n = vec_smaller(k.n - i, RF_LANES);
            vec d = (vec_load_part(g + i, n, 0) - less) * scale;
            vec_store_part(dx + i, n, vec_fma(vec_load_part(x + i, n, mean) - mean, slope, d));
        }
        vec_batch_deliver(b, &k, dx);
    }
}

static void vec_batch_grad_channel(const vec_batch *b, int64_t channel)
{
    float buffer[2][RF_BATCH_BLOCK], mean = b->mean[channel];
    double sums[2] = {0, 0}, rstd, count = (double)b->images * (double)b->each;
    float scale = vec_batch_scale(b, channel, &rstd);
    for (vec_batch_block k = {.planes = 0}; vec_batch_next(b, channel, &k);)
        vec_batch_gather(vec_batch_fetch(b, &k, b->g, buffer[0]),
                         vec_batch_fetch(b, &k, b->x, buffer[1]), k.n, mean, sums);
    if (b->dgain)
        b->dgain[channel] = (float)(rstd * sums[1]);
    if (b->dbias)
        b->dbias[channel] = (float)sums[0];
    double slope = -(double)scale * rstd * rstd * sums[1] / count;
    if (b->to)
        vec_batch_spread(b, channel,
                         (const float[]){mean, (float)(sums[0] / count), scale, (float)slope});
}

/* ---- all channels ---- */

static void vec_batch_part(const void *job, int64_t part)
{
    const vec_batch *b = job;
    int64_t lo, hi;
    vec_share(b->channels, b->parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        if (b->g)
            vec_batch_grad_channel(b, lo);
        else
            vec_batch_channel(b, lo);
}

static rf_status vec_batch_run(const rf_exec *e, vec_batch *b, const rf_view *x)
{
    b->images = x->shape.dims[0];
    b->channels = x->shape.dims[1];
    b->each = b->images && b->channels ? rf_shape_count(&x->shape) / (b->images * b->channels) : 0;
    b->parts = vec_parts(e, b->channels, b->images * b->each);
    vec_run(e, b->parts, vec_batch_part, b);
    return RF_OK;
}

static rf_status vec_batch_norm(const rf_exec *e, double eps, const rf_view *const in[3],
                                const rf_view *const out[3])
{
    if (!vec_plain(in, 3) || !vec_plain(out, 3))
        return rf_batch_normalize(e, eps, in, out);
    vec_batch b = {.eps = eps, .x = in[0]->data, .to = out[0]->data};
    b.gain = vec_data_in(in[1]);
    b.bias = vec_data_in(in[2]);
    b.mean = out[1]->data;
    b.var = out[2]->data;
    return vec_batch_run(e, &b, in[0]);
}

static rf_status vec_batch_norm_grad(const rf_exec *e, double eps, const rf_view *const in[5],
                                     const rf_view *const out[3])
{
    if (!vec_plain(in, 5) || !vec_plain(out, 3))
        return rf_batch_normalize_grad(e, eps, in, out);
    vec_batch b = {.eps = eps, .g = in[0]->data, .x = in[1]->data};
    b.gain = vec_data_in(in[2]);
    b.mean = in[3]->data;
    b.var = in[4]->data;
    b.to = vec_data_out(out[0]);
    b.dgain = vec_data_out(out[1]);
    b.dbias = vec_data_out(out[2]);
    return vec_batch_run(e, &b, in[1]);
}

#endif
