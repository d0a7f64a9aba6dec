/* ledger.h: the exact account of bytes, by device and class.
 *
 * Invariants: used = the sum of what was entered and has not left; ALL is the sum of the classes
 * that count (not BORROWED); nothing is entered that would pass a limit; peaks, and the peaks of
 * every living mark, are at least used at every moment.
 */
#ifndef RF_MEM_LEDGER_H
#define RF_MEM_LEDGER_H

#include <refrain/memory.h>

#define RF_MAX_DEVICES 8

typedef struct rf_ledger {
    rf_memory_info row[RF_MAX_DEVICES][RF_MEM_CLASSES];
    rf_memory_mark *marks;
} rf_ledger;

/* Why an entry was refused. */
typedef struct rf_ledger_refusal {
    uint64_t limit;
    uint64_t free;
    rf_mem_class cls; /* whose limit */
} rf_ledger_refusal;

struct rf_memory_mark {
    rf_context *ctx;
    rf_ledger *ledger;
    rf_memory_mark *next;
    uint64_t used[RF_MAX_DEVICES][RF_MEM_CLASSES];
    uint64_t peak[RF_MAX_DEVICES][RF_MEM_CLASSES];
};

/* 1 if entered; 0 if a limit refuses it, and then nothing changed. */
int rf_ledger_enter(rf_ledger *ledger, unsigned device, rf_mem_class cls, uint64_t bytes,
                    rf_ledger_refusal *why);
void rf_ledger_leave(rf_ledger *ledger, unsigned device, rf_mem_class cls, uint64_t bytes);
/* The same for bytes that are part of bookkeeping's, which are entered already: they are of cls
 * instead for as long, and ALL stays. */
int rf_ledger_enter_part(rf_ledger *ledger, unsigned device, rf_mem_class cls, uint64_t bytes,
                         rf_ledger_refusal *why);
void rf_ledger_leave_part(rf_ledger *ledger, unsigned device, rf_mem_class cls, uint64_t bytes);
/* Bytes that change their class without moving (a gradient that becomes a parameter's). */
void rf_ledger_move(rf_ledger *ledger, unsigned device, rf_mem_class from, rf_mem_class to,
                    uint64_t bytes);
void rf_ledger_mark(rf_ledger *ledger, rf_memory_mark *mark);
void rf_ledger_unmark(rf_ledger *ledger, rf_memory_mark *mark);

#endif
