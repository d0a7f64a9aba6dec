/* ledger.c: see ledger.h for the invariants. */
#include "mem/ledger.h"

#include <string.h>

static const char *const class_names[RF_MEM_CLASSES] = {"all",           "parameter",  "gradient",
                                                        "optimiser",     "activation", "workspace",
                                                        "communication", "other",      "borrowed"};

const char *rf_mem_class_name(rf_mem_class cls)
{
    return (unsigned)cls < RF_MEM_CLASSES ? class_names[cls] : "unknown";
}

static int ledger_fits(const rf_memory_info *row, uint64_t bytes)
{
    return !row->limit || (row->used <= row->limit && bytes <= row->limit - row->used);
}

static uint64_t ledger_free(const rf_memory_info *row)
{
    return row->limit > row->used ? row->limit - row->used : 0;
}

static void ledger_raise(rf_ledger *ledger, unsigned device, rf_mem_class cls, uint64_t bytes)
{
    rf_memory_info *row = &ledger->row[device][cls];
    row->used += bytes;
    if (row->used > row->peak)
        row->peak = row->used;
    for (rf_memory_mark *m = ledger->marks; m; m = m->next)
        if (row->used > m->peak[device][cls])
            m->peak[device][cls] = row->used;
}

int rf_ledger_enter(rf_ledger *ledger, unsigned device, rf_mem_class cls, uint64_t bytes,
                    rf_ledger_refusal *why)
{
    rf_memory_info *row = ledger->row[device];
    int counts = cls != RF_MEM_BORROWED;
    int fits = ledger_fits(&row[cls], bytes);
    if (!fits || (counts && !ledger_fits(&row[RF_MEM_ALL], bytes))) {
        rf_mem_class bound = fits ? RF_MEM_ALL : cls;
        *why = (rf_ledger_refusal){row[bound].limit, ledger_free(&row[bound]), bound};
        return 0;
    }
    row[cls].allocations++;
    ledger_raise(ledger, device, cls, bytes);
    if (counts) {
        row[RF_MEM_ALL].allocations++;
        ledger_raise(ledger, device, RF_MEM_ALL, bytes);
    }
    return 1;
}

void rf_ledger_leave(rf_ledger *ledger, unsigned device, rf_mem_class cls, uint64_t bytes)
{
    ledger->row[device][cls].used -= bytes;
    if (cls != RF_MEM_BORROWED)
        ledger->row[device][RF_MEM_ALL].used -= bytes;
}

int rf_ledger_enter_part(rf_ledger *ledger, unsigned device, rf_mem_class cls, uint64_t bytes,
                         rf_ledger_refusal *why)
{
    rf_memory_info *row = ledger->row[device];
    if (!ledger_fits(&row[cls], bytes)) {
        *why = (rf_ledger_refusal){row[cls].limit, ledger_free(&row[cls]), cls};
        return 0;
    }
    row[cls].allocations++;
    row[RF_MEM_ALL].allocations++;
    rf_ledger_move(ledger, device, RF_MEM_OTHER, cls, bytes);
    return 1;
}

void rf_ledger_leave_part(rf_ledger *ledger, unsigned device, rf_mem_class cls, uint64_t bytes)
{
    rf_ledger_move(ledger, device, cls, RF_MEM_OTHER, bytes);
}

void rf_ledger_move(rf_ledger *ledger, unsigned device, rf_mem_class from, rf_mem_class to,
                    uint64_t bytes)
{
    ledger->row[device][from].used -= bytes;
    ledger_raise(ledger, device, to, bytes);
}

void rf_ledger_mark(rf_ledger *ledger, rf_memory_mark *mark)
{
    for (unsigned d = 0; d < RF_MAX_DEVICES; d++)
        for (unsigned c = 0; c < RF_MEM_CLASSES; c++)
            mark->used[d][c] = mark->peak[d][c] = ledger->row[d][c].used;
    mark->ledger = ledger;
    mark->next = ledger->marks;
    ledger->marks = mark;
}

void rf_ledger_unmark(rf_ledger *ledger, rf_memory_mark *mark)
{
    for (rf_memory_mark **at = &ledger->marks; *at; at = &(*at)->next)
        if (*at == mark) {
            *at = mark->next;
            return;
        }
}
