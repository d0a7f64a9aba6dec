/* small_model.h: a module that computes nothing, with what files must cope with: nested names, a
 * tied parameter, several types, ranks from 0 up, an empty tensor, a buffer. */
#ifndef RF_SUPPORT_SMALL_MODEL_H
#define RF_SUPPORT_SMALL_MODEL_H

#include <refrain/module.h>

/* Its elements are a function of `salt`. NULL if memory runs out, with nothing left behind. */
rf_module *small_model(rf_context *ctx, unsigned salt);

/* Its parameters and buffers, in order, each named once. */
extern const char *const small_model_params[];
extern const char *const small_model_buffers[];
enum { SMALL_MODEL_PARAMS = 5, SMALL_MODEL_BUFFERS = 2 };

#endif
