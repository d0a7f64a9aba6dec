/* table.h: the descriptors of ops.def. */
#ifndef RF_OP_TABLE_H
#define RF_OP_TABLE_H

#include <refrain/extend.h>

#define RF_OP(name) extern const rf_op_class rf_op_##name;
#include "op/ops.def"
#undef RF_OP

#endif
