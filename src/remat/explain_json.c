/* explain_json.c: a watch as one JSON object. Bytes are whole numbers, seconds have nine decimals;
 * texts that are no UTF-8 have '?' where they are not. */
#include "base/utf8.h"
#include "remat/explain.h"

#include <string.h>

static void json_u64(explain_sink *sink, const char *key, uint64_t value)
{
    rf_explain_say(sink, "%s%llu", key, (unsigned long long)value);
}

static void json_real(explain_sink *sink, const char *key, double value, unsigned decimals)
{
    rf_explain_put(sink, key);
    rf_explain_put_decimal(sink, value, decimals);
}

static void json_text(explain_sink *sink, const char *key, const char *text)
{
    size_t len = strlen(text);
    rf_explain_say(sink, "%s\"", key);
    for (size_t i = 0, n; i < len; i += n ? n : 1) {
        n = rf_utf8_length(text + i, len - i);
        unsigned char c = (unsigned char)text[i];
        if (!n)
            rf_explain_put(sink, "?");
        else if (c == '"' || c == '\\')
            rf_explain_say(sink, "\\%c", c);
        else if (c < 0x20)
            rf_explain_say(sink, "\\u%04x", (unsigned)c);
        else
            rf_explain_say(sink, "%.*s", (int)n, text + i);
    }
    rf_explain_put(sink, "\"");
}

static void json_totals(explain_sink *sink, const rf_explain *e)
{
    rf_explain_totals t = rf_explain_total(e);
    json_real(sink, "{\"seconds\": ", t.seconds, 9);
    json_real(sink, ", \"recompute_seconds\": ", t.recompute_seconds, 9);
    json_u64(sink, ", \"kernels\": ", t.kernels);
    json_u64(sink, ", \"kernels_again\": ", t.kernels_again);
    json_real(sink, ", \"flops\": ", t.flops, 0);
    json_real(sink, ", \"flops_again\": ", t.flops_again, 0);
    json_u64(sink, ", \"bytes_kept\": ", t.kept);
    json_u64(sink, ", \"bytes_avoided\": ", t.avoided);
    json_u64(sink, ", \"limit\": ", t.limit);
    json_u64(sink, ", \"peak_bytes\": ", t.peak);
    json_real(sink, ", \"peak_seconds\": ", t.peak_seconds, 9);
    json_text(sink, ", \"peak_phase\": ", rf_phase_name(t.peak_phase));
    json_text(sink, ", \"peak_op\": ", t.peak_op);
    json_text(sink, ", \"peak_path\": ", t.peak_path);
    rf_explain_say(sink, ", \"complete\": %s", e->status ? "false" : "true");
}

static void json_regions(explain_sink *sink, const rf_explain *e)
{
    rf_explain_put(sink, ",\n\"regions\": [");
    for (size_t i = 0; i < rf_explain_num_regions(e); i++) {
        rf_explain_region r = rf_explain_region_at(e, i);
        json_text(sink, i ? ",\n{\"path\": " : "\n{\"path\": ", r.path);
        json_text(sink, ", \"label\": ", r.label);
        json_u64(sink, ", \"calls\": ", r.calls);
        json_u64(sink, ", \"runs_again\": ", r.runs_again);
        json_u64(sink, ", \"bytes_kept\": ", r.kept);
        json_u64(sink, ", \"bytes_avoided\": ", r.avoided);
        json_u64(sink, ", \"kernels_again\": ", r.kernels_again);
        json_real(sink, ", \"flops_again\": ", r.flops_again, 0);
        json_real(sink, ", \"seconds_again\": ", r.seconds_again, 9);
        rf_explain_put(sink, "}");
    }
    rf_explain_put(sink, "]");
}

static void json_live(explain_sink *sink, const rf_explain *e)
{
    rf_explain_put(sink, ",\n\"live_at_peak\": [");
    for (size_t i = 0; i < rf_explain_num_live(e); i++) {
        rf_explain_live live = rf_explain_live_at(e, i);
        json_text(sink, i ? ",\n{\"class\": " : "\n{\"class\": ", rf_mem_class_name(live.cls));
        json_text(sink, ", \"path\": ", live.path);
        json_text(sink, ", \"op\": ", live.op);
        rf_explain_say(sink, ", \"before\": %s", live.before ? "true" : "false");
        json_u64(sink, ", \"num\": ", live.num);
        json_u64(sink, ", \"bytes\": ", live.bytes);
        rf_explain_put(sink, "}");
    }
    rf_explain_put(sink, "]");
}

/* A row a point: seconds, phase, then bytes by class, in the order of "classes". */
static void json_points(explain_sink *sink, const rf_explain *e)
{
    rf_explain_put(sink, ",\n\"classes\": [");
    for (int cls = 0; cls < RF_MEM_CLASSES; cls++)
        json_text(sink, cls ? ", " : "", rf_mem_class_name((rf_mem_class)cls));
    rf_explain_put(sink, "],\n\"timeline\": [");
    for (size_t i = 0; i < rf_explain_num_points(e); i++) {
        rf_explain_point p = rf_explain_point_at(e, i);
        json_real(sink, i ? ",\n[" : "\n[", p.seconds, 9);
        json_text(sink, ", ", rf_phase_name(p.phase));
        for (int cls = 0; cls < RF_MEM_CLASSES; cls++)
            json_u64(sink, ", ", p.bytes[cls]);
        rf_explain_put(sink, "]");
    }
    rf_explain_put(sink, "]}\n");
}

rf_status rf_explain_json(const rf_explain *e, rf_write write)
{
    explain_sink sink = {write, RF_OK};
    if (e->running)
        return rf_fail(e->ctx, RF_E_STATE, "a watch is asked for its JSON before it was stopped");
    json_totals(&sink, e);
    json_regions(&sink, e);
    json_live(&sink, e);
    json_points(&sink, e);
    return sink.status;
}
