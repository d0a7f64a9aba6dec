/* costs_text.h: what reading and writing a file of costs share: a walk over its text. */
#ifndef RF_IO_COSTS_TEXT_H
#define RF_IO_COSTS_TEXT_H

#include <refrain/io.h>

#include "io/costs.h"
#include "io/json.h"

/* Eleven days: no kernel of ours. */
#define RF_COSTS_MOST_NS UINT64_C(1000000000000000)

/* A file's text; NULL: there is none. End it with rf_text_free. */
typedef struct rf_costs_text {
    rf_context *ctx;
    const char *path;
    char *text;
    size_t len;
    rf_costs_machine here;
    rf_json j;
} rf_costs_text;

/* A machine in the list, and which of its members are this one's. */
typedef struct rf_costs_found {
    int cpu, library, rest;
    size_t begin, end; /* its object in the text  */
    rf_json costs;     /* just before its costs   */
} rf_costs_found;

static inline int rf_costs_found_here(const rf_costs_found *found)
{
    return found->cpu && found->library && found->rest;
}

typedef rf_status (*rf_costs_visitor)(void *payload, const rf_costs_text *t,
                                      const rf_costs_found *found);

rf_status rf_costs_text_open(rf_costs_text *t, rf_costs *costs, const char *path);
/* Check all of the text, and tell of each machine (visit may be NULL) as it comes by: what stands
 * behind it is not checked then. */
rf_status rf_costs_text_walk(rf_costs_text *t, rf_costs_visitor visit, void *payload);
/* Check all of it; then put what it says of this machine into costs, where it is absent. */
rf_status rf_costs_text_take(rf_costs_text *t, rf_costs *costs);

#endif
