/* test_costs_file.c: costs in a file: what is written is read, what other machines wrote stays, and
 * a file that is damaged anywhere is refused where it was named, and done without where it was not.
 */
#include "support/files.h"
#include "support/world.h"

#include "io/costs.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRONT "{\"format\": \"refrain-costs\", \"version\": 1, \"machines\": ["

typedef struct logged {
    size_t lines;
    char last[512];
} logged;

static void log_line(void *payload, const char *line)
{
    logged *l = payload;
    l->lines++;
    snprintf(l->last, sizeof l->last, "%s", line);
}

typedef struct place {
    rf_context *ctx;
    rf_costs *costs;
    logged log;
} place;

static void begin(place *p, size_t threads)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    *p = (place){0};
    opts.threads = threads;
    opts.log = log_line;
    opts.log_payload = &p->log;
    assert_int_equal(rf_context_create(&p->ctx, &opts), RF_OK);
    assert_ok(p->ctx, rf_costs_create(&p->costs, p->ctx));
}

static void end(place *p)
{
    rf_memory_info info;
    rf_costs_destroy(p->costs);
    assert_ok(p->ctx, rf_memory_get(p->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    assert_int_equal(info.used, 0);
    rf_context_destroy(p->ctx);
}

static double seconds_of(place *p, const char *text)
{
    return rf_costs_seconds(p->costs, rf_cost_key_of_text(text, strlen(text)));
}

static void put(place *p, const char *text, double seconds)
{
    assert_int_equal(rf_costs_put(p->costs, text, seconds), RF_OK);
}

static int near(double a, double b)
{
    return a - b < 1e-9 && b - a < 1e-9;
}

/* One machine of a file, with one cost. */
static size_t machine(char *to, size_t bytes, const rf_costs_machine *m, const char *costs)
{
    return (size_t)snprintf(to, bytes,
                            "{\"cpu\": \"%s\", \"threads\": %zu, \"isa\": \"%s\", \"library\": "
                            "\"%s\", \"costs\": {%s}}",
                            m->cpu, m->threads, m->isa, m->library, costs);
}

static void test_round_trip(void **state)
{
    place p;
    char text[64];
    (void)state;
    begin(&p, 1);
    unlink("costs.json");
    assert_ok(p.ctx, rf_costs_load(p.costs, "costs.json")); /* not there yet */
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof text, "op f32(%d) > f32(3) #0%d", i, i % 10);
        put(&p, text, 1e-6 * (1 + i));
    }
    put(&p, "with \"quotes\" and \\", 2);
    put(&p, "short", 1e-12);
    assert_ok(p.ctx, rf_costs_save(p.costs, "costs.json"));
    end(&p);
    begin(&p, 1);
    put(&p, "short", 7); /* what was measured here counts more */
    assert_ok(p.ctx, rf_costs_load(p.costs, "costs.json"));
    assert_int_equal(rf_costs_num(p.costs, RF_COST_MEASURED), 502);
    assert_true(near(seconds_of(&p, "op f32(499) > f32(3) #09"), 5e-4));
    assert_true(near(seconds_of(&p, "with \"quotes\" and \\"), 2));
    assert_true(seconds_of(&p, "short") == 7);
    /* The same table gives the same file. */
    size_t len;
    put(&p, "short", 1e-9);
    unsigned char *first = files_get("costs.json", &len);
    assert_ok(p.ctx, rf_costs_save(p.costs, "costs.json"));
    assert_true(files_equal("costs.json", first, len));
    free(first);
    assert_int_equal(files_count(".", "costs.json"), 1);
    end(&p);
}

