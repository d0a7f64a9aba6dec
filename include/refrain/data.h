/* data.h: token streams and batches. Bytes of files are tokens; or files of u8, u16 or u32 tokens.
 */
#ifndef REFRAIN_DATA_H
#define REFRAIN_DATA_H

#include <refrain/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_dataset rf_dataset;

typedef enum rf_token_type { RF_TOKEN_U8 = 0, RF_TOKEN_U16 = 1, RF_TOKEN_U32 = 2 } rf_token_type;

typedef struct rf_dataset_options {
    size_t size;
    rf_token_type type; /* how the files' bytes make tokens; U16 and U32 are little-endian  */
    uint64_t vocab;     /* tokens must lie below it (RF_E_FORMAT with file and offset); 0: any */
    double held_out;    /* share of the stream, at its end, kept for evaluation; 0: none    */
    uint64_t context;   /* tokens of one sample; required                                   */
    uint64_t batch;     /* samples of one batch; 0: 1                                       */
    uint64_t seed;      /* of the order of samples                                          */
} rf_dataset_options;
#define RF_DATASET_OPTIONS_INIT                                \
    {                                                          \
        sizeof(rf_dataset_options), RF_TOKEN_U8, 0, 0, 0, 0, 0 \
    }

/* Map files, and the regular files of folders in order of their names, end to end (owned). Errors
 * name the file: RF_E_IO, RF_E_FORMAT; RF_E_ARGUMENT if there is less than one sample. */
RF_API RF_MUST_USE rf_status rf_dataset_open(rf_dataset **out, rf_context *ctx,
                                             const char *const *paths, size_t num,
                                             const rf_dataset_options *opts);
RF_API void rf_dataset_close(rf_dataset *data);

RF_API uint64_t rf_dataset_tokens(const rf_dataset *data);   /* in the training part */
RF_API uint64_t rf_dataset_held_out(const rf_dataset *data); /* in the held-out part */
RF_API uint64_t rf_dataset_batches(const rf_dataset *data);  /* of one epoch         */

/* The next training batch: ids and targets (batch, context) of type i32, scoped; targets are the
 * tokens that follow. Each epoch visits every sample once in an order that is a function of seed
 * and epoch (a Feistel permutation: nothing is stored), from a random offset below context. */
RF_API RF_MUST_USE rf_status rf_dataset_next(rf_dataset *data, rf_scope *s, rf_tensor **ids,
                                             rf_tensor **targets);
/* Batch `index` of the held-out part, in order; RF_E_NOT_FOUND past its end. */
RF_API RF_MUST_USE rf_status rf_dataset_held_out_batch(rf_dataset *data, rf_scope *s,
                                                       uint64_t index, rf_tensor **ids,
                                                       rf_tensor **targets);
/* How many batches were given; setting it goes on from there, with the same bits. */
RF_API uint64_t rf_dataset_position(const rf_dataset *data);
RF_API void rf_dataset_set_position(rf_dataset *data, uint64_t position);
/* XXH64 of the training tokens' bytes and the options: tells whether a resume has the same data. */
RF_API uint64_t rf_dataset_fingerprint(const rf_dataset *data);

#ifdef __cplusplus
}
#endif
#endif
