/* Files of problems that are damaged or hostile: each is refused with one line that says where and
 * what; and what looks odd but is none of that is read. */
#include "support/files.h"
#include "support/world.h"

#include <stdio.h>

#include <refrain/problem.h>

#define NODE0  "{\"id\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": []}"
#define GRAPH  "{\"kind\": \"graph\", \"nodes\": ["
#define OPTION "{\"saved_bytes\": 4, \"forward\": 1, \"backward\": 2}"
#define STAGE  "{\"output_bytes\": 4, \"forward\": 1, \"options\": [" OPTION "]}"
#define CHAIN  "{\"kind\": \"chain\", \"input_bytes\": 4, \"stages\": ["

static rf_status read_text(world *w, const char *text, size_t len)
{
    rf_problem *p;
    rf_status status = rf_problem_read(&p, w->ctx, text, len, "file.json");
    assert_int_equal(!p, !!status);
    rf_problem_destroy(p);
    return status;
}

typedef struct damage {
    const char *text, *told;
} damage;

static const damage damages[] = {
    {"", "file.json, line 1"},
    {"[]", "no JSON object"},
    {"{}", "lacks 'kind'"},
    {"{\"kind\": 7}", "kind is no text"},
    {"{\"kind\": \"tree\"}", "'tree', not graph or chain"},
    {"{\"kind\": \"graph\"}", "without nodes"},
    {"{\"kind\": \"graph\", \"nodes\": 7}", "nodes is no list"},
    {"{\"kind\": \"graph\", \"nodes\": [7]}", "no object"},
    {"{\"kind\": \"graph\", \"nodes\": []}", "without nodes"},
    {"{\"kind\": \"graph\", \"kind\": \"graph\", \"nodes\": []}", "'kind' is there twice"},
    {GRAPH NODE0 "]} x", "file.json, line 1"},
    {GRAPH NODE0 "], \"stages\": []}", "a graph has nodes"},
    {GRAPH NODE0 "], \"input_bytes\": 1}", "a graph has nodes"},
    {GRAPH "{}]}", "node 0: it lacks 'id'"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"inputs\": []}]}", "node 0: it lacks 'bytes'"},
    {GRAPH "{\"id\": 0, \"id\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": []}]}",
     "'id' is there twice"},
    {GRAPH "{\"id\": 1, \"cost\": 1, \"bytes\": 4, \"inputs\": []}]}", "node 0: its id is 1"},
    {GRAPH NODE0 "," NODE0 "]}", "node 1: its id is 0"},
    {GRAPH "{\"id\": -1, \"cost\": 1, \"bytes\": 4, \"inputs\": []}]}", "id is no whole number"},
    {GRAPH "{\"id\": \"0\", \"cost\": 1, \"bytes\": 4, \"inputs\": []}]}", "id is no number"},
    {GRAPH "{\"id\": 0, \"cost\": -1, \"bytes\": 4, \"inputs\": []}]}", "cost is no number from 0"},
    {GRAPH "{\"id\": 0, \"cost\": 1e999, \"bytes\": 4, \"inputs\": []}]}",
     "cost is no number from 0"},
    {GRAPH "{\"id\": 0, \"cost\": NaN, \"bytes\": 4, \"inputs\": []}]}", "node 0"},
    {GRAPH "{\"id\": 0, \"cost\": null, \"bytes\": 4, \"inputs\": []}]}", "cost is no number"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 4.5, \"inputs\": []}]}",
     "bytes is no whole number"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": -4, \"inputs\": []}]}", "bytes is no whole number"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 9007199254740993, \"inputs\": []}]}",
     "whole number"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 1e16, \"inputs\": []}]}",
     "bytes is no whole number"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 99999999999999999999, \"inputs\": []}]}", "whole"},
    {GRAPH
     "{\"id\": 0, \"cost\": 1, \"bytes\": 9007199254740992, \"workspace\": 1, \"inputs\": []}]}",
     "all bytes together"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": 7}]}", "inputs is no list"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": [0]}]}", "node 0: it reads node 0"},
    {GRAPH NODE0 ",\n{\"id\": 1, \"cost\": 1, \"bytes\": 4, \"inputs\": [2]}]}",
     "line 2, byte 121: node 1: it reads node 2"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": [[]]}]}", "an input is no number"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": [], \"once\": 1}]}", "neither true"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": [], \"name\": 1}]}",
     "name is no text"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": [], \"name\": \"a\\u0000\"}]}",
     "a zero"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": [], \"worksapce\": 9}]}",
     "did you mean 'workspace'"},
    {GRAPH "{\"id\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": [], \"Once\": true}]}",
     "did you mean 'once'"},
    {GRAPH "{\"id\\u0000\": 0, \"cost\": 1, \"bytes\": 4, \"inputs\": []}]}", "lacks 'id'"},
    {"{\"kind\": \"chain\", \"stages\": []}", "lacks 'input_bytes'"},
    {"{\"kind\": \"chain\", \"input_bytes\": 1}", "without stages"},
    {CHAIN STAGE "], \"nodes\": []}", "a chain has stages, and no nodes"},
    {CHAIN "{\"output_bytes\": 4, \"forward\": 1}]}", "stage 0: it lacks 'options'"},
    {CHAIN "{\"output_bytes\": 4, \"forward\": 1, \"options\": []}]}", "needs an option"},
    {CHAIN STAGE ", {\"output_bytes\": 5, \"forward\": 1, \"options\": [" OPTION "]}]}",
     "stage 1: saved_bytes of option 0 are less"},
    {CHAIN "{\"output_bytes\": 4, \"forward\": 1, \"options\": [{\"saved_bytes\": 4}]}]}",
     "an option lacks 'forward'"},
    {CHAIN
     "{\"output_bytes\": 4, \"forward\": 1, \"options\": [{\"saved_bytes\": 4, \"forward\": 1, "
     "\"backward\": -0.5}]}]}",
     "backward is no number from 0"},
    {CHAIN "{\"output_bytes\": 4, \"forward\": 1, \"gradientbytes\": 1, \"options\": [" OPTION
           "]}]}",
     "did you mean 'gradient_bytes'"},
};

