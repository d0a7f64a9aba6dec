/* sort.c: see sort.h. */
#include "base/sort.h"

#include <string.h>

typedef struct sort_heap {
    unsigned char *items;
    size_t size;
    rf_order order;
    const void *payload;
} sort_heap;

static void sort_swap(const sort_heap *h, size_t i, size_t j)
{
    unsigned char *a = h->items + i * h->size, *b = h->items + j * h->size;
    for (size_t at = 0, step; at < h->size; at += step) {
        unsigned char piece[64];
        step = h->size - at < sizeof piece ? h->size - at : sizeof piece;
        memcpy(piece, a + at, step);
        memcpy(a + at, b + at, step);
        memcpy(b + at, piece, step);
    }
}

static int sort_before(const sort_heap *h, size_t i, size_t j)
{
    return h->order(h->payload, h->items + i * h->size, h->items + j * h->size) < 0;
}

/* Let item `at` sink until no child is after it. */
static void sort_sink(const sort_heap *h, size_t at, size_t num)
{
    for (size_t child; (child = 2 * at + 1) < num; at = child) {
        if (child + 1 < num && sort_before(h, child, child + 1))
            child++;
        if (!sort_before(h, at, child))
            return;
        sort_swap(h, at, child);
    }
}

void rf_sort(void *items, size_t num, size_t size, rf_order order, const void *payload)
{
    const sort_heap h = {items, size, order, payload};
    for (size_t at = num / 2; at-- > 0;)
        sort_sink(&h, at, num);
    for (size_t last = num; last-- > 1;) {
        sort_swap(&h, 0, last); /* never an item with itself */
        sort_sink(&h, 0, last);
    }
}
