/* params.c: how the parameters of a tree stand. See params.h.
 *
 * A region notices by the stamp, 64 bits for all of them; the marks, 4 bytes a parameter, are
 * there only to say which one it was. So two marks that are equal by chance cost a name, and never
 * let a change through.
 */
#include "nn/params.h"
#include "tensor/handle.h"

#include <string.h>

/* A walk over parameters, a tree at a time. */
typedef struct params_walk {
    const rf_module *top;
    const size_t *range;
    const rf_module *root, *m; /* m NULL: at the end */
    size_t child, index;
} params_walk;

static const rf_module *params_root(const rf_module *top, const size_t *range, size_t child)
{
    if (!range)
        return top;
    return child < range[1] && child < top->num_children ? top->children[child] : NULL;
}

static params_walk params_begin(const rf_module *top, const size_t *range)
{
    params_walk w = {.top = top, .range = range, .child = range ? range[0] : 0};
    w.root = w.m = params_root(top, range, w.child);
    return w;
}

static const rf_named *params_next(params_walk *w)
{
    while (w->m && w->index == w->m->params.num) {
        w->index = 0;
        w->m = rf_module_next(w->m, w->root);
        if (!w->m && w->range)
            w->m = w->root = params_root(w->top, w->range, ++w->child);
    }
    return w->m ? &w->m->params.v[w->index++] : NULL;
}

size_t rf_params_num(const rf_module *m, const size_t *range)
{
    params_walk w = params_begin(m, range);
    size_t num = 0;
    while (params_next(&w))
        num++;
    return num;
}

static uint64_t params_mix(uint64_t h, uint64_t value)
{
    return (h ^ value) * 0x9E3779B97F4A7C15u;
}

/* How one stands. */
static uint64_t params_mark(const rf_tensor *t)
{
    uint64_t h = params_mix((uint64_t)(uintptr_t)t, rf_tensor_version(t));
    h = params_mix(h ^ h >> 32, rf_tensor_requires_grad(t) ? 2 : 1);
    return h ^ h >> 29;
}

uint64_t rf_params_stamp(const rf_module *m, const size_t *range, uint32_t *marks)
{
    params_walk w = params_begin(m, range);
    const rf_named *named;
    uint64_t h = 0;
    while ((named = params_next(&w)) != NULL) {
        uint64_t mark = params_mark(named->t);
        if (marks)
            *marks++ = (uint32_t)(mark >> 32);
        h = params_mix(h, mark);
        h ^= h >> 29;
    }
    return h;
}

void rf_params_note_read(const rf_module *m, const size_t *range)
{
    params_walk w = params_begin(m, range);
    const rf_named *named;
    while ((named = params_next(&w)) != NULL)
        if (named->t->storage)
            rf_storage_note_read(named->t->storage);
}

static void params_write(const rf_module *m, const char *name, char *path, size_t bytes)
{
    size_t length = rf_module_path(m, path, bytes), n = strlen(name);
    length = length < bytes ? length : bytes - 1;
    if (length && length + 1 < bytes)
        path[length++] = '.';
    n = n < bytes - length ? n : bytes - length - 1;
    memcpy(path + length, name, n);
    path[length + n] = 0;
}

int rf_params_changed(const rf_module *m, const size_t *range, const uint32_t *marks, size_t num,
                      char *path, size_t bytes)
{
    params_walk w = params_begin(m, range);
    const rf_named *named;
    if (rf_params_num(m, range) != num)
        return 0;
    while ((named = params_next(&w)) != NULL)
        if (*marks++ != (uint32_t)(params_mark(named->t) >> 32)) {
            params_write(w.m, named->name, path, bytes);
            return 1;
        }
    return 0;
}

int rf_params_find(const void *m, const struct rf_storage *s, char *path, size_t bytes)
{
    const rf_module *root = m;
    const rf_named *named;
    while (root->parent)
        root = root->parent;
    params_walk w = params_begin(root, NULL);
    while ((named = params_next(&w)) != NULL)
        if (named->t->storage == s) {
            params_write(w.m, named->name, path, bytes);
            return 1;
        }
    return 0;
}
