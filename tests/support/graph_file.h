/* graph_file.h: reads the graphs of tests/data/graphs, for tests and benches. Of damaged files it
 * says only that they are; what a user gives the command goes through a reader that says why. */
#ifndef RF_SUPPORT_GRAPH_FILE_H
#define RF_SUPPORT_GRAPH_FILE_H

#include "io/json.h"
#include "plan/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRAPH_FILE_NODES = 4096, GRAPH_FILE_INPUTS = 65536, GRAPH_FILE_BYTES = 1 << 20 };

typedef struct graph_file {
    rf_graph g;
    rf_graph_node *nodes; /* what g names */
    uint32_t *inputs;
} graph_file;

static inline double graph_file_number(const rf_json *j)
{
    char text[64] = "";
    memcpy(text, j->token, j->token_len < sizeof text - 1 ? j->token_len : sizeof text - 1);
    return strtod(text, NULL);
}

static inline int graph_file_key(const rf_json *j, const char *key)
{
    return j->token_len == strlen(key) && memcmp(j->token, key, j->token_len) == 0;
}

/* The rest of one node, whose object has just begun. */
static inline int graph_file_node(rf_json *j, rf_graph_node *n, uint32_t *inputs, size_t *num)
{
    *n = (rf_graph_node){.first_input = (uint32_t)*num};
    for (rf_json_kind kind; (kind = rf_json_next(j)) == RF_JSON_KEY;) {
        rf_json key = *j;
        kind = rf_json_next(j);
        if (graph_file_key(&key, "cost"))
            n->cost = graph_file_number(j);
        else if (graph_file_key(&key, "bytes"))
            n->bytes = (uint64_t)graph_file_number(j);
        else if (graph_file_key(&key, "workspace"))
            n->workspace = (uint64_t)graph_file_number(j);
        else if (graph_file_key(&key, "once"))
            n->once = kind == RF_JSON_TRUE;
        else if (graph_file_key(&key, "inputs")) {
            while ((kind = rf_json_next(j)) == RF_JSON_NUMBER && *num < GRAPH_FILE_INPUTS) {
                inputs[(*num)++] = (uint32_t)graph_file_number(j);
                n->num_inputs++;
            }
        } else
            kind = rf_json_skip(j, kind);
        if (kind == RF_JSON_ERROR)
            return 1;
    }
    return 0;
}

static inline int graph_file_parse(rf_json *j, graph_file *f)
{
    rf_graph *g = &f->g;
    *g = (rf_graph){.nodes = f->nodes, .inputs = f->inputs};
    if (rf_json_next(j) != RF_JSON_OBJECT)
        return 1;
    for (rf_json_kind kind; (kind = rf_json_next(j)) == RF_JSON_KEY;) {
        rf_json key = *j;
        kind = rf_json_next(j);
        if (!graph_file_key(&key, "nodes")) {
            if (rf_json_skip(j, kind) == RF_JSON_ERROR)
                return 1;
            continue;
        }
        for (; rf_json_next(j) == RF_JSON_OBJECT && g->num_nodes < GRAPH_FILE_NODES; g->num_nodes++)
            if (graph_file_node(j, &f->nodes[g->num_nodes], f->inputs, &g->num_inputs))
                return 1;
    }
    return !g->num_nodes;
}

static inline void graph_file_free(graph_file *f)
{
    free(f->nodes);
    free(f->inputs);
}

/* 0 if it was read: f is then freed with graph_file_free. */
static inline int graph_file_read(const char *path, graph_file *f)
{
    char *text = malloc(GRAPH_FILE_BYTES);
    FILE *file = fopen(path, "rb");
    int failed = 1;
    f->nodes = malloc(GRAPH_FILE_NODES * sizeof *f->nodes);
    f->inputs = malloc(GRAPH_FILE_INPUTS * sizeof *f->inputs);
    if (file && text && f->nodes && f->inputs) {
        rf_json j;
        rf_json_begin(&j, text, fread(text, 1, GRAPH_FILE_BYTES, file));
        failed = graph_file_parse(&j, f);
    }
    if (file)
        fclose(file);
    free(text);
    if (failed)
        graph_file_free(f);
    return failed;
}

#endif
