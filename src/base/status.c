/* status.c: names and texts of status codes, generated from the one table in base.h. */
#include <refrain/base.h>

typedef struct status_row {
    rf_status status;
    const char *name;
    const char *text;
} status_row;

#define STATUS_ROW(name, number, text) {name, #name, text},
static const status_row status_rows[] = {RF_STATUS_TABLE(STATUS_ROW)};
#undef STATUS_ROW

static const status_row *status_find(rf_status status)
{
    for (size_t i = 0; i < sizeof status_rows / sizeof status_rows[0]; i++)
        if (status_rows[i].status == status)
            return &status_rows[i];
    return NULL;
}

const char *rf_status_name(rf_status status)
{
    const status_row *row = status_find(status);
    return row ? row->name : "unknown";
}

const char *rf_status_text(rf_status status)
{
    const status_row *row = status_find(status);
    return row ? row->text : "unknown status";
}

#define VERSION_TEXT_(a, b, c) #a "." #b "." #c
#define VERSION_TEXT(a, b, c)  VERSION_TEXT_(a, b, c)

const char *rf_version(void)
{
    return VERSION_TEXT(RF_VERSION_MAJOR, RF_VERSION_MINOR, RF_VERSION_PATCH);
}