static void test_damage(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const damage *d = &damages[i];
        rf_status status = read_text(w, d->text, strlen(d->text));
        const char *message = rf_context_error(w->ctx)->message;
        if (status != RF_E_FORMAT || !strstr(message, d->told) || strchr(message, '\n'))
            fail_msg("%s: %s: %s", d->text, rf_status_name(status), message);
        assert_int_equal(strncmp(message, "file.json", 9), 0);
    }
}

static void test_odd_but_good(void **state)
{
    static const char *const good[] = {
        GRAPH NODE0 "]}",
        "{\"nodes\": [" NODE0 "], \"kind\": \"graph\", \"name\": \"x\", \"source\": [[{}]], "
        "\"cost_unit\": null, \"plain_peak_bytes\": -1, \"comment\": {\"kind\": 1}}",
        GRAPH "{\"inputs\": [], \"bytes\": 4096.0, \"cost\": 1e-3, \"id\": 0, \"op\": \"conv\"}]}",
        GRAPH "{\"id\": 0, \"cost\": -0.0, \"bytes\": 9007199254740992, \"inputs\": []}]}",
        GRAPH NODE0 ", {\"id\": 1, \"cost\": 1, \"bytes\": 4, \"inputs\": [0, 0]}]}\n",
        CHAIN STAGE "]}",
        CHAIN STAGE "], \"input_gradient_bytes\": 0, \"name\": \"chain\"}",
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(w->ctx, read_text(w, good[i], strlen(good[i])));
}

/* A text that is cut short anywhere is refused; a file is read as its text is. */
static void test_truncation(void **state)
{
    static const char *const whole[] = {GRAPH NODE0 "]}", CHAIN STAGE ", " STAGE "]}"};
    world *w = *state;
    rf_problem *p;
    for (size_t i = 0; i < 2; i++)
        for (size_t cut = 0; cut < strlen(whole[i]); cut++)
            assert_int_equal(read_text(w, whole[i], cut), RF_E_FORMAT);
    files_put_text("problem.json", whole[1]);
    assert_ok(w->ctx, rf_problem_load(&p, w->ctx, "problem.json"));
    assert_int_equal(rf_problem_kind_of(p), RF_PROBLEM_CHAIN);
    assert_int_equal(rf_problem_num(p), 2);
    assert_string_equal(rf_problem_name(p, 1), "");
    assert_string_equal(rf_problem_name(p, 7), "");
    rf_problem_destroy(p);
    assert_int_equal(rf_problem_load(&p, w->ctx, "absent.json"), RF_E_IO);
    assert_null(p);
}

/* ---- too much ---- */

static void repeat(world *w, const char *front, const char *item, size_t num, const char *told)
{
    size_t len = strlen(front), item_len = strlen(item);
    char *text = malloc(len + num * item_len);
    assert_non_null(text);
    memcpy(text, front, len);
    for (size_t i = 0; i < num; i++, len += item_len)
        memcpy(text + len, item, item_len);
    assert_int_equal(read_text(w, text, len), RF_E_FORMAT);
    if (!strstr(rf_context_error(w->ctx)->message, told))
        fail_msg("%s", rf_context_error(w->ctx)->message);
    free(text);
}

static void test_limits(void **state)
{
    world *w = *state;
    repeat(w, GRAPH NODE0 ", {\"id\": 1, \"inputs\": [", "0,", RF_PROBLEM_INPUTS_MOST + 1,
           "more than 1048576 inputs");
    repeat(w, CHAIN, STAGE ",", RF_PROBLEM_STAGES_MOST + 1, "stage 1024: more than 1024");
    repeat(w, CHAIN "{\"options\": [", OPTION ",", RF_PROBLEM_OPTIONS_MOST + 1, "65536 options");
    repeat(w, GRAPH "{\"x\": ", "[", 100000, "node 0");
    repeat(w, "", "[", 100000, "line 1");
    size_t num = RF_PROBLEM_NODES_MOST + 1, at = 0;
    char *text = malloc(num * 64 + 64);
    assert_non_null(text);
    at += (size_t)sprintf(text, GRAPH);
    for (size_t i = 0; i < num; i++)
        at += (size_t)sprintf(text + at, "{\"id\":%zu,\"cost\":1,\"bytes\":1,\"inputs\":[]},", i);
    assert_int_equal(read_text(w, text, at), RF_E_FORMAT);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "node 8192: more than 8192"));
    free(text);
    assert_int_equal(read_text(w, "", (size_t)RF_PROBLEM_FILE_MOST + 1), RF_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_odd_but_good),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
