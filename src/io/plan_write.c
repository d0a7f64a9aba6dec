/* plan_write.c: a plan as a file of JSON (its form: refrain/plan.h). Times are whole nanoseconds,
 * so that what was read is written again alike. */
#include <refrain/io.h>

#include "io/builder.h"
#include "io/plan_file.h"
#include "plan/plan.h"

static void plan_write_number(rf_builder *b, const char *before, uint64_t value)
{
    rf_builder_add_text(b, before);
    rf_builder_add_number(b, value);
}

static uint64_t plan_nanoseconds(double seconds)
{
    return seconds > 0 && seconds < 1e6 ? (uint64_t)(seconds * 1e9 + 0.5)
           : seconds > 0                ? RF_PLAN_MOST_NS
                                        : 0;
}

static void plan_write_info(rf_builder *b, const rf_plan_info *info)
{
    plan_write_number(b, " \"budget\": ", info->budget);
    plan_write_number(b, ", \"peak\": ", info->peak);
    plan_write_number(b, ", \"nanoseconds\": ", plan_nanoseconds(info->seconds));
    plan_write_number(b, ",\n \"plain_peak\": ", info->plain_peak);
    plan_write_number(b, ", \"plain_nanoseconds\": ", plan_nanoseconds(info->plain_seconds));
    plan_write_number(b, ",\n \"smallest\": ", info->smallest);
    plan_write_number(b, ", \"bound\": ", info->bound);
}

static void plan_write_part(rf_builder *b, const rf_plan_own_part *part)
{
    rf_builder_add_text(b, "{\"path\": ");
    rf_builder_add_string(b, part->path);
    if (part->dial) {
        rf_builder_add_text(b, ", \"dial\": ");
        rf_builder_add_string(b, part->dial);
        plan_write_number(b, ", \"bytes\": ", part->bytes);
        rf_builder_add_text(b, "}");
        return;
    }
    if (part->count) {
        plan_write_number(b, ", \"first\": ", part->first);
        plan_write_number(b, ", \"count\": ", part->count);
    }
    rf_builder_add_text(b, ", \"fates\": ");
    rf_builder_add_string(b, part->fates);
    rf_builder_add_text(b, "}");
}

static void plan_write(rf_builder *b, const rf_plan *plan)
{
    rf_builder_add_text(b, "{\"format\": \"refrain-plan\", \"version\": 1,\n");
    plan_write_info(b, &plan->info);
    rf_builder_add_text(b, ",\n \"parts\": [");
    for (size_t i = 0; i < plan->num_parts; i++) {
        rf_builder_add_text(b, i ? ",\n  " : "\n  ");
        plan_write_part(b, &plan->parts[i]);
    }
    rf_builder_add_text(b, "],\n \"curve\": [");
    for (size_t i = 0; i < plan->num_points; i++) {
        plan_write_number(b, i ? ",\n  {\"peak\": " : "\n  {\"peak\": ", plan->points[i].peak);
        plan_write_number(b, ", \"nanoseconds\": ", plan_nanoseconds(plan->points[i].seconds));
        rf_builder_add_text(b, "}");
    }
    rf_builder_add_text(b, "]}\n");
}

rf_status rf_plan_save(const rf_plan *plan, const char *path)
{
    rf_builder b;
    rf_builder_begin(&b, plan->ctx);
    plan_write(&b, plan);
    rf_status status = b.status;
    if (!status)
        status = rf_text_write(plan->ctx, path, b.text, b.len);
    rf_builder_end(&b);
    return status;
}
