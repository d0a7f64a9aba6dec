/* text.h: what makes the texts that rf_text_free ends. */
#ifndef RF_IO_TEXT_H
#define RF_IO_TEXT_H

#include <refrain/io.h>

/* len bytes to be filled, and a zero behind them (owned). */
rf_status rf_text_create(char **out, rf_context *ctx, size_t len);

#endif
