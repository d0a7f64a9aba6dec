/* page_rows.c: see page_rows.h. */
#include "support/page_rows.h"
#include "support/files.h"

#include <ctype.h>
#include <stdio.h>

#include <refrain/nn.h>

enum { N = 4 };

void page_do(world *w, const page_part *part)
{
    for (size_t i = 0; i < part->num; i++) {
        world sub = *w;
        if (!part->rows[i].use)
            continue;
        assert_ok(w->ctx, rf_scope_open(&sub.s, w->ctx, w->s));
        part->rows[i].use(&sub);
        if (rf_scope_status(sub.s))
            fail_msg("%s: %s", part->rows[i].there, rf_context_error(w->ctx)->message);
        rf_scope_close(sub.s);
        assert_int_equal(world_used(w, RF_MEM_ACTIVATION), 0);
    }
}

/* ---- the page ---- */

/* A file of the tree as one text, to be freed. */
static char *page_text(const page_part *part, const char *file)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", part->tree, file);
    size_t len;
    unsigned char *bytes = files_get(path, &len);
    char *text = malloc(len + 1);
    memcpy(text, bytes, len);
    text[len] = 0;
    free(bytes);
    return text;
}

/* The next cell of a line of a table, without quotes and spaces around; NULL: there is none. */
static char *page_cell(char **at)
{
    char *begin = *at + 1, *end = strchr(begin, '|'), *to = begin;
    if (!end)
        return NULL;
    *at = end;
    while (begin < end && *begin == ' ')
        begin++, to++;
    char *cell = to;
    for (; begin < end; begin++)
        if (*begin != '`')
            *to++ = *begin;
    while (to > cell && to[-1] == ' ')
        to--;
    *to = 0;
    return cell;
}

static size_t page_find(const page_part *part, const char *there)
{
    size_t i = 0;
    while (i < part->num && strcmp(part->rows[i].there, there) != 0)
        i++;
    if (i == part->num)
        fail_msg("docs/from-pytorch.md: the row '%s' is not done", there);
    return i;
}

/* Every public name in the text is one that the source uses. */
static void page_names(const char *text, const char *source)
{
    char name[64];
    for (const char *at = text; *at;) {
        size_t len = 0;
        while (isalnum((unsigned char)at[len]) || at[len] == '_')
            len++;
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        if ((!strncmp(name, "rf_", 3) || !strncmp(name, "RF_", 3)) && !strstr(source, name))
            fail_msg("docs/from-pytorch.md: %s is not used", name);
        at += len ? len : 1;
    }
}

static int page_has_nothing(const char *here)
{
    return !strncmp(here, "none", 4) || !strncmp(here, "the only way", 12);
}

static int page_is_ours(const page_part *part, const char *heading)
{
    int checkpointing = !strcmp(heading, "## torch.utils.checkpoint") ||
                        !strcmp(heading, "## Selective checkpointing");
    return checkpointing == part->checkpointing;
}

static void page_line(const page_part *part, char *line, const char *source)
{
    char *there = page_cell(&line), *here = page_cell(&line);
    assert_non_null(there);
    assert_non_null(here);
    size_t i = page_find(part, there);
    if (!part->rows[i].use && !page_has_nothing(here))
        fail_msg("%s: nothing is done for '%s'", there, here);
    page_names(here, source);
}

void page_check(const page_part *part)
{
    char *page = page_text(part, "docs/from-pytorch.md");
    char *source = page_text(part, part->source);
    size_t found = 0;
    int ours = 0;
    for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n")) {
        if (!strncmp(line, "## ", 3))
            ours = page_is_ours(part, line);
        if (!ours || line[0] != '|' || !strncmp(line, "|---", 4) || !strncmp(line, "| there ", 8))
            continue;
        page_line(part, line, source);
        found++;
    }
    assert_int_equal(found, part->num);
    free(page);
    free(source);
}

/* ---- what rows work on ---- */

rf_status page_sine(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    ((count *)payload)->calls++;
    out->v[0] = rf_exp(s, rf_sin(s, in->v[0]));
    return rf_scope_status(s);
}

rf_module *page_linears(world *w, int num)
{
    rf_module *row, *m;
    assert_ok(w->ctx, rf_nn_sequential(&row, w->ctx));
    for (int i = 0; i < num; i++) {
        assert_ok(w->ctx, rf_nn_linear(&m, w->ctx, N, N, 0));
        assert_ok(w->ctx, rf_nn_sequential_add(row, m));
        assert_ok(w->ctx, rf_nn_activation(&m, w->ctx, RF_ACTIVATION_TANH));
        assert_ok(w->ctx, rf_nn_sequential_add(row, m));
    }
    return row;
}

uint64_t page_step(world *w, rf_module *m, const char *op)
{
    rf_op_counts_reset(w->ctx);
    rf_tensor *loss = rf_sum(w->s, rf_module_call1(m, w->s, world_leaf(w, N, N, 0.1)));
    assert_ok(w->ctx, rf_backward(w->s, loss));
    return world_executed(w, op);
}
