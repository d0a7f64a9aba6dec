/* dataset.c: batches out of a stream of tokens.
 *
 * The stream's training part is cut into samples of `context` tokens, from an offset that changes
 * every epoch, so that cuts do not always fall in the same places; the target of a token is the one
 * after it, so that a sample reads context + 1. Sample number g of a run (batch number times batch
 * size plus row) is sample g mod n of epoch g div n: no sample is dropped at the end of an epoch,
 * and the position in the data is one number, from which everything else follows.
 */
#include <refrain/data.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "data/shuffle.h"
#include "data/tokens.h"
#include "tensor/context.h"

#include <string.h>

enum { DATASET_SCAN = 64 * 1024 };

#define DATASET_MOST_TOKEN UINT64_C(0x7FFFFFFF) /* batches are of type i32 */

struct rf_dataset {
    rf_context *ctx;
    rf_dataset_options opts;
    rf_tokens tokens;
    uint64_t train, held_out; /* tokens                                           */
    uint64_t samples;         /* of an epoch                                      */
    uint64_t offsets;         /* the first sample of an epoch begins below this   */
    uint64_t position;        /* batches given                                    */
    uint64_t fingerprint;
    size_t raw_bytes, batch_bytes;
    unsigned char *raw;    /* (context + 1) tokens as in the files */
    int32_t *ids, *target; /* (batch, context)                     */
};

/* ---- opening ---- */

static rf_status dataset_check_options(rf_context *ctx, const rf_dataset_options *opts)
{
    if (!opts || opts->size != sizeof *opts)
        return rf_fail(ctx, RF_E_ARGUMENT, "data: options are required, of this library's size");
    if (opts->type > RF_TOKEN_U32)
        return rf_fail(ctx, RF_E_ARGUMENT, "data: no type of tokens %d", (int)opts->type);
    if (!opts->context || opts->context >= DATASET_MOST_TOKEN)
        return rf_fail(ctx, RF_E_ARGUMENT, "data: a context of %llu tokens; give at least 1",
                       (unsigned long long)opts->context);
    if (!(opts->held_out >= 0 && opts->held_out < 1))
        return rf_fail(ctx, RF_E_ARGUMENT, "data: the held-out share lies from 0 to below 1");
    return RF_OK;
}

static rf_status dataset_too_short(const rf_dataset *d, const char *path, const char *part,
                                   uint64_t tokens)
{
    return rf_fail(d->ctx, RF_E_ARGUMENT,
                   "%s%s: %s %llu tokens, and one sample needs %llu; give more data or a smaller "
                   "context",
                   path, d->tokens.num > 1 ? " and what follows it" : "", part,
                   (unsigned long long)tokens, (unsigned long long)d->opts.context + 1);
}

/* Divide the stream, and see that each part has a sample. */
static rf_status dataset_divide(rf_dataset *d, const char *path)
{
    uint64_t context = d->opts.context;
    d->held_out = (uint64_t)((double)d->tokens.total * d->opts.held_out);
    d->train = d->tokens.total - d->held_out;
    if (!d->tokens.total)
        return rf_fail(d->ctx, RF_E_ARGUMENT, "%s: no data: it is empty", path);
    if (d->train <= context)
        return dataset_too_short(d, path, d->held_out ? "the part for training has" : "it has",
                                 d->train);
    if (d->opts.held_out > 0 && d->held_out <= context)
        return dataset_too_short(d, path, "the held-out part has", d->held_out);
    /* From every offset below context there are (train - context) / context samples; if that is
     * none, there is one, from a smaller offset. */
    d->samples = (d->train - context) / context;
    d->offsets = context;
    if (!d->samples) {
        d->samples = 1;
        d->offsets = d->train - context;
    }
    return RF_OK;
}

static uint64_t dataset_token(const rf_dataset *d, const unsigned char *raw)
{
    return d->tokens.width == 1 ? *raw : d->tokens.width == 2 ? rf_get_u16(raw) : rf_get_u32(raw);
}

