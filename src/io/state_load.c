/* state_load.c: reading state files. A load goes over the file three times: are all hashes right;
 * does it fit the module, the optimiser and the data; and only then are tensors overwritten, and
 * the small things after them. So a file that is damaged or of another model changes nothing. */
#include <refrain/io.h>

#include "base/bytes.h"
#include "io/elements.h"
#include "io/header.h"
#include "io/sections.h"
#include "io/state.h"
#include "io/text.h"
#include "optim/optim.h"
#include "tensor/context.h"

#include <string.h>

typedef struct state_load {
    rf_sections_in in;
    const rf_state *state;
    const char *kind;
    int apply; /* else only look whether it fits */
    rf_rng rng;
    uint64_t position, fingerprint, steps, lr_bits;
} state_load;

static rf_status state_fail_kind(const rf_sections_in *in, const char *kind)
{
    return rf_fail(in->reader->ctx, RF_E_NOT_FOUND,
                   "%s: it holds a part '%s' where '%s' is wanted; resume with the options that it "
                   "was saved with",
                   in->reader->path, in->kind, kind);
}

static rf_status state_enter(rf_sections_in *in, const char *kind)
{
    rf_status status = rf_sections_enter(in);
    if (!status && strcmp(in->kind, kind) != 0)
        return state_fail_kind(in, kind);
    return status;
}

static rf_status state_load_pair(rf_sections_in *in, const char *kind, uint64_t *a, uint64_t *b)
{
    unsigned char pair[16];
    rf_status status = state_enter(in, kind);
    if (!status)
        status = rf_sections_get(in, pair, sizeof pair);
    if (status)
        return status;
    *a = rf_get_u64(pair);
    *b = rf_get_u64(pair + 8);
    rf_sections_leave(in);
    return RF_OK;
}

static rf_status state_check_name(rf_sections_in *in, const char *path, size_t len)
{
    char name[101] = {0};
    size_t wanted = strlen(path);
    uint64_t start = in->offset;
    int same = len == wanted;
    for (size_t at = 0, step; same && at < len; at += step) {
        step = len - at < 100 ? len - at : 100;
        rf_status status = rf_sections_get(in, name, step);
        if (status)
            return status;
        same = memcmp(name, path + at, step) == 0;
    }
    if (same)
        return RF_OK;
    in->offset = start;
    rf_status status = rf_sections_get(in, name, len < 100 ? len : 100);
    name[len < 100 ? len : 100] = 0;
    return status ? status
                  : rf_fail(in->reader->ctx, RF_E_NOT_FOUND,
                            "%s: it holds '%s' where the model has '%s'; resume with the options "
                            "that it was saved with",
                            in->reader->path, name, path);
}

static rf_status state_check_shape(rf_sections_in *in, const char *path, const rf_tensor *t,
                                   const unsigned char *record)
{
    unsigned char dims[8 * RF_MAX_RANK];
    int64_t theirs[RF_MAX_RANK] = {0};
    char saved[120], wanted[120];
    size_t rank = rf_get_u32(record + 8);
    uint32_t dtype = rf_get_u32(record + 4);
    if (rank > RF_MAX_RANK || dtype >= RF_DTYPES)
        return rf_sections_fail(in, "damaged: a tensor of no known kind");
    rf_status status = rf_sections_get(in, dims, 8 * rank);
    if (status)
        return status;
    for (size_t i = 0; i < rank; i++)
        theirs[i] = (int64_t)rf_get_u64(dims + 8 * i);
    if (rank == rf_tensor_rank(t) && dtype == (uint32_t)rf_tensor_dtype(t) &&
        (!rank || memcmp(theirs, rf_tensor_dims(t), rank * sizeof *theirs) == 0))
        return RF_OK;
    return rf_fail(in->reader->ctx, RF_E_SHAPE,
                   "%s: '%s' was saved as %s %s and is now %s %s; resume with the options that it "
                   "was saved with",
                   in->reader->path, path, rf_dims_text(rank, theirs, saved, sizeof saved),
                   rf_dtype_name((rf_dtype)dtype),
                   rf_dims_text(rf_tensor_rank(t), rf_tensor_dims(t), wanted, sizeof wanted),
                   rf_dtype_name(rf_tensor_dtype(t)));
}

static rf_status state_give(void *payload, void *data, size_t len)
{
    return rf_sections_get(payload, data, len);
}

static rf_status state_load_tensor(void *payload, const char *path, rf_tensor *t)
{
    state_load *load = payload;
    rf_sections_in *in = &load->in;
    unsigned char record[RF_STATE_RECORD], padding[8];
    rf_status status = state_enter(in, load->kind);
    if (!status)
        status = rf_sections_get(in, record, sizeof record);
    if (status)
        return status;
    size_t len = rf_get_u32(record);
    /* The name comes after the dims but is the better thing to complain about. */
    uint64_t dims = in->offset;
    in->offset += 8 * (uint64_t)rf_get_u32(record + 8);
    if (in->offset > in->end)
        return rf_sections_fail(in, "damaged: a section is too short for what it holds");
    status = state_check_name(in, path, len);
    uint64_t name_end = in->offset;
    in->offset = dims;
    if (!status)
        status = state_check_shape(in, path, t, record);
    in->offset = name_end;
    if (!status)
        status = rf_sections_get(in, padding, rf_state_padded(len) - len);
    if (!status && in->end - in->offset != rf_tensor_bytes(t))
        status = rf_sections_fail(in, "damaged: a tensor has not the bytes of its shape");
    if (!status && load->apply)
        status = rf_elements_in(t, state_give, in);
    rf_sections_leave(in);
    return status;
}

