/* choose.h: which token comes next. */
#ifndef RF_CLI_CHOOSE_H
#define RF_CLI_CHOOSE_H

#include <stddef.h>
#include <stdint.h>

/* Room for choosing among num tokens. */
typedef struct choose_item {
    float logit;
    uint32_t token;
} choose_item;

/* A token drawn in proportion to exp(logit / temperature) among the top_k likeliest (0: all), by a
 * number u in [0, 1). Temperature 0 is the likeliest; of equals, the one with the lowest number.
 * items holds all tokens with their logits, and is put in order. */
uint32_t choose_token(choose_item *items, size_t num, double temperature, uint64_t top_k, double u);

#endif