/* A measured cost that comes from a file is not measured again; one that is not in it is. */
static void test_measured_costs(void **state)
{
    place p;
    rf_scope *s;
    (void)state;
    unlink("measured.json");
    for (int round = 0; round < 2; round++) {
        begin(&p, 1);
        assert_ok(p.ctx, rf_costs_load(p.costs, "measured.json"));
        assert_int_equal(rf_costs_size(p.costs), round);
        rf_view view = {.shape = {.dtype = RF_F32, .rank = 1, .dims = {8}}, .strides = {1}}, out;
        unsigned char attrs[RF_MAX_ATTRS] = {0};
        out = view;
        rf_op_call call = {.ctx = p.ctx, .attrs = attrs, .num_in = 1, .num_out = 1};
        call.in = &view;
        call.out = &out;
        for (size_t i = 0; i < rf_op_count(p.ctx); i++)
            if (!strcmp(rf_op_at(p.ctx, i)->name, "exp"))
                call.op = rf_op_at(p.ctx, i);
        assert_true(rf_costs_of(p.costs, &call) > 0);
        assert_int_equal(rf_costs_num(p.costs, RF_COST_UNKNOWN), 1 - round);
        assert_ok(p.ctx, rf_costs_measure(p.costs, NULL));
        assert_int_equal(rf_costs_num(p.costs, RF_COST_MEASURED), 1);
        assert_true(seconds_of(&p, "exp f32(8) > f32(8)") > 0);
        assert_ok(p.ctx, rf_costs_save(p.costs, "measured.json"));
        assert_ok(p.ctx, rf_scope_open(&s, p.ctx, NULL));
        rf_scope_close(s);
        end(&p);
    }
}

static void test_machines(void **state)
{
    place p;
    char text[4096];
    rf_costs_machine here, other;
    (void)state;
    begin(&p, 1);
    rf_costs_machine_here(&here, p.ctx);
    assert_true(here.cpu[0] > ' ');
    size_t len = (size_t)snprintf(text, sizeof text, "%s", FRONT);
    other = here;
    other.threads = 99;
    len += machine(text + len, sizeof text - len, &other, "\"of more threads\": 5");
    text[len++] = ',';
    other = here;
    other.isa = "sparc";
    len += machine(text + len, sizeof text - len, &other, "\"of another isa\": 5");
    text[len++] = ',';
    other = here;
    other.library = "0.0.1";
    len += machine(text + len, sizeof text - len, &other, "\"outdated\": 5");
    text[len++] = ',';
    len += machine(text + len, sizeof text - len, &here, "\"of mine\": 3000, \"twice\": 4");
    text[len++] = ',';
    other = here;
    strcpy(other.cpu, "Abacus \\u00e9");
    len += machine(text + len, sizeof text - len, &other, "\"of another cpu\": 5");
    len += (size_t)snprintf(text + len, sizeof text - len, "], \"more\": [1, {\"x\": null}]}");
    files_put("machines.json", text, len);
    assert_ok(p.ctx, rf_costs_load(p.costs, "machines.json"));
    assert_int_equal(rf_costs_size(p.costs), 2);
    assert_true(near(seconds_of(&p, "of mine"), 3e-6));
    end(&p);
    /* Saving keeps the others and what is not in the table, and drops what is outdated. */
    begin(&p, 1);
    put(&p, "new", 1);
    assert_ok(p.ctx, rf_costs_save(p.costs, "machines.json"));
    end(&p);
    unsigned char *bytes = files_get("machines.json", &len);
    assert_true(len < sizeof text);
    memcpy(text, bytes, len);
    text[len] = 0;
    free(bytes);
    assert_non_null(strstr(text, "of more threads"));
    assert_non_null(strstr(text, "of another isa"));
    assert_non_null(strstr(text, "Abacus \\u00e9"));
    assert_non_null(strstr(text, "of mine"));
    assert_non_null(strstr(text, "new"));
    assert_null(strstr(text, "outdated"));
    begin(&p, 99);
    assert_ok(p.ctx, rf_costs_load(p.costs, "machines.json"));
    assert_int_equal(rf_costs_size(p.costs), 1);
    assert_true(seconds_of(&p, "of more threads") > 0);
    end(&p);
}

/* ---- damage ---- */

