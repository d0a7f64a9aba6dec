/* batch_norm.c: normalising each channel over everything else, and the gradient.
 *   h = (x - mean) r, r = 1 / sqrt(var + eps), y = h gain + bias
 *   dx = gain r (g - mean(g) - h mean(g h)), dgain = sum of g h, dbias = sum of g
 * (Ioffe and Szegedy 2015). A channel is one thread's; its sums run in f64 over the images in
 * order, so the bits depend on the shapes alone.
 */
#include "kernel/parts.h"
#include "kernel/reference.h"
#include "kernel/window.h"

#include <math.h>

typedef struct batch_job {
    const rf_view *x, *g; /* (N, C, ...)                              */
    const rf_view *to;    /* y, or dx (NULL: not wanted)              */
    const rf_view *gain, *bias, *mean, *var, *dgain, *dbias;
    double eps;
    int64_t images, channels, each; /* N, C, the product of the rest */
    int64_t parts;
    void (*channel)(const struct batch_job *job, int64_t channel);
} batch_job;

/* Sums run in eight lanes that are added in order. */
enum { BATCH_LANES = 8, BATCH_ROW = 512 };

/* n <= BATCH_ROW elements of any type as doubles. */
static void batch_read(const rf_view *v, int64_t at, int64_t n, double *to)
{
    if (v->shape.dtype == RF_F32) {
        const float *from = (const float *)v->data + at;
        for (int64_t i = 0; i < n; i++)
            to[i] = from[i];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        to[i] = rf_element_get(v, at + i);
}

static void batch_write(const rf_view *v, int64_t at, int64_t n, const double *from)
{
    if (v->shape.dtype == RF_F32) {
        float *to = (float *)v->data + at;
        for (int64_t i = 0; i < n; i++)
            to[i] = (float)from[i];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        rf_element_set(v, at + i, from[i]);
}

/* The sum of a[i] b[i] over a row. */
static double batch_dot(const double *a, const double *b, int64_t n)
{
    double lane[BATCH_LANES] = {0}, total = 0;
    int64_t i = 0;
    for (; i + BATCH_LANES <= n; i += BATCH_LANES)
        for (int k = 0; k < BATCH_LANES; k++)
            lane[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        lane[0] += a[i] * b[i];
    for (int k = 0; k < BATCH_LANES; k++)
        total += lane[k];
    return total;
}

static double batch_total(const double *a, int64_t n)
{
    double lane[BATCH_LANES] = {0}, total = 0;
    int64_t i = 0;
    for (; i + BATCH_LANES <= n; i += BATCH_LANES)
        for (int k = 0; k < BATCH_LANES; k++)
            lane[k] += a[i + k];
    for (; i < n; i++)
        lane[0] += a[i];
    for (int k = 0; k < BATCH_LANES; k++)
        total += lane[k];
    return total;
}

/* A walk over a channel in rows of at most BATCH_ROW elements: at and n are the row's. */
typedef struct batch_walk {
    int64_t image, done, at, n;
} batch_walk;

static int batch_next(const batch_job *job, int64_t channel, batch_walk *w)
{
    if (w->done == job->each) {
        w->done = 0;
        w->image++;
    }
    if (w->image >= job->images || !job->each)
        return 0;
    w->at = (w->image * job->channels + channel) * job->each + w->done;
    w->n = job->each - w->done < BATCH_ROW ? job->each - w->done : BATCH_ROW;
    w->done += w->n;
    return 1;
}

static double batch_moment(const batch_job *job, int64_t channel, double shift, int squared)
{
    double row[BATCH_ROW], total = 0;
    for (batch_walk w = {0}; batch_next(job, channel, &w);) {
        batch_read(job->x, w.at, w.n, row);
        for (int64_t i = 0; i < w.n && squared; i++)
            row[i] -= shift;
        total += squared ? batch_dot(row, row, w.n) : batch_total(row, w.n);
    }
    return total / ((double)job->images * (double)job->each);
}

static double batch_get(const rf_view *v, int64_t channel, double otherwise)
{
    return v ? rf_element_get(v, channel) : otherwise;
}

static void batch_norm_channel(const batch_job *job, int64_t channel)
{
    rf_element_set(job->mean, channel, batch_moment(job, channel, 0, 0));
    double mean = rf_element_get(job->mean, channel);
    rf_element_set(job->var, channel, batch_moment(job, channel, mean, 1));
    double rstd = 1 / sqrt(rf_element_get(job->var, channel) + job->eps), row[BATCH_ROW];
    double gain = batch_get(job->gain, channel, 1), bias = batch_get(job->bias, channel, 0);
    for (batch_walk w = {0}; batch_next(job, channel, &w);) {
        batch_read(job->x, w.at, w.n, row);
        for (int64_t i = 0; i < w.n; i++)
            row[i] = (row[i] - mean) * rstd * gain + bias;
        batch_write(job->to, w.at, w.n, row);
    }
}

static void batch_grad_channel(const batch_job *job, int64_t channel)
{
    double x[BATCH_ROW], g[BATCH_ROW], along = 0, sum = 0;
    double mean = rf_element_get(job->mean, channel), gain = batch_get(job->gain, channel, 1);
    double rstd = 1 / sqrt(rf_element_get(job->var, channel) + job->eps);
    double count = (double)job->images * (double)job->each;
    for (batch_walk w = {0}; batch_next(job, channel, &w);) {
        batch_read(job->x, w.at, w.n, x);
        batch_read(job->g, w.at, w.n, g);
        for (int64_t i = 0; i < w.n; i++)
            x[i] = (x[i] - mean) * rstd;
        along += batch_dot(g, x, w.n);
        sum += batch_total(g, w.n);
    }
    if (job->dgain)
        rf_element_set(job->dgain, channel, along);
    if (job->dbias)
        rf_element_set(job->dbias, channel, sum);
    for (batch_walk w = {0}; job->to && batch_next(job, channel, &w);) {
        batch_read(job->x, w.at, w.n, x);
        batch_read(job->g, w.at, w.n, g);
        for (int64_t i = 0; i < w.n; i++)
            g[i] = gain * rstd * (g[i] - sum / count - (x[i] - mean) * rstd * (along / count));
        batch_write(job->to, w.at, w.n, g);
    }
}

static void batch_part(const void *work, int64_t part)
{
    const batch_job *job = work;
    int64_t lo, hi;
    rf_parts_share(job->channels, job->parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        job->channel(job, lo);
}

static rf_status batch_run(const rf_exec *e, batch_job *job)
{
    job->images = job->x->shape.dims[0];
    job->channels = job->x->shape.dims[1];
    job->each = 1;
    for (unsigned i = 2; i < job->x->shape.rank; i++)
        job->each *= job->x->shape.dims[i];
    job->parts = rf_parts_for(e, job->channels, job->images * job->each);
    rf_parts_run(e->threads, job->parts, batch_part, job);
    return RF_OK;
}

rf_status rf_batch_normalize(const rf_exec *e, double eps, const rf_view *const in[3],
                             const rf_view *const out[3])
{
    batch_job job = {.x = in[0],
                     .gain = in[1],
                     .bias = in[2],
                     .to = out[0],
                     .mean = out[1],
                     .var = out[2],
                     .eps = eps,
                     .channel = batch_norm_channel};
    return batch_run(e, &job);
}

rf_status rf_batch_normalize_grad(const rf_exec *e, double eps, const rf_view *const in[5],
                                  const rf_view *const out[3])
{
    batch_job job = {.g = in[0],
                     .x = in[1],
                     .gain = in[2],
                     .mean = in[3],
                     .var = in[4],
                     .to = out[0],
                     .dgain = out[1],
                     .dbias = out[2],
                     .eps = eps,
                     .channel = batch_grad_channel};
    return batch_run(e, &job);
}