static rf_status state_load_small(state_load *load)
{
    rf_sections_in *in = &load->in;
    rf_status status = state_enter(in, "OPTS");
    if (status)
        return status;
    rf_sections_leave(in);
    status = state_load_pair(in, "RNG ", &load->rng.seed, &load->rng.offset);
    if (!status && (in->flags & RF_STATE_HAS_DATA))
        status = state_load_pair(in, "DATA", &load->position, &load->fingerprint);
    if (!status && (in->flags & RF_STATE_HAS_OPTIM))
        status = state_load_pair(in, "STEP", &load->steps, &load->lr_bits);
    return status;
}

/* The optimiser's tensors are passed over if nobody wants them. */
static rf_status state_load_end(state_load *load)
{
    rf_sections_in *in = &load->in;
    rf_status status = rf_sections_enter(in);
    while (!status && !load->state->optim && strcmp(in->kind, "OPTM") == 0) {
        rf_sections_leave(in);
        status = rf_sections_enter(in);
    }
    if (!status && strcmp(in->kind, "END ") != 0)
        return state_fail_kind(in, "END ");
    return status;
}

static rf_status state_load_tensors(state_load *load, int apply)
{
    const rf_state *state = load->state;
    load->in.offset = RF_FRONT_BYTES;
    load->apply = apply;
    rf_status status = state_load_small(load);
    load->kind = "PARM";
    if (!status)
        status = rf_module_each_param(state->module, 0, state_load_tensor, load);
    load->kind = "BUFR";
    if (!status)
        status = rf_module_each_buffer(state->module, state_load_tensor, load);
    load->kind = "OPTM";
    if (!status && state->optim)
        status =
            rf_optim_visit_state(state->optim, apply ? RF_OPTIM_WRITE : 0, state_load_tensor, load);
    return status ? status : state_load_end(load);
}

static rf_status state_check_parts(const state_load *load)
{
    const rf_state *state = load->state;
    const rf_reader *r = load->in.reader;
    uint32_t flags = load->in.flags;
    if ((state->data && !(flags & RF_STATE_HAS_DATA)) ||
        (state->optim && !(flags & RF_STATE_HAS_OPTIM)))
        return rf_fail(r->ctx, RF_E_NOT_FOUND, "%s: it was saved without %s", r->path,
                       flags & RF_STATE_HAS_DATA ? "an optimiser" : "a data position");
    if (state->data && rf_dataset_fingerprint(state->data) != load->fingerprint)
        return rf_fail(r->ctx, RF_E_STATE,
                       "%s: it was saved with other data, or other options of them; give the same "
                       "files, context, batch, seed and held-out share",
                       r->path);
    return RF_OK;
}

static void state_set_small(const state_load *load)
{
    const rf_state *state = load->state;
    double lr;
    memcpy(&lr, &load->lr_bits, sizeof lr);
    rf_context_set_rng(rf_module_context(state->module), load->rng);
    if (state->data)
        rf_dataset_set_position(state->data, load->position);
    if (state->optim) {
        rf_optim_set_steps(state->optim, load->steps);
        rf_optim_set_lr(state->optim, lr);
    }
}

static rf_status state_load_file(state_load *load, rf_reader *reader)
{
    rf_status status = rf_sections_begin(&load->in, reader);
    if (!status)
        status = rf_sections_check_all(&load->in);
    if (!status)
        status = state_load_small(load);
    if (!status)
        status = state_check_parts(load);
    if (!status)
        status = state_load_tensors(load, 0);
    if (!status)
        status = state_load_tensors(load, 1);
    if (!status)
        state_set_small(load);
    return status;
}

rf_status rf_state_load(const rf_state *state, const char *path)
{
    rf_reader reader;
    state_load load = {.state = state};
    rf_status status = rf_state_check_arguments(state);
    if (status)
        return status;
    status = rf_reader_open(&reader, rf_module_context(state->module), path);
    if (!status)
        status = state_load_file(&load, &reader);
    rf_reader_close(&reader);
    return status;
}

/* ---- the caller's text alone ---- */

static rf_status state_options_read(char **out, rf_sections_in *in, rf_reader *reader)
{
    rf_status status = rf_sections_begin(in, reader);
    if (!status)
        status = rf_sections_enter(in);
    if (!status)
        status = rf_sections_check(in);
    if (!status && strcmp(in->kind, "OPTS") != 0)
        status = state_fail_kind(in, "OPTS");
    if (!status && in->payload > RF_STATE_OPTIONS_MOST)
        status = rf_sections_fail(in, "damaged: its options are longer than 16 MiB");
    if (!status)
        status = rf_text_create(out, reader->ctx, (size_t)in->payload);
    if (status)
        return status;
    status = rf_sections_get(in, *out, (size_t)in->payload);
    if (status) {
        rf_text_free(reader->ctx, *out);
        *out = NULL;
    }
    return status;
}

rf_status rf_state_options(char **out, rf_context *ctx, const char *path)
{
    rf_reader reader;
    rf_sections_in in;
    *out = NULL;
    rf_status status = rf_reader_open(&reader, ctx, path);
    if (!status)
        status = state_options_read(out, &in, &reader);
    rf_reader_close(&reader);
    return status;
}
