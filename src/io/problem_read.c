/* problem_read.c: reading a problem's text: what graphs and chains have in common.
 *
 * The reader is strict where a slip would change the plan: what a member holds, members that are
 * there twice or not at all, and names that are almost those of optional members. Members that are
 * none of ours are passed over, for exporters write down where a graph came from.
 */
#include "io/problem.h"
#include "base/number.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PROBLEM_WORD = 32, PROBLEM_NAME_MOST = 1024 };
#define PROBLEM_BYTES_MOST ((uint64_t)1 << 53)
#define PROBLEM_COST_MOST  1e200

/* ---- errors ---- */

static size_t problem_line(const rf_json *j)
{
    size_t line = 1;
    for (size_t i = 0; i < j->at; i++)
        line += j->text[i] == '\n';
    return line;
}

rf_status rf_problem_fail(rf_problem_text *t, const char *format, ...)
{
    char what[512], item[48] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    for (char *c = what; *c; c++) /* keys may hold anything: an error is one line */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    if (t->item)
        snprintf(item, sizeof item, "%s %zu: ", t->item, t->index);
    return rf_fail(t->p->ctx, RF_E_FORMAT, "%.200s, line %zu, byte %zu: %s%s", t->name,
                   problem_line(&t->j), t->j.at, item, t->j.why ? t->j.why : what);
}

/* ---- values ---- */

/* The KEY or STRING that was just given, decoded; cut if it is too long, empty if it holds a zero.
 */
static void problem_decode(const rf_json *j, char *buffer, size_t bytes)
{
    size_t len = rf_json_decode(j->token, j->token_len, buffer, bytes - 1);
    len = len < bytes ? len : bytes - 1;
    buffer[memchr(buffer, 0, len) ? 0 : len] = 0;
}

static rf_status problem_number(rf_problem_text *t, const char *what, double *out)
{
    if (rf_json_next(&t->j) != RF_JSON_NUMBER || !rf_number_parse(t->j.token, t->j.token_len, out))
        return rf_problem_fail(t, "%s is no number", what);
    return RF_OK;
}

/* Whole numbers up to 2^53, which every program can write; 4096.0 and 4e3 are whole too. */
static rf_status problem_whole(rf_problem_text *t, const char *what, uint64_t *out)
{
    double value;
    rf_status status = problem_number(t, what, &value);
    if (status)
        return status;
    if (rf_number_parse_u64(t->j.token, t->j.token_len, out)) {
        if (*out <= PROBLEM_BYTES_MOST)
            return RF_OK;
    } else if (value >= 0 && value < (double)PROBLEM_BYTES_MOST && floor(value) == value) {
        *out = (uint64_t)value;
        return RF_OK;
    }
    return rf_problem_fail(t, "%s is no whole number from 0 to 2^53", what);
}

rf_status rf_problem_id(rf_problem_text *t, const char *what, uint64_t *out)
{
    return problem_whole(t, what, out);
}

rf_status rf_problem_bytes(rf_problem_text *t, const char *what, uint64_t *out)
{
    rf_status status = problem_whole(t, what, out);
    if (status)
        return status;
    t->total += *out;
    if (t->total > PROBLEM_BYTES_MOST)
        return rf_problem_fail(t, "all bytes together are more than 2^53");
    return RF_OK;
}

rf_status rf_problem_cost(rf_problem_text *t, const char *what, double *out)
{
    rf_status status = problem_number(t, what, out);
    if (!status && !(*out >= 0 && *out < PROBLEM_COST_MOST))
        return rf_problem_fail(t, "%s is no number from 0 to 1e200", what);
    *out += 0.0; /* -0 is 0 */
    return status;
}

rf_status rf_problem_flag(rf_problem_text *t, const char *what, uint8_t *out)
{
    rf_json_kind kind = rf_json_next(&t->j);
    if (kind != RF_JSON_TRUE && kind != RF_JSON_FALSE)
        return rf_problem_fail(t, "%s is neither true nor false", what);
    *out = kind == RF_JSON_TRUE;
    return RF_OK;
}