static void refused(place *p, const char *text, size_t len)
{
    files_put("damaged.json", text, len);
    rf_status status = rf_costs_load(p->costs, "damaged.json");
    if (status != RF_E_FORMAT)
        fail_msg("%.*s: %s", (int)len, text, rf_status_name(status));
    assert_int_equal(rf_costs_size(p->costs), 0);
    assert_non_null(strstr(rf_context_error(p->ctx)->message, "damaged.json"));
    /* Nor is it written over: it may be something else. */
    assert_int_equal(rf_costs_save(p->costs, "damaged.json"), RF_E_FORMAT);
    assert_true(files_equal("damaged.json", text, len));
}

static void test_damage(void **state)
{
    static const char *const damaged[] = {
        "[]",
        "{}",
        "7",
        "{\"format\": \"refrain-costs\", \"version\": 1}",
        "{\"format\": \"other\", \"version\": 1, \"machines\": []}",
        "{\"format\": \"refrain-costs\", \"version\": 2, \"machines\": []}",
        "{\"format\": \"refrain-costs\", \"version\": 1.0, \"machines\": []}",
        "{\"format\": \"refrain-costs\", \"version\": 1, \"machines\": {}}",
        FRONT "]} x",
        FRONT "7]}",
        FRONT "{}]}",
        FRONT "], \"version\": 1}",
        FRONT "{\"cpu\": \"a\", \"threads\": 1, \"isa\": \"b\", \"library\": \"c\"}]}",
        FRONT "{\"cpu\": \"a\", \"cpu\": \"a\", \"threads\": 1, \"isa\": \"b\", \"library\": "
              "\"c\", \"costs\": {}}]}",
        FRONT "{\"cpu\": 1, \"threads\": 1, \"isa\": \"b\", \"library\": \"c\", \"costs\": {}}]}",
    };
    static const char *const costs[] = {"\"a\"",
                                        "\"a\": 0",
                                        "\"a\": -1",
                                        "\"a\": 1.5",
                                        "\"a\": 1e3",
                                        "\"a\": \"1\"",
                                        "\"a\\u0000\": 1",
                                        "\"a\": null",
                                        "\"a\": 1000000000000001",
                                        "\"a\": 99999999999999999999",
                                        "\"good\": 1, \"a\": []"};
    place p;
    char text[4096];
    rf_costs_machine here;
    (void)state;
    begin(&p, 1);
    rf_costs_machine_here(&here, p.ctx);
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
        refused(&p, damaged[i], strlen(damaged[i]));
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++) {
        size_t len = (size_t)snprintf(text, sizeof text, "%s", FRONT);
        len += machine(text + len, sizeof text - len, &here, "\"good\": 5");
        text[len++] = ',';
        len += machine(text + len, sizeof text - len, &here, costs[i]);
        len += (size_t)snprintf(text + len, sizeof text - len, "]}");
        refused(&p, text, len);
    }
    end(&p);
}

/* Every file that is cut short is refused. */
static void test_truncation(void **state)
{
    place p;
    size_t len;
    (void)state;
    begin(&p, 1);
    unlink("cut.json");
    put(&p, "one", 1);
    put(&p, "two", 2);
    assert_ok(p.ctx, rf_costs_save(p.costs, "cut.json"));
    end(&p);
    char *text = (char *)files_get("cut.json", &len);
    begin(&p, 1);
    for (size_t cut = 0; cut + 1 < len; cut++) /* the last byte is a newline */
        refused(&p, text, cut);
    end(&p);
    free(text);
}

/* ---- the default path ---- */

