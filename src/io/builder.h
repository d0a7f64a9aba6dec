/* builder.h: text that grows, and JSON in it. The first failure stays and makes the rest do
 * nothing, so that what builds a text asks once, at its end. */
#ifndef RF_IO_BUILDER_H
#define RF_IO_BUILDER_H

#include <refrain/base.h>

typedef struct rf_builder {
    rf_context *ctx;
    char *text; /* len bytes, no final zero */
    size_t len;
    size_t capacity;
    rf_status status;
} rf_builder;

void rf_builder_begin(rf_builder *b, rf_context *ctx);
void rf_builder_end(rf_builder *b); /* free the text */
void rf_builder_add(rf_builder *b, const char *text, size_t len);
void rf_builder_add_text(rf_builder *b, const char *text);
void rf_builder_add_number(rf_builder *b, uint64_t value);
/* Text as a JSON string, quotes included. What is not UTF-8 is RF_E_ARGUMENT. */
void rf_builder_add_string(rf_builder *b, const char *text);

#endif