rf_status rf_problem_take_name(rf_problem_text *t)
{
    rf_problem_letters *l = &t->p->letters;
    rf_problem_ids *names = &t->p->names;
    char name[PROBLEM_NAME_MOST + 1];
    if (rf_json_next(&t->j) != RF_JSON_STRING)
        return rf_problem_fail(t, "name is no text");
    size_t len = rf_json_decode(t->j.token, t->j.token_len, name, PROBLEM_NAME_MOST);
    if (len > PROBLEM_NAME_MOST || memchr(name, 0, len))
        return rf_problem_fail(t, "name is longer than %d bytes, or holds a zero",
                               PROBLEM_NAME_MOST);
    name[len] = 0;
    names->v[names->num - 1] = (uint32_t)l->num;
    for (size_t i = 0; i <= len; i++) {
        rf_status status = rf_plan_grow(t->p->ctx, &l->v, l->num, &l->capacity, 1);
        if (status)
            return status;
        l->v[l->num++] = name[i];
    }
    return RF_OK;
}

/* ---- objects and lists ---- */

static int problem_member(const rf_problem_members *m, const char *key)
{
    int i = 0;
    while (i < m->num && strcmp(m->names[i], key) != 0)
        i++;
    return i;
}

/* A member that is none of ours, just before its value. */
static rf_status problem_unknown(rf_problem_text *t, const rf_problem_members *m, const char *key)
{
    const char *words[16];
    size_t num = 0;
    for (int i = 0; i < m->num; i++)
        if (m->optional >> i & 1)
            words[num++] = m->names[i];
    const char *meant = rf_nearest_word(key, words, num);
    if (meant && tolower((unsigned char)key[0]) == meant[0])
        return rf_problem_fail(t, "'%s' is not known: did you mean '%s'?", key, meant);
    if (rf_json_skip(&t->j, rf_json_next(&t->j)) == RF_JSON_ERROR)
        return rf_problem_fail(t, "broken JSON");
    return RF_OK;
}

static rf_status problem_lacks(rf_problem_text *t, const rf_problem_members *m, int lacking)
{
    int i = 0;
    while (!(lacking >> i & 1))
        i++;
    return rf_problem_fail(t, "%s lacks '%s'", m->what, m->names[i]);
}

rf_status rf_problem_object(rf_problem_text *t, const rf_problem_members *m, rf_problem_take take,
                            int *out)
{
    char key[PROBLEM_WORD];
    int seen = 0;
    rf_json_kind kind;
    rf_status status = RF_OK;
    while (!status && (kind = rf_json_next(&t->j)) == RF_JSON_KEY) {
        problem_decode(&t->j, key, sizeof key);
        int i = problem_member(m, key);
        if (i < m->num && seen >> i & 1)
            return rf_problem_fail(t, "'%s' is there twice", key);
        if (i < m->num)
            seen |= 1 << i;
        status = i < m->num ? take(t, i) : problem_unknown(t, m, key);
    }
    if (status)
        return status;
    if (kind != RF_JSON_OBJECT_END)
        return rf_problem_fail(t, "broken JSON");
    if (out)
        *out = seen;
    return m->required & ~seen ? problem_lacks(t, m, m->required & ~seen) : RF_OK;
}

rf_status rf_problem_list(rf_problem_text *t, const char *what,
                          rf_status (*take)(rf_problem_text *t))
{
    rf_json_kind kind;
    rf_status status = RF_OK;
    if (rf_json_next(&t->j) != RF_JSON_ARRAY)
        return rf_problem_fail(t, "%s is no list", what);
    while (!status && (kind = rf_json_next(&t->j)) == RF_JSON_OBJECT)
        status = take(t);
    if (!status && kind != RF_JSON_ARRAY_END)
        return rf_problem_fail(t, "%s holds something that is no object", what);
    return status;
}

/* ---- the whole ---- */

enum { WHOLE_KIND, WHOLE_NODES, WHOLE_INPUT, WHOLE_INPUT_GRADIENT, WHOLE_STAGES, WHOLE_MEMBERS };

static rf_status problem_kind(rf_problem_text *t)
{
    char kind[16];
    if (rf_json_next(&t->j) != RF_JSON_STRING)
        return rf_problem_fail(t, "kind is no text");
    problem_decode(&t->j, kind, sizeof kind);
    if (strcmp(kind, "graph") != 0 && strcmp(kind, "chain") != 0)
        return rf_problem_fail(t, "kind is '%s', not graph or chain", kind);
    t->p->kind = kind[0] == 'c' ? RF_PROBLEM_CHAIN : RF_PROBLEM_GRAPH;
    return RF_OK;
}

