/* walk.c: paths and visits. Trees are walked by parent pointers, so depth costs no stack. */
#include "nn/module.h"
#include "tensor/handle.h"

#include <string.h>

rf_module *rf_module_next(const rf_module *m, const rf_module *root)
{
    if (m->num_children)
        return m->children[0];
    for (; m != root; m = m->parent)
        if (m->index + 1 < m->parent->num_children)
            return m->parent->children[m->index + 1];
    return NULL;
}

/* The length of the path from root to m, with a dot after each name but the last. */
static size_t walk_length(const rf_module *m, const rf_module *root)
{
    size_t length = 0;
    for (; m != root; m = m->parent)
        length += strlen(m->name) + (m->parent != root);
    return length;
}

/* Write the path from root to m, ending at text + length. */
static void walk_write(const rf_module *m, const rf_module *root, char *text, size_t length)
{
    for (; m != root; m = m->parent) {
        size_t n = strlen(m->name);
        length -= n;
        memcpy(text + length, m->name, n);
        if (m->parent != root)
            text[--length] = '.';
    }
}

static const rf_module *walk_root(const rf_module *m)
{
    while (m->parent)
        m = m->parent;
    return m;
}

size_t rf_module_path(const rf_module *m, char *buffer, size_t bytes)
{
    const rf_module *root = walk_root(m);
    size_t length = walk_length(m, root);
    if (!bytes)
        return length;
    if (length < bytes) {
        walk_write(m, root, buffer, length);
        buffer[length] = 0;
        return length;
    }
    /* Too long: names from the root on, as many characters as fit. */
    size_t at = 0;
    buffer[0] = 0;
    for (size_t depth = 0;; depth++) {
        size_t up = 0;
        const rf_module *x = m;
        for (const rf_module *k = m; k != root; k = k->parent)
            up++;
        if (depth >= up)
            return length;
        for (size_t k = up - 1 - depth; k > 0; k--)
            x = x->parent;
        for (const char *c = x->name; *c && at + 1 < bytes; c++)
            buffer[at++] = *c;
        if (depth + 1 < up && at + 1 < bytes)
            buffer[at++] = '.';
        buffer[at] = 0;
        if (at + 1 >= bytes)
            return length;
    }
}

rf_module *rf_module_find(rf_module *m, const char *path)
{
    while (m && *path) {
        size_t n = strcspn(path, ".");
        rf_module *found = NULL;
        for (size_t i = 0; i < m->num_children && !found; i++)
            if (!strncmp(m->children[i]->name, path, n) && !m->children[i]->name[n])
                found = m->children[i];
        m = found;
        path += n;
        path += *path == '.' && path[1] ? 1 : 0;
        if (*path == '.')
            return NULL;
    }
    return m;
}

/* The tensor whose path ends in a name of a list: of params or of buffers. */
static rf_tensor *walk_tensor(const rf_module *m, const char *path, int buffers)
{
    for (;;) {
        const char *dot = strchr(path, '.');
        if (!dot)
            break;
        const rf_module *found = NULL;
        size_t n = (size_t)(dot - path);
        for (size_t i = 0; i < m->num_children && !found; i++)
            if (!strncmp(m->children[i]->name, path, n) && !m->children[i]->name[n])
                found = m->children[i];
        if (!found)
            return NULL;
        m = found;
        path = dot + 1;
    }
    const rf_named_list *list = buffers ? &m->buffers : &m->params;
    for (size_t i = 0; i < list->num; i++)
        if (!strcmp(list->v[i].name, path))
            return list->v[i].t;
    return NULL;
}

rf_tensor *rf_module_param(const rf_module *m, const char *path)
{
    return walk_tensor(m, path, 0);
}

rf_tensor *rf_module_buffer(const rf_module *m, const char *path)
{
    return walk_tensor(m, path, 1);
}

/* The path of m from root, with room for a dot, extra characters and the final zero. */
static char *walk_text(const rf_module *m, const rf_module *root, size_t extra, size_t *bytes)
{
    size_t length = walk_length(m, root);
    *bytes = length + extra + 2;
    char *text = rf_host_alloc(m->ctx, *bytes);
    if (text)
        walk_write(m, root, text, length);
    return text;
}

rf_status rf_module_each(rf_module *m, rf_module_visitor visit, void *payload)
{
    rf_status status = RF_OK;
    for (rf_module *at = m; at && !status; at = rf_module_next(at, m)) {
        size_t bytes;
        char *path = walk_text(at, m, 0, &bytes);
        status = path ? visit(payload, path, at) : rf_context_error(m->ctx)->code;
        rf_host_free(m->ctx, path, bytes);
    }
    return status;
}

/* Whether an earlier place of the tree under root holds the same tensor. One that is held once is
 * in one place only. */
static int walk_seen(const rf_module *root, const rf_module *until, size_t index,
                     const rf_tensor *t)
{
    if (t->holds <= 1)
        return 0;
    for (const rf_module *at = root; at; at = rf_module_next(at, root)) {
        size_t num = at == until ? index : at->params.num;
        for (size_t i = 0; i < num; i++)
            if (at->params.v[i].t == t)
                return 1;
        if (at == until)
            return 0;
    }
    return 0;
}

static rf_status walk_visit(rf_module *m, const rf_module *root, const rf_named *named,
                            rf_tensor_visitor visit, void *payload)
{
    size_t bytes, n = strlen(named->name), length = walk_length(m, root);
    char *path = walk_text(m, root, n, &bytes);
    if (!path)
        return rf_context_error(m->ctx)->code;
    if (length)
        path[length++] = '.';
    memcpy(path + length, named->name, n);
    rf_status status = visit(payload, path, named->t);
    rf_host_free(m->ctx, path, bytes);
    return status;
}

rf_status rf_module_each_param(rf_module *m, int all_paths, rf_tensor_visitor visit, void *payload)
{
    rf_status status = RF_OK;
    for (rf_module *at = m; at && !status; at = rf_module_next(at, m))
        for (size_t i = 0; i < at->params.num && !status; i++)
            if (all_paths || !walk_seen(m, at, i, at->params.v[i].t))
                status = walk_visit(at, m, &at->params.v[i], visit, payload);
    return status;
}

rf_status rf_module_each_buffer(rf_module *m, rf_tensor_visitor visit, void *payload)
{
    rf_status status = RF_OK;
    for (rf_module *at = m; at && !status; at = rf_module_next(at, m))
        for (size_t i = 0; i < at->buffers.num && !status; i++)
            status = walk_visit(at, m, &at->buffers.v[i], visit, payload);
    return status;
}
