/* data.h: token streams and images, in batches. Bytes of files are tokens; or files of u8, u16 or
 * u32 tokens. Images with labels come in the IDX format, that of MNIST.
 *
 * Files are read when a sample needs them, never mapped and never held: data of any size cost two
 * batches of memory. They must stay as they are while a dataset is open; one that is found changed
 * is RF_E_IO. */
#ifndef REFRAIN_DATA_H
#define REFRAIN_DATA_H

#include <refrain/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Open files of tokens, and a position in them. */
typedef struct rf_dataset rf_dataset;

/* Bytes of a token in a file. */
typedef enum rf_token_type { RF_TOKEN_U8 = 0, RF_TOKEN_U16 = 1, RF_TOKEN_U32 = 2 } rf_token_type;

/* How files are read; context is required. */
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

/* Open files, and the regular files of folders in order of their names, end to end (owned). Of a
 * folder, links, hidden files and folders inside do not count. All tokens are read once, for the
 * vocabulary and the fingerprint (not in a dry context: predict.h). Errors name the file: RF_E_IO,
 * RF_E_FORMAT; RF_E_ARGUMENT if a part (training, or held out and asked for) has less than one
 * sample, context + 1 tokens. */
RF_API RF_MUST_USE rf_status rf_dataset_open(rf_dataset **out, rf_context *ctx,
                                             const char *const *paths, size_t num,
                                             const rf_dataset_options *opts);
/* Close the files. Batches that were given stay valid. NULL is fine. */
RF_API void rf_dataset_close(rf_dataset *data);

RF_API uint64_t rf_dataset_tokens(const rf_dataset *data);   /* in the training part */
RF_API uint64_t rf_dataset_held_out(const rf_dataset *data); /* in the held-out part */
RF_API uint64_t rf_dataset_batches(const rf_dataset *data);  /* of an epoch, rounded up */

/* The next training batch: ids and targets (batch, context) of type i32, scoped; targets are the
 * tokens that follow. Each epoch visits every sample once in an order that is a function of seed
 * and epoch (a Feistel permutation: nothing is stored), from a random offset below context. A batch
 * may end one epoch and begin the next: no sample is left out. On failure the position stays. */
RF_API RF_MUST_USE rf_status rf_dataset_next(rf_dataset *data, rf_scope *s, rf_tensor **ids,
                                             rf_tensor **targets);
/* Batch `index` of the held-out part, in order; the last one may have fewer rows. RF_E_NOT_FOUND
 * past its end. */
RF_API RF_MUST_USE rf_status rf_dataset_held_out_batch(rf_dataset *data, rf_scope *s,
                                                       uint64_t index, rf_tensor **ids,
                                                       rf_tensor **targets);
/* How many batches were given; setting it goes on from there, with the same bits. */
RF_API uint64_t rf_dataset_position(const rf_dataset *data);
RF_API void rf_dataset_set_position(rf_dataset *data, uint64_t position);
/* XXH64 of the training tokens' bytes and the options: tells whether a resume has the same data. */
RF_API uint64_t rf_dataset_fingerprint(const rf_dataset *data);

/* ---- images -------------------------------------------------------------------------------- */
/* An open file of images and one of their labels, and a position in them. */
typedef struct rf_images rf_images;

/* How images are read; NULL is: all for training, one at a time, pixels from 0 to 1. */
typedef struct rf_images_options {
    size_t size;
    uint64_t batch;    /* images of one batch; 0: 1                          */
    uint64_t held_out; /* images at the end, kept for evaluation             */
    uint64_t seed;     /* of the order                                       */
    double white;      /* pixels are divided by it: the largest there is; 0: 255 */
} rf_images_options;
#define RF_IMAGES_OPTIONS_INIT                \
    {                                         \
        sizeof(rf_images_options), 0, 0, 0, 0 \
    }
/* Open an idx3-ubyte file of images and an idx1-ubyte file of as many labels (owned). All labels
 * are read once. Errors name the file: RF_E_IO; RF_E_FORMAT for another format, or a file that is
 * longer or shorter than it says; RF_E_ARGUMENT if nothing is left for training. */
RF_API RF_MUST_USE rf_status rf_images_open(rf_images **out, rf_context *ctx, const char *images,
                                            const char *labels, const rf_images_options *opts);
/* Close the files. Batches that were given stay valid. NULL is fine. */
RF_API void rf_images_close(rf_images *data);

RF_API uint64_t rf_images_num(const rf_images *data);      /* in the training part */
RF_API uint64_t rf_images_held_out(const rf_images *data); /* in the held-out part */
RF_API int64_t rf_images_rows(const rf_images *data);      /* H */
RF_API int64_t rf_images_columns(const rf_images *data);   /* W */
RF_API int64_t rf_images_classes(const rf_images *data);   /* the largest label, plus one */

/* The next training batch, scoped: images (batch, 1, H, W) f32 and labels (batch) i32. Each epoch
 * visits every image once, in an order that is a function of seed and epoch; a batch may end one
 * epoch and begin the next. On failure the position stays. */
RF_API RF_MUST_USE rf_status rf_images_next(rf_images *data, rf_scope *s, rf_tensor **images,
                                            rf_tensor **labels);
/* Batch `index` of the held-out part, in order; the last one may have fewer rows. RF_E_NOT_FOUND
 * past its end. */
RF_API RF_MUST_USE rf_status rf_images_held_out_batch(rf_images *data, rf_scope *s, uint64_t index,
                                                      rf_tensor **images, rf_tensor **labels);
/* How many batches were given; setting it goes on from there, with the same bits. */
RF_API uint64_t rf_images_position(const rf_images *data);
RF_API void rf_images_set_position(rf_images *data, uint64_t position);

#ifdef __cplusplus
}
#endif
#endif