static rf_status problem_whole_member(rf_problem_text *t, int member)
{
    switch (member) {
    case WHOLE_KIND:
        return problem_kind(t);
    case WHOLE_NODES:
        return rf_problem_take_nodes(t);
    case WHOLE_INPUT:
        return rf_problem_bytes(t, "input_bytes", &t->p->chain.input);
    case WHOLE_INPUT_GRADIENT:
        return rf_problem_bytes(t, "input_gradient_bytes", &t->p->chain.input_gradient);
    default:
        return rf_problem_take_stages(t);
    }
}

static rf_status problem_graph(rf_problem_text *t, int seen)
{
    rf_problem *p = t->p;
    const char *why = NULL;
    if (seen & ~(1 << WHOLE_KIND | 1 << WHOLE_NODES))
        return rf_problem_fail(t, "a graph has nodes, and no input_bytes or stages");
    if (!p->nodes.num)
        return rf_problem_fail(t, "a graph without nodes");
    p->graph = (rf_graph){p->nodes.v, p->nodes.num, p->inputs.v, p->inputs.num};
    if (rf_graph_check(&p->graph, &why))
        return rf_problem_fail(t, "%s", why ? why : "no graph");
    return RF_OK;
}

static rf_status problem_chain(rf_problem_text *t, int seen)
{
    rf_problem *p = t->p;
    if (seen & 1 << WHOLE_NODES)
        return rf_problem_fail(t, "a chain has stages, and no nodes");
    if (!(seen & 1 << WHOLE_INPUT))
        return rf_problem_fail(t, "a chain lacks 'input_bytes'");
    if (!p->stages.num)
        return rf_problem_fail(t, "a chain without stages");
    if (!(seen & 1 << WHOLE_INPUT_GRADIENT))
        p->chain.input_gradient = p->chain.input;
    p->chain.stages = p->stages.v;
    p->chain.num_stages = p->stages.num;
    p->chain.options = p->options.v;
    p->chain.num_options = p->options.num;
    if (rf_chain_check(&p->chain))
        return rf_problem_fail(t, "no chain that can be planned");
    return RF_OK;
}

static rf_status problem_read(rf_problem_text *t)
{
    static const char *const names[WHOLE_MEMBERS] = {"kind", "nodes", "input_bytes",
                                                     "input_gradient_bytes", "stages"};
    static const rf_problem_members members = {"the problem", names, WHOLE_MEMBERS, 1 << WHOLE_KIND,
                                               1 << WHOLE_INPUT_GRADIENT};
    int seen;
    if (rf_json_next(&t->j) != RF_JSON_OBJECT)
        return rf_problem_fail(t, "no JSON object");
    rf_status status = rf_problem_object(t, &members, problem_whole_member, &seen);
    t->item = NULL;
    if (!status && rf_json_next(&t->j) != RF_JSON_END)
        return rf_problem_fail(t, "something follows the problem");
    if (status)
        return status;
    return t->p->kind == RF_PROBLEM_GRAPH ? problem_graph(t, seen) : problem_chain(t, seen);
}

rf_status rf_problem_read(rf_problem **out, rf_context *ctx, const char *text, size_t len,
                          const char *name)
{
    rf_problem_text t = {.name = name ? name : "problem"};
    *out = NULL;
    if (len > RF_PROBLEM_FILE_MOST)
        return rf_fail(ctx, RF_E_FORMAT, "%.200s: %zu bytes are more than the %d of a problem",
                       t.name, len, RF_PROBLEM_FILE_MOST);
    t.p = rf_plan_alloc(ctx, sizeof *t.p);
    if (!t.p)
        return rf_context_error(ctx)->code;
    t.p->ctx = ctx;
    rf_json_begin(&t.j, text, len);
    rf_status status = rf_plan_grow(ctx, &t.p->letters.v, 0, &t.p->letters.capacity, 1);
    if (!status) {
        t.p->letters.v[t.p->letters.num++] = 0;
        status = problem_read(&t);
    }
    if (status)
        rf_problem_destroy(t.p);
    else
        *out = t.p;
    return status;
}
