/* sections.c: see sections.h. */
#include "io/sections.h"
#include "base/bytes.h"
#include "tensor/context.h"

#include <string.h>

/* As in PNG: a first byte that no text has, and line ends that a careless copy would change. */
static const unsigned char sections_magic[8] = {0x89, 'R', 'F', 'S', '\r', '\n', 0x1A, '\n'};

static uint64_t sections_padded(uint64_t bytes)
{
    return (bytes + 7) & ~(uint64_t)7;
}

/* ---- writing ---- */

void rf_sections_put(rf_sections_out *out, const void *data, size_t len)
{
    out->bytes += len;
    if (!out->writer)
        return;
    rf_hasher_add(&out->hasher, data, len);
    rf_writer_put(out->writer, data, len);
}

void rf_sections_put_u64(rf_sections_out *out, uint64_t value)
{
    unsigned char bytes[8];
    rf_put_u64(bytes, value);
    rf_sections_put(out, bytes, sizeof bytes);
}

static void sections_put_two(rf_sections_out *out, uint32_t low, uint32_t high)
{
    rf_sections_put_u64(out, low | (uint64_t)high << 32);
}

void rf_sections_pad(rf_sections_out *out)
{
    static const unsigned char zeros[8];
    rf_sections_put(out, zeros, (size_t)(sections_padded(out->bytes) - out->bytes));
}

void rf_sections_front(rf_sections_out *out, uint32_t flags, uint64_t file_bytes)
{
    rf_hasher_begin(&out->hasher, 0);
    rf_sections_put(out, sections_magic, sizeof sections_magic);
    sections_put_two(out, RF_STATE_VERSION, flags);
    rf_sections_put_u64(out, file_bytes);
    rf_sections_put_u64(out, rf_hasher_end(&out->hasher));
}

void rf_sections_open(rf_sections_out *out, const char *kind, uint64_t payload_bytes)
{
    rf_hasher_begin(&out->hasher, 0);
    sections_put_two(out, rf_get_u32(kind), 0);
    rf_sections_put_u64(out, payload_bytes);
}

void rf_sections_close(rf_sections_out *out)
{
    rf_sections_pad(out);
    rf_sections_put_u64(out, rf_hasher_end(&out->hasher));
}

/* ---- reading ---- */

rf_status rf_sections_fail(const rf_sections_in *in, const char *what)
{
    return rf_fail(in->reader->ctx, RF_E_FORMAT, "%s: %s; take an older copy", in->reader->path,
                   what);
}

rf_status rf_sections_begin(rf_sections_in *in, rf_reader *reader)
{
    unsigned char front[RF_FRONT_BYTES];
    rf_hasher hasher;
    *in = (rf_sections_in){.reader = reader, .offset = sizeof front};
    if (reader->bytes < sizeof front)
        return rf_sections_fail(in, "too short for a state file");
    rf_status status = rf_reader_get(reader, 0, front, sizeof front);
    if (status)
        return status;
    if (memcmp(front, sections_magic, sizeof sections_magic) != 0)
        return rf_sections_fail(in, "no state file");
    rf_hasher_begin(&hasher, 0);
    rf_hasher_add(&hasher, front, sizeof front - 8);
    if (rf_get_u64(front + sizeof front - 8) != rf_hasher_end(&hasher))
        return rf_sections_fail(in, "damaged at its front");
    if (rf_get_u32(front + 8) != RF_STATE_VERSION)
        return rf_fail(reader->ctx, RF_E_UNSUPPORTED,
                       "%s: a state file of version %lu, and this program reads version %d",
                       reader->path, (unsigned long)rf_get_u32(front + 8), RF_STATE_VERSION);
    in->flags = rf_get_u32(front + 12);
    if (rf_get_u64(front + 16) != reader->bytes)
        return rf_fail(reader->ctx, RF_E_FORMAT,
                       "%s: it has %llu bytes and should have %llu: it was cut short or added to; "
                       "take an older copy",
                       reader->path, (unsigned long long)reader->bytes,
                       (unsigned long long)rf_get_u64(front + 16));
    return RF_OK;
}

rf_status rf_sections_enter(rf_sections_in *in)
{
    unsigned char head[RF_SECTION_HEAD];
    uint64_t left = in->reader->bytes - in->offset;
    if (left < RF_SECTION_HEAD + RF_SECTION_HASH)
        return rf_sections_fail(in, "damaged: it ends inside a section");
    rf_status status = rf_reader_get(in->reader, in->offset, head, sizeof head);
    if (status)
        return status;
    left -= RF_SECTION_HEAD + RF_SECTION_HASH;
    memcpy(in->kind, head, 4);
    in->kind[4] = 0;
    in->payload = rf_get_u64(head + 8);
    if (in->payload > left || sections_padded(in->payload) > left)
        return rf_sections_fail(in, "damaged: a section is longer than the file");
    in->offset += RF_SECTION_HEAD;
    in->end = in->offset + in->payload;
    return RF_OK;
}

rf_status rf_sections_get(rf_sections_in *in, void *to, size_t len)
{
    if (len > in->end - in->offset)
        return rf_sections_fail(in, "damaged: a section is too short for what it holds");
    rf_status status = rf_reader_get(in->reader, in->offset, to, len);
    in->offset += len;
    return status;
}

void rf_sections_leave(rf_sections_in *in)
{
    in->offset = in->end - in->payload + sections_padded(in->payload) + RF_SECTION_HASH;
}

rf_status rf_sections_check(rf_sections_in *in)
{
    unsigned char piece[16 * 1024];
    uint64_t at = in->end - in->payload - RF_SECTION_HEAD;
    uint64_t left = RF_SECTION_HEAD + sections_padded(in->payload);
    rf_hasher hasher;
    rf_hasher_begin(&hasher, 0);
    for (size_t len; left; left -= len, at += len) {
        len = left < sizeof piece ? (size_t)left : sizeof piece;
        rf_status status = rf_reader_get(in->reader, at, piece, len);
        if (status)
            return status;
        rf_hasher_add(&hasher, piece, len);
    }
    rf_status status = rf_reader_get(in->reader, at, piece, RF_SECTION_HASH);
    if (status)
        return status;
    if (rf_get_u64(piece) != rf_hasher_end(&hasher))
        return rf_sections_fail(in, "damaged: a part does not have the hash it was saved with");
    return RF_OK;
}

rf_status rf_sections_check_all(rf_sections_in *in)
{
    rf_status status;
    do {
        status = rf_sections_enter(in);
        if (!status)
            status = rf_sections_check(in);
        if (status)
            return status;
        rf_sections_leave(in);
    } while (strcmp(in->kind, "END ") != 0);
    if (in->payload || in->offset != in->reader->bytes)
        return rf_sections_fail(in, "damaged: it goes on after its end");
    in->offset = RF_FRONT_BYTES;
    return RF_OK;
}
