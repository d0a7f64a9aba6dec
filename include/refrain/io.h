/* io.h: files. Safetensors for models, state files for resuming. Writing is atomic: PATH is written
 * as PATH.tmp, synced, renamed, and the folder synced too; a crash leaves the old file or the new
 * one. A symbolic link is replaced, not followed. Reading takes regular files only. */
#ifndef REFRAIN_IO_H
#define REFRAIN_IO_H

#include <refrain/optim.h>
#include <refrain/data.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- safetensors ----------------------------------------------------------------------------- */
/* An open safetensors file. */
typedef struct rf_safetensors rf_safetensors;

/* Open and check a file (owned): header length, JSON, offsets without holes or overlaps, sizes
 * that fit shapes. RF_E_IO or RF_E_FORMAT with what and where. */
RF_API RF_MUST_USE rf_status rf_safetensors_open(rf_safetensors **out, rf_context *ctx,
                                                 const char *path);
/* Close it; names that it gave are gone. NULL is fine. */
RF_API void rf_safetensors_close(rf_safetensors *file);

/* One tensor of a file. */
typedef struct rf_safetensors_entry {
    const char *name;       /* borrowed */
    const char *dtype_name; /* as in the file: "F32", "BF16", "F16" ... */
    rf_dtype dtype;         /* RF_DTYPES if it is none of ours */
    size_t rank;
    int64_t dims[RF_MAX_RANK];
    uint64_t bytes;
} rf_safetensors_entry;
/* How many tensors a file has, and what is known of one (names borrowed). */
RF_API size_t rf_safetensors_num(const rf_safetensors *file);
RF_API RF_MUST_USE rf_status rf_safetensors_get(const rf_safetensors *file, size_t index,
                                                rf_safetensors_entry *out);
/* Index of a name, or rf_safetensors_num if there is none. */
RF_API size_t rf_safetensors_find(const rf_safetensors *file, const char *name);
/* Value of a key of "__metadata__"; NULL if there is none (borrowed). */
RF_API const char *rf_safetensors_metadata(const rf_safetensors *file, const char *key);
/* Copy an entry's elements into t, converting between float types (F16 too), rounded once; shapes
 * must agree (RF_E_SHAPE, RF_E_DTYPE). */
RF_API RF_MUST_USE rf_status rf_safetensors_read(const rf_safetensors *file, size_t index,
                                                 rf_tensor *t);

/* Write a module's parameters (each once, at its first path) and buffers. metadata is a list of
 * key, value, key, value ..., NULL; without it the file says format: pt, which readers ask for. */
RF_API RF_MUST_USE rf_status rf_module_save(rf_module *m, const char *path,
                                            const char *const *metadata);
/* Read parameters and buffers by path. Names in the file may carry a prefix that all share
 * ("transformer."); entries that no path asks for are ignored if they match a pattern ('*', '?') in
 * `ignored` (a NULL-terminated list, or NULL), with the prefix or without, else RF_E_NOT_FOUND
 * names the first; a path without an entry is RF_E_NOT_FOUND too. All is checked first: parameters
 * are partly overwritten only if the device fails while they are read. */
RF_API RF_MUST_USE rf_status rf_module_load(rf_module *m, const char *path,
                                            const char *const *ignored);

/* ---- state files ----------------------------------------------------------------------------- */
/* Everything that a resume reads, in one file: parameters, buffers, optimiser state (steps and
 * learning rate too), generator, data position, and the caller's own text. Every part has a hash,
 * and all are checked first: a damaged or truncated file is RF_E_FORMAT, and nothing was changed.
 */
typedef struct rf_state {
    size_t size;
    rf_module *module;   /* required */
    rf_optim *optim;     /* or NULL  */
    rf_dataset *data;    /* or NULL  */
    const char *options; /* the caller's text, or NULL; at most 16 MiB; not read by load */
} rf_state;
#define RF_STATE_INIT                \
    {                                \
        sizeof(rf_state), 0, 0, 0, 0 \
    }
/* Write the file; RF_E_ARGUMENT without a module. */
RF_API RF_MUST_USE rf_status rf_state_save(const rf_state *state, const char *path);
/* Read into what state names. The module and the optimiser must have the same paths, shapes and
 * types in the same order (RF_E_NOT_FOUND, RF_E_SHAPE), the data the same fingerprint (RF_E_STATE);
 * if not, nothing was changed. What the file has and state does not name is passed over. */
RF_API RF_MUST_USE rf_status rf_state_load(const rf_state *state, const char *path);
/* Only the caller's text (owned; end it with rf_text_free); only its part of the file is checked.
 */
RF_API RF_MUST_USE rf_status rf_state_options(char **out, rf_context *ctx, const char *path);

/* ---- small files ----------------------------------------------------------------------------- */
/* A whole file as text with a final zero that len (may be NULL) does not count (owned; end it with
 * rf_text_free). One of more than limit bytes is RF_E_FORMAT. */
RF_API RF_MUST_USE rf_status rf_text_read(char **out, size_t *len, rf_context *ctx,
                                          const char *path, size_t limit);
/* End a text that one of these functions gave. */
RF_API void rf_text_free(rf_context *ctx, char *text);
/* Write len bytes as the whole of a file, atomically. */
RF_API RF_MUST_USE rf_status rf_text_write(rf_context *ctx, const char *path, const char *text,
                                           size_t len);
/* The value of a top-level key (at most 128 bytes) of a JSON object in text, as a number or a
 * string into buffer. RF_E_NOT_FOUND; RF_E_FORMAT if any of the text is malformed, the key is there
 * twice, or its value is of another kind; RF_E_ARGUMENT if buffer is too small. */
RF_API RF_MUST_USE rf_status rf_json_number(rf_context *ctx, const char *text, const char *key,
                                            double *out);
RF_API RF_MUST_USE rf_status rf_json_string(rf_context *ctx, const char *text, const char *key,
                                            char *buffer, size_t bytes);

/* XXH64 (Yann Collet) of bytes. */
RF_API uint64_t rf_hash64(const void *data, size_t len, uint64_t seed);
/* XXH64 over the little-endian bytes of all parameters in path order, tied ones once. */
RF_API RF_MUST_USE rf_status rf_module_hash(rf_module *m, uint64_t *out);

#ifdef __cplusplus
}
#endif
#endif