/* Are the tokens that lie at raw, the first of them at `first` in the stream, in the vocabulary? */
static rf_status dataset_check_tokens(const rf_dataset *d, const unsigned char *raw, uint64_t first,
                                      size_t num)
{
    uint64_t vocab = d->opts.vocab, byte;
    uint64_t most = vocab && vocab <= DATASET_MOST_TOKEN ? vocab - 1 : DATASET_MOST_TOKEN;
    if (d->tokens.width < 4 && most + 1 >= UINT64_C(1) << 8 * d->tokens.width)
        return RF_OK; /* no token of this type is past it */
    for (size_t i = 0; i < num; i++, raw += d->tokens.width)
        if (dataset_token(d, raw) > most) {
            const char *path = rf_tokens_where(&d->tokens, first + i, &byte);
            return rf_fail(d->ctx, RF_E_FORMAT,
                           "%s: the token %llu at byte %llu is past the vocabulary's last, %llu: "
                           "another vocabulary, or another type of tokens?",
                           path, (unsigned long long)dataset_token(d, raw),
                           (unsigned long long)byte, (unsigned long long)most);
        }
    return RF_OK;
}

/* Read all tokens once: are they in the vocabulary, and what is the hash of those for training? A
 * context that is dry for good doesn't ask for values, and may come by the dozen. */
static rf_status dataset_scan(rf_dataset *d, unsigned char *piece, rf_hasher *hasher)
{
    if (rf_context_dry(d->ctx))
        return RF_OK;
    for (uint64_t at = 0, num; at < d->tokens.total; at += num) {
        uint64_t part = at < d->train ? d->train : d->tokens.total;
        num = DATASET_SCAN / d->tokens.width;
        num = part - at < num ? part - at : num;
        rf_status status = rf_tokens_get(&d->tokens, at, (size_t)num, piece);
        if (!status)
            status = dataset_check_tokens(d, piece, at, (size_t)num);
        if (status)
            return status;
        if (at < d->train)
            rf_hasher_add(hasher, piece, (size_t)num * d->tokens.width);
    }
    return RF_OK;
}

static rf_status dataset_fingerprint(rf_dataset *d)
{
    rf_hasher hasher;
    uint64_t held_out;
    unsigned char *piece = rf_host_alloc(d->ctx, DATASET_SCAN);
    if (!piece)
        return rf_context_error(d->ctx)->code;
    rf_hasher_begin(&hasher, 0);
    rf_status status = dataset_scan(d, piece, &hasher);
    rf_host_free(d->ctx, piece, DATASET_SCAN);
    memcpy(&held_out, &d->opts.held_out, sizeof held_out);
    rf_hasher_add_u64(&hasher, d->opts.type);
    rf_hasher_add_u64(&hasher, held_out);
    rf_hasher_add_u64(&hasher, d->opts.context);
    rf_hasher_add_u64(&hasher, d->opts.batch);
    rf_hasher_add_u64(&hasher, d->opts.seed);
    d->fingerprint = rf_hasher_end(&hasher);
    return status;
}

static rf_status dataset_buffers(rf_dataset *d)
{
    d->raw_bytes = ((size_t)d->opts.context + 1) * d->tokens.width;
    if (d->opts.batch > INT64_MAX || !rf_mul_size((size_t)d->opts.context * sizeof *d->ids,
                                                  (size_t)d->opts.batch, &d->batch_bytes)) {
        d->batch_bytes = 0;
        return rf_fail(d->ctx, RF_E_ARGUMENT, "data: a batch of %llu samples is too large",
                       (unsigned long long)d->opts.batch);
    }
    d->raw = rf_host_alloc(d->ctx, d->raw_bytes);
    d->ids = d->raw ? rf_host_alloc(d->ctx, d->batch_bytes) : NULL;
    d->target = d->ids ? rf_host_alloc(d->ctx, d->batch_bytes) : NULL;
    return d->target ? RF_OK : rf_context_error(d->ctx)->code;
}

static rf_status dataset_fill(rf_dataset *d, const char *const *paths, size_t num)
{
    rf_status status = num ? RF_OK : rf_fail(d->ctx, RF_E_ARGUMENT, "data: no files are given");
    for (size_t i = 0; !status && i < num; i++)
        status = rf_tokens_add(&d->tokens, paths[i]);
    if (!status)
        status = dataset_divide(d, paths[0]);
    if (!status)
        status = dataset_buffers(d);
    return status ? status : dataset_fingerprint(d);
}

rf_status rf_dataset_open(rf_dataset **out, rf_context *ctx, const char *const *paths, size_t num,
                          const rf_dataset_options *opts)
{
    *out = NULL;
    rf_status status = dataset_check_options(ctx, opts);
    if (status)
        return status;
    rf_dataset *d = rf_host_alloc(ctx, sizeof *d);
    if (!d)
        return rf_context_error(ctx)->code;
    d->ctx = ctx;
    d->opts = *opts;
    d->opts.batch = opts->batch ? opts->batch : 1;
    rf_tokens_begin(&d->tokens, ctx, (size_t)1 << opts->type);
    status = dataset_fill(d, paths, num);
    if (status)
        rf_dataset_close(d);
    else
        *out = d;
    return status;
}

