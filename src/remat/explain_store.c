/* explain_store.c: what a watch keeps: lists, names, groups and the storages that are alive, in the
 * allocator's memory beside the ledger. It is used inside of what allocates and frees, so nothing
 * here touches the context; the first time that there is no memory is remembered in the watch.
 */
#include "remat/explain.h"

#include <string.h>

/* ---- lists of the allocator's memory ---- */

void *rf_explain_grow(rf_explain *e, const void *items, size_t old_bytes, size_t bytes)
{
    void *grown = rf_allocator_get(&e->alloc, bytes);
    if (!grown) {
        e->status = RF_E_MEMORY;
        return NULL;
    }
    memset(grown, 0, bytes);
    if (old_bytes)
        memcpy(grown, items, old_bytes);
    return grown;
}

void rf_explain_free(rf_explain *e, void *items, size_t bytes)
{
    rf_allocator_put(&e->alloc, items, bytes);
}

void rf_explain_list_free(rf_explain *e, explain_list *list)
{
    rf_explain_free(e, list->items, list->capacity * list->item_bytes);
    *list = (explain_list){0};
}

/* A zeroed item at the end; NULL: no memory. */
void *rf_explain_list_add(rf_explain *e, explain_list *list, size_t item_bytes)
{
    if (list->num == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        void *grown =
            rf_explain_grow(e, list->items, list->num * item_bytes, capacity * item_bytes);
        if (!grown)
            return NULL;
        rf_explain_free(e, list->items, list->capacity * item_bytes);
        *list = (explain_list){grown, list->num, capacity, item_bytes};
    }
    return memset((char *)list->items + list->num++ * item_bytes, 0, item_bytes);
}

const char *rf_explain_name_at(const rf_explain *e, uint32_t index)
{
    return index < e->names.num ? ((const explain_name *)e->names.items)[index].text : "";
}

/* The number of a text: the latest ones are the likeliest. */
uint32_t rf_explain_name_of(rf_explain *e, const char *text)
{
    if (!*text)
        return EXPLAIN_NONE;
    for (size_t i = e->names.num; i-- > 0;)
        if (!strcmp(rf_explain_name_at(e, (uint32_t)i), text))
            return (uint32_t)i;
    size_t bytes = strlen(text) + 1;
    char *copy = rf_explain_grow(e, NULL, 0, bytes);
    explain_name *name = copy ? rf_explain_list_add(e, &e->names, sizeof *name) : NULL;
    if (!name) {
        rf_explain_free(e, copy, bytes);
        return EXPLAIN_NONE;
    }
    *name = (explain_name){memcpy(copy, text, bytes), bytes};
    return (uint32_t)(e->names.num - 1);
}

/* ---- groups ---- */

uint32_t rf_explain_group_new(rf_explain *e, explain_group like)
{
    explain_group *group = rf_explain_list_add(e, &e->groups, sizeof *group);
    if (!group)
        return EXPLAIN_NONE;
    *group = like;
    return (uint32_t)(e->groups.num - 1);
}

uint32_t rf_explain_group_of(rf_explain *e, rf_mem_class cls, uint32_t path, uint32_t op)
{
    const explain_group *g = explain_groups(e);
    for (size_t i = e->groups.num; i-- > 0;)
        if (!g[i].before && g[i].cls == cls && g[i].path == path && g[i].op == op)
            return (uint32_t)i;
    return rf_explain_group_new(e, (explain_group){.cls = cls, .path = path, .op = op});
}

/* ---- storages ---- */

/* The place of a storage in the table, or the empty one where it belongs. */
static explain_storage *table_place(explain_storage *table, size_t size, uint64_t id)
{
    size_t at = (size_t)(id * 0x9E3779B97F4A7C15u >> 20) & (size - 1);
    while (table[at].id && table[at].id != id)
        at = (at + 1) & (size - 1);
    return &table[at];
}

static int table_room(rf_explain *e)
{
    size_t size = e->table_size ? 2 * e->table_size : 256;
    if (2 * (e->table_num + 1) <= e->table_size)
        return 1;
    explain_storage *table = rf_explain_grow(e, NULL, 0, size * sizeof *table);
    if (!table)
        return 0;
    for (size_t i = 0; i < e->table_size; i++)
        if (e->table[i].id)
            *table_place(table, size, e->table[i].id) = e->table[i];
    rf_explain_free(e, e->table, e->table_size * sizeof *table);
    e->table = table;
    e->table_size = size;
    return 1;
}

void rf_explain_storage_put(rf_explain *e, explain_storage storage)
{
    if (!table_room(e))
        return;
    *table_place(e->table, e->table_size, storage.id) = storage;
    e->table_num++;
}

/* Take a storage out, and close the gap for those that lie behind it. */
uint32_t rf_explain_storage_take(rf_explain *e, uint64_t id)
{
    explain_storage *place = e->table_size ? table_place(e->table, e->table_size, id) : NULL;
    if (!place || !place->id)
        return EXPLAIN_NONE;
    uint32_t group = place->group;
    size_t at = (size_t)(place - e->table);
    place->id = 0;
    e->table_num--;
    for (;;) {
        at = (at + 1) & (e->table_size - 1);
        explain_storage moved = e->table[at];
        if (!moved.id)
            return group;
        e->table[at].id = 0;
        *table_place(e->table, e->table_size, moved.id) = moved;
    }
}
