/* explain_text.c: a watch in words. Bytes that add up are written out in full; what is only for
 * the eye is rounded. */
#include "remat/explain.h"

enum { TEXT_LIVE = 16 /* lines of what was held; the rest is one */ };

static unsigned long long text_u64(uint64_t value)
{
    return value;
}

static double text_share(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

/* " op of path", as far as there is something to say. */
static void text_place(explain_sink *sink, const char *op, const char *path)
{
    if (*op) {
        rf_explain_put(sink, " ");
        rf_explain_put(sink, op);
    }
    if (*path) {
        rf_explain_put(sink, " of ");
        rf_explain_put(sink, path);
    }
}

static void text_peak(explain_sink *sink, const rf_explain_totals *t)
{
    rf_explain_say(sink, "peak     %llu bytes (", text_u64(t->peak));
    rf_explain_put_bytes(sink, t->peak);
    rf_explain_put(sink, ") after ");
    rf_explain_put_decimal(sink, 1e3 * t->peak_seconds, 1);
    rf_explain_say(sink, " ms, phase %s", rf_phase_name(t->peak_phase));
    if (*t->peak_op || *t->peak_path) {
        rf_explain_put(sink, ", by");
        text_place(sink, t->peak_op, t->peak_path);
    }
    if (t->limit) {
        rf_explain_put(sink, "; limit ");
        rf_explain_put_bytes(sink, t->limit);
    }
    rf_explain_put(sink, "\n");
}

static void text_live_line(explain_sink *sink, const rf_explain_live *live, double peak)
{
    rf_explain_say(sink, "  %14llu  ", text_u64(live->bytes));
    double share = text_share((double)live->bytes, peak);
    if (share < 9.95)
        rf_explain_put(sink, " ");
    rf_explain_put_decimal(sink, share, 1);
    rf_explain_say(sink, " %%  %-13s", rf_mem_class_name(live->cls));
    if (live->before)
        rf_explain_put(sink, " held before");
    else if (live->cls == RF_MEM_OTHER && !live->num)
        rf_explain_put(sink, " bookkeeping");
    else if (!*live->op && !*live->path)
        rf_explain_put(sink, " made outside of ops");
    text_place(sink, live->op, live->path);
    if (live->num > 1)
        rf_explain_say(sink, ", %llu pieces", text_u64(live->num));
    rf_explain_put(sink, "\n");
}

static void text_live(explain_sink *sink, const rf_explain *e, double peak)
{
    size_t num = rf_explain_num_live(e);
    uint64_t rest = 0;
    rf_explain_put(sink, "what bounds the peak: bytes that were held then\n");
    for (size_t i = 0; i < num; i++) {
        rf_explain_live live = rf_explain_live_at(e, i);
        if (i < TEXT_LIVE)
            text_live_line(sink, &live, peak);
        else
            rest += live.bytes;
    }
    if (rest)
        rf_explain_say(sink, "  %14llu          in %zu smaller lines\n", text_u64(rest),
                       num - TEXT_LIVE);
}

static void text_time(explain_sink *sink, const rf_explain_totals *t)
{
    rf_explain_put(sink, "time     ");
    rf_explain_put_decimal(sink, 1e3 * t->seconds, 1);
    rf_explain_put(sink, " ms, of which ");
    rf_explain_put_decimal(sink, 1e3 * t->recompute_seconds, 1);
    rf_explain_put(sink, " ms (");
    rf_explain_put_decimal(sink, text_share(t->recompute_seconds, t->seconds), 1);
    rf_explain_say(sink, " %%) computing again\nkernels  %llu, of which %llu again; ",
                   text_u64(t->kernels), text_u64(t->kernels_again));
    rf_explain_put_decimal(sink, t->flops / 1e6, 1);
    rf_explain_put(sink, " MFLOP, of which ");
    rf_explain_put_decimal(sink, t->flops_again / 1e6, 1);
    rf_explain_put(sink, " again\n");
}

/* Eleven characters, with two decimals. */
static void text_column(explain_sink *sink, double value)
{
    uint64_t hundredths = value < 1e15 ? (uint64_t)(value * 100 + 0.5) : 0;
    rf_explain_say(sink, "%7llu.%02llu ", text_u64(hundredths / 100), text_u64(hundredths % 100));
}

static void text_region(explain_sink *sink, const rf_explain_region *r)
{
    rf_explain_say(sink, "  %8llu %8llu %14llu %14llu %8llu ", text_u64(r->calls),
                   text_u64(r->runs_again), text_u64(r->kept), text_u64(r->avoided),
                   text_u64(r->kernels_again));
    text_column(sink, r->flops_again / 1e6);
    text_column(sink, r->seconds_again * 1e3);
    rf_explain_put(sink, " ");
    rf_explain_put(sink, *r->path ? r->path : *r->label ? "" : "(no module)");
    if (*r->label) {
        rf_explain_put(sink, *r->path ? " " : "");
        rf_explain_put(sink, r->label);
    }
    rf_explain_put(sink, "\n");
}

static void text_regions(explain_sink *sink, const rf_explain *e, const rf_explain_totals *t)
{
    if (!rf_explain_num_regions(e)) {
        rf_explain_put(sink, "regions  none\n");
        return;
    }
    rf_explain_say(sink, "regions  %llu bytes kept, %llu avoided\n", text_u64(t->kept),
                   text_u64(t->avoided));
    rf_explain_say(sink, "  %8s %8s %14s %14s %8s %10s %10s  %s\n", "calls", "again", "bytes kept",
                   "bytes avoided", "kernels", "MFLOP", "ms", "region");
    for (size_t i = 0; i < rf_explain_num_regions(e); i++) {
        rf_explain_region region = rf_explain_region_at(e, i);
        text_region(sink, &region);
    }
}

rf_status rf_explain_text(const rf_explain *e, rf_write write)
{
    explain_sink sink = {write, RF_OK};
    rf_explain_totals totals = rf_explain_total(e);
    if (e->running)
        return rf_fail(e->ctx, RF_E_STATE, "a watch is asked for its text before it was stopped");
    text_peak(&sink, &totals);
    text_live(&sink, e, (double)totals.peak);
    text_time(&sink, &totals);
    text_regions(&sink, e, &totals);
    if (e->status)
        rf_explain_put(&sink, "note     memory ran out while watching: this is not all\n");
    return sink.status;
}
