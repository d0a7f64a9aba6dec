/* state_save.c: everything that a resume reads, into one file (its layout: state.h). The same code
 * runs twice, first to count the bytes, which stand in the front of the file, then to write. */
#include <refrain/io.h>

#include "base/bytes.h"
#include "io/elements.h"
#include "io/sections.h"
#include "io/state.h"
#include "optim/optim.h"
#include "tensor/context.h"

#include <string.h>

rf_status rf_state_check_arguments(const rf_state *state)
{
    if (!state->module)
        return RF_E_ARGUMENT; /* and no context to say more in */
    if (state->size != sizeof *state)
        return rf_fail(rf_module_context(state->module), RF_E_ARGUMENT,
                       "rf_state: its size is not that of this library");
    if (state->options && strlen(state->options) > RF_STATE_OPTIONS_MOST)
        return rf_fail(rf_module_context(state->module), RF_E_ARGUMENT,
                       "rf_state: options longer than 16 MiB");
    return RF_OK;
}

static uint64_t state_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

typedef struct state_save {
    rf_sections_out out;
    const char *kind;
} state_save;

static uint64_t state_record_bytes(const char *path, const rf_tensor *t)
{
    return RF_STATE_RECORD + 8 * rf_tensor_rank(t) + rf_state_padded(strlen(path)) +
           rf_tensor_bytes(t);
}

static void state_record(const char *path, const rf_tensor *t,
                         unsigned char record[RF_STATE_RECORD])
{
    rf_put_u32(record, (uint32_t)strlen(path));
    rf_put_u32(record + 4, (uint32_t)rf_tensor_dtype(t));
    rf_put_u32(record + 8, (uint32_t)rf_tensor_rank(t));
    rf_put_u32(record + 12, 0);
}

static rf_status state_take(void *payload, const void *data, size_t len)
{
    rf_sections_out *out = payload;
    rf_sections_put(out, data, len);
    return rf_writer_status(out->writer);
}

static rf_status state_save_tensor(void *payload, const char *path, rf_tensor *t)
{
    state_save *save = payload;
    rf_sections_out *out = &save->out;
    unsigned char record[RF_STATE_RECORD];
    rf_status status = RF_OK;
    rf_sections_open(out, save->kind, state_record_bytes(path, t));
    state_record(path, t, record);
    rf_sections_put(out, record, sizeof record);
    for (size_t i = 0; i < rf_tensor_rank(t); i++)
        rf_sections_put_u64(out, (uint64_t)rf_tensor_dims(t)[i]);
    rf_sections_put(out, path, strlen(path));
    rf_sections_pad(out);
    if (out->writer && !rf_context_dry(rf_tensor_context(t)))
        status = rf_elements_out(t, state_take, out);
    else
        out->bytes += rf_tensor_bytes(t);
    rf_sections_close(out);
    return status;
}

static void state_save_pair(rf_sections_out *out, const char *kind, uint64_t a, uint64_t b)
{
    rf_sections_open(out, kind, 16);
    rf_sections_put_u64(out, a);
    rf_sections_put_u64(out, b);
    rf_sections_close(out);
}

static rf_status state_save_tensors(state_save *save, const rf_state *state)
{
    save->kind = "PARM";
    rf_status status = rf_module_each_param(state->module, 0, state_save_tensor, save);
    save->kind = "BUFR";
    if (!status)
        status = rf_module_each_buffer(state->module, state_save_tensor, save);
    save->kind = "OPTM";
    if (!status && state->optim)
        status = rf_optim_visit_state(state->optim, save->out.writer ? RF_OPTIM_READ : 0,
                                      state_save_tensor, save);
    return status;
}

/* Write, or count, all of the file. */
static rf_status state_save_all(state_save *save, const rf_state *state, uint64_t file_bytes)
{
    rf_sections_out *out = &save->out;
    const char *options = state->options ? state->options : "";
    rf_rng rng = rf_context_rng(rf_module_context(state->module));
    rf_sections_front(
        out, (state->data ? RF_STATE_HAS_DATA : 0) | (state->optim ? RF_STATE_HAS_OPTIM : 0),
        file_bytes);
    rf_sections_open(out, "OPTS", strlen(options));
    rf_sections_put(out, options, strlen(options));
    rf_sections_close(out);
    state_save_pair(out, "RNG ", rng.seed, rng.offset);
    if (state->data)
        state_save_pair(out, "DATA", rf_dataset_position(state->data),
                        rf_dataset_fingerprint(state->data));
    if (state->optim)
        state_save_pair(out, "STEP", rf_optim_steps(state->optim),
                        state_bits(rf_optim_lr(state->optim)));
    rf_status status = state_save_tensors(save, state);
    rf_sections_open(out, "END ", 0);
    rf_sections_close(out);
    return status;
}

rf_status rf_state_save(const rf_state *state, const char *path)
{
    state_save count = {0}, save = {0};
    rf_status status = rf_state_check_arguments(state);
    if (!status)
        status = state_save_all(&count, state, 0);
    if (!status)
        status = rf_writer_open_elements(&save.out.writer, rf_module_context(state->module), path);
    if (status)
        return status;
    status = state_save_all(&save, state, count.out.bytes);
    if (!status)
        return rf_writer_commit(save.out.writer);
    rf_writer_cancel(save.out.writer);
    return status;
}
