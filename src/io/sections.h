/* sections.h: the format of state files, without what it means.
 *
 *   front    magic (8 bytes), version (u32), flags (u32), bytes of the file (u64), hash (u64)
 *   section  kind (4 letters), zero (u32), bytes of its payload (u64),
 *            payload, zeros up to a multiple of 8, hash (u64)
 *   ...      the last section is of kind "END " and empty
 *
 * All numbers are little-endian. A hash is XXH64, seed 0, of all of the front or section before it:
 * no byte of a file is without one, and cutting the file is seen by its size.
 */
#ifndef RF_IO_SECTIONS_H
#define RF_IO_SECTIONS_H

#include "base/hash.h"
#include "io/file.h"

enum { RF_STATE_VERSION = 1, RF_FRONT_BYTES = 32, RF_SECTION_HEAD = 16, RF_SECTION_HASH = 8 };

/* ---- writing ---- */

/* Without a writer it only counts. */
typedef struct rf_sections_out {
    rf_writer *writer;
    uint64_t bytes; /* so far */
    rf_hasher hasher;
} rf_sections_out;

void rf_sections_front(rf_sections_out *out, uint32_t flags, uint64_t file_bytes);
void rf_sections_open(rf_sections_out *out, const char *kind, uint64_t payload_bytes);
void rf_sections_put(rf_sections_out *out, const void *data, size_t len);
void rf_sections_put_u64(rf_sections_out *out, uint64_t value);
void rf_sections_pad(rf_sections_out *out); /* zeros up to a multiple of 8 */
void rf_sections_close(rf_sections_out *out);

/* ---- reading ---- */

typedef struct rf_sections_in {
    rf_reader *reader;
    uint64_t offset; /* what is read next */
    uint32_t flags;
    char kind[5]; /* of the section that was entered, with a zero */
    uint64_t payload;
    uint64_t end; /* of its payload */
} rf_sections_in;

/* Read the front; RF_E_FORMAT for a file that is something else, of a later version, or cut. */
rf_status rf_sections_begin(rf_sections_in *in, rf_reader *reader);
/* Enter the section at offset. It lies within the file. */
rf_status rf_sections_enter(rf_sections_in *in);
/* Bytes of the payload; RF_E_FORMAT past its end. */
rf_status rf_sections_get(rf_sections_in *in, void *to, size_t len);
/* Leave the section, wherever in it offset is. */
void rf_sections_leave(rf_sections_in *in);
/* Read the section that was entered from its start to its hash; offset is as it was. */
rf_status rf_sections_check(rf_sections_in *in);
/* Check every section up to the end of the file, and go back behind the front. */
rf_status rf_sections_check_all(rf_sections_in *in);
rf_status rf_sections_fail(const rf_sections_in *in, const char *what);

#endif