static void test_default_path(void **state)
{
    place p;
    char folder[1024], path[RF_COSTS_PATH], expected[RF_COSTS_PATH];
    (void)state;
    assert_non_null(getcwd(folder, sizeof folder - 16));
    strcat(folder, "/cache");
    setenv("XDG_CACHE_HOME", folder, 1);
    snprintf(expected, sizeof expected, "%s/refrain/costs.json", folder);
    assert_string_equal(rf_costs_default_path(path), expected);
    unlink(expected);
    snprintf(path, sizeof path, "%s/refrain", folder);
    rmdir(path);
    rmdir(folder); /* both are made */
    begin(&p, 1);
    assert_ok(p.ctx, rf_costs_load(p.costs, NULL));
    put(&p, "one", 1);
    assert_ok(p.ctx, rf_costs_save(p.costs, NULL));
    assert_int_equal(p.log.lines, 0);
    assert_true(files_exist(expected));
    end(&p);
    /* A damaged one is logged, in one line, and then replaced. */
    files_put_text(expected, "{\"format\":");
    begin(&p, 1);
    assert_ok(p.ctx, rf_costs_load(p.costs, NULL));
    assert_int_equal(p.log.lines, 1);
    assert_non_null(strstr(p.log.last, "costs.json"));
    put(&p, "two", 2);
    assert_ok(p.ctx, rf_costs_save(p.costs, NULL));
    assert_int_equal(p.log.lines, 1);
    end(&p);
    begin(&p, 1);
    assert_ok(p.ctx, rf_costs_load(p.costs, NULL));
    assert_int_equal(rf_costs_size(p.costs), 1);
    assert_int_equal(p.log.lines, 0);
    /* A place that can't be written to is no failure either. */
    setenv("XDG_CACHE_HOME", "/proc/none", 1);
    assert_ok(p.ctx, rf_costs_load(p.costs, NULL));
    assert_ok(p.ctx, rf_costs_save(p.costs, NULL));
    assert_int_equal(p.log.lines, 1);
    assert_int_equal(rf_costs_save(p.costs, "/proc/none/costs.json"), RF_E_IO);
    end(&p);
    /* Only an absolute folder counts; then the home; then nothing. */
    setenv("XDG_CACHE_HOME", "cache", 1);
    setenv("HOME", "/home/of/somebody", 1);
    assert_string_equal(rf_costs_default_path(path), "/home/of/somebody/.cache/refrain/costs.json");
    unsetenv("HOME");
    assert_null(rf_costs_default_path(path));
    begin(&p, 1);
    assert_ok(p.ctx, rf_costs_load(p.costs, NULL));
    assert_ok(p.ctx, rf_costs_save(p.costs, NULL));
    end(&p);
}

/* ---- memory ---- */

static int fail_kth(uint64_t k)
{
    counting memory = {0};
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    rf_costs *costs = NULL;
    opts.alloc = counting_alloc;
    opts.alloc_payload = &memory;
    opts.threads = 1;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    memory.made = 0;
    memory.fail_at = k;
    rf_status status = rf_costs_create(&costs, ctx);
    if (!status)
        status = rf_costs_load(costs, "memory.json");
    if (!status)
        status = rf_costs_put(costs, "more", 1);
    if (!status)
        status = rf_costs_save(costs, "memory.json");
    assert_true(status == RF_OK || status == RF_E_MEMORY);
    int failed = memory.made >= k;
    memory.fail_at = 0;
    if (costs) { /* the file is whole, and so is the table */
        assert_ok(ctx, rf_costs_load(costs, "memory.json"));
        assert_true(rf_costs_size(costs) >= 70);
    }
    rf_costs_destroy(costs);
    rf_context_destroy(ctx);
    assert_int_equal(memory.live, 0);
    return failed;
}

static void test_allocations_that_fail(void **state)
{
    place p;
    char text[64];
    uint64_t k = 1;
    (void)state;
    begin(&p, 1);
    unlink("memory.json");
    for (int i = 0; i < 70; i++) {
        snprintf(text, sizeof text, "op number %d", i);
        put(&p, text, 1);
    }
    assert_ok(p.ctx, rf_costs_save(p.costs, "memory.json"));
    end(&p);
    while (fail_kth(k))
        k++;
    assert_true(k > 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_measured_costs),
        cmocka_unit_test(test_machines),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_default_path),
        cmocka_unit_test(test_allocations_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
