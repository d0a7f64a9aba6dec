/* safetensors.h: what model.c needs of an open safetensors file beyond the public part. */
#ifndef RF_IO_SAFETENSORS_H
#define RF_IO_SAFETENSORS_H

#include <refrain/io.h>

#include "io/header.h"

const rf_header *rf_safetensors_header(const rf_safetensors *file);
/* Whether entry `index` can be read into t: RF_E_SHAPE, RF_E_DTYPE, with both sides named. */
rf_status rf_safetensors_check(const rf_safetensors *file, size_t index, const rf_tensor *t);

#endif