void rf_dataset_close(rf_dataset *data)
{
    if (!data)
        return;
    rf_host_free(data->ctx, data->target, data->batch_bytes);
    rf_host_free(data->ctx, data->ids, data->batch_bytes);
    rf_host_free(data->ctx, data->raw, data->raw_bytes);
    rf_tokens_end(&data->tokens);
    rf_host_free(data->ctx, data, sizeof *data);
}

/* ---- looking ---- */

uint64_t rf_dataset_tokens(const rf_dataset *data)
{
    return data->train;
}

uint64_t rf_dataset_held_out(const rf_dataset *data)
{
    return data->held_out;
}

uint64_t rf_dataset_batches(const rf_dataset *data)
{
    return (data->samples - 1) / data->opts.batch + 1;
}

uint64_t rf_dataset_position(const rf_dataset *data)
{
    return data->position;
}

void rf_dataset_set_position(rf_dataset *data, uint64_t position)
{
    data->position = position;
}

uint64_t rf_dataset_fingerprint(const rf_dataset *data)
{
    return data->fingerprint;
}

/* ---- batches ---- */

/* Row `row` of the batch is the sample that begins at token `first`. */
static rf_status dataset_row(rf_dataset *d, size_t row, uint64_t first)
{
    size_t context = (size_t)d->opts.context, width = d->tokens.width;
    int32_t *ids = d->ids + row * context, *target = d->target + row * context;
    rf_status status = rf_tokens_get(&d->tokens, first, context + 1, d->raw);
    for (size_t i = 0; !status && i < context; i++) {
        ids[i] = (int32_t)dataset_token(d, d->raw + i * width);
        target[i] = (int32_t)dataset_token(d, d->raw + (i + 1) * width);
    }
    return status;
}

static rf_status dataset_give(rf_dataset *d, rf_scope *s, size_t rows, rf_tensor **ids,
                              rf_tensor **targets)
{
    const int64_t dims[] = {(int64_t)rows, (int64_t)d->opts.context}; /* (B, T) */
    *ids = rf_tensor_copy_in(s, RF_I32, 2, dims, d->ids);
    *targets = *ids ? rf_tensor_copy_in(s, RF_I32, 2, dims, d->target) : NULL;
    if (*targets)
        return RF_OK;
    rf_release(s, *ids);
    *ids = NULL;
    return rf_scope_status(s);
}

static uint64_t dataset_sample_start(const rf_dataset *d, uint64_t number)
{
    uint64_t epoch = number / d->samples, index = number % d->samples;
    uint64_t key = rf_shuffle_mix(d->opts.seed, epoch);
    uint64_t offset = rf_shuffle_mix(key, 0) % d->offsets;
    return offset + rf_shuffle_at(key, d->samples, index) * d->opts.context;
}

rf_status rf_dataset_next(rf_dataset *data, rf_scope *s, rf_tensor **ids, rf_tensor **targets)
{
    *ids = *targets = NULL;
    for (uint64_t row = 0; row < data->opts.batch; row++) {
        uint64_t number = data->position * data->opts.batch + row;
        rf_status status = dataset_row(data, (size_t)row, dataset_sample_start(data, number));
        if (status)
            return status;
    }
    rf_status status = dataset_give(data, s, (size_t)data->opts.batch, ids, targets);
    data->position += !status && !rf_context_dry(rf_scope_context(s));
    return status;
}

rf_status rf_dataset_held_out_batch(rf_dataset *data, rf_scope *s, uint64_t index, rf_tensor **ids,
                                    rf_tensor **targets)
{
    uint64_t batch = data->opts.batch, context = data->opts.context;
    uint64_t samples = data->held_out ? (data->held_out - 1) / context : 0;
    *ids = *targets = NULL;
    if (index >= samples / batch + (samples % batch != 0))
        return rf_fail(data->ctx, RF_E_NOT_FOUND, "data: no batch %llu in the held-out part",
                       (unsigned long long)index);
    uint64_t first = index * batch, rows = samples - first < batch ? samples - first : batch;
    for (uint64_t row = 0; row < rows; row++) {
        rf_status status = dataset_row(data, (size_t)row, data->train + (first + row) * context);
        if (status)
            return status;
    }
    return dataset_give(data, s, (size_t)rows, ids, targets);
}
