/* test_contract.c: the contract of composable APIs: rules R1 to R11 of the reference by name, and
 * beyond it: a failed apply leaves no trace, whatever it had done by then. */
#include "support/modules.h"

#include <stdio.h>

/* What an API of these tests is told to do, and what it noticed. It is its own state. */
typedef struct deed {
    rf_status (*act)(struct deed *d, rf_module *const *modules, size_t num);
    rf_status fails; /* after acting */
    void *seen;      /* its state, as asked for in apply */
    const void *opts;
    int applied, removed, ended;
    uint64_t hook;
    int hook_calls;
    const rf_api *api;
    const rf_api *other; /* another API that it applies, or takes away */
    void *other_state;
} deed;

static rf_status deed_apply(void *state, rf_module *const *modules, size_t num, const void *opts)
{
    deed *d = state;
    d->applied++;
    d->opts = opts;
    d->seen = rf_api_state(d->api, modules[0]);
    rf_status status = d->act ? d->act(d, modules, num) : RF_OK;
    return status ? status : d->fails;
}

static void deed_remove(void *state, rf_module *const *modules, size_t num)
{
    deed *d = state;
    d->removed++;
    for (size_t i = 0; i < num; i++)
        if (d->hook && rf_module_remove_hook(modules[i], d->hook))
            d->hook = 0;
}

static void deed_end(void *state)
{
    if (state)
        ((deed *)state)->ended++;
}

static const rf_api one = {sizeof(rf_api), "one", deed_apply, deed_remove, NULL, deed_end, NULL, 0};
static const rf_api two = {sizeof(rf_api), "two", deed_apply, deed_remove, NULL, deed_end, NULL, 0};
/* another API that is spelt like the first */
static const rf_api namesake = {sizeof(rf_api), "one", deed_apply, NULL, NULL, deed_end, NULL, 0};
static const rf_api strict = {sizeof(rf_api), "strict", deed_apply, deed_remove,
                              NULL,           deed_end, NULL,       1};
static const rf_api *const not_with[] = {&two, NULL};
static const rf_api jealous = {sizeof(rf_api), "jealous", deed_apply, deed_remove,
                               NULL,           deed_end,  not_with,   0};

static rf_status apply(const rf_api *api, rf_module *m, deed *d)
{
    d->api = api;
    return rf_api_apply(api, &m, 1, d, NULL);
}

static rf_module *tree(world *w)
{
    rf_module *m;
    assert_ok(w->ctx, part_tree(&m, w->ctx));
    return m;
}

/* ---- R1 to R4 ---- */

static rf_status note_call(void *payload, rf_module *m, rf_scope *s, rf_values *in)
{
    (void)payload;
    (void)s;
    (void)in;
    ((deed *)rf_api_state(&one, m))->hook_calls++;
    return RF_OK;
}

static rf_status act_add_hook(deed *d, rf_module *const *modules, size_t num)
{
    rf_module_hook hook = {note_call, NULL, NULL, NULL, NULL};
    rf_status status = RF_OK;
    for (size_t i = 0; i < num && !status; i++)
        status = rf_module_add_hook(modules[i], hook, &d->hook);
    return status;
}

/* AT-70 */
static void test_r1_state(void **state)
{
    world *w = *state;
    rf_module *m = tree(w);
    deed d = {.act = act_add_hook};
    assert_null(rf_api_state(&one, m));
    d.api = &one;
    assert_ok(w->ctx, rf_api_apply(&one, &m, 1, &d, "options"));
    assert_string_equal(d.opts, "options");
    assert_ptr_equal(d.seen, &d); /* in apply already */
    assert_ptr_equal(rf_api_state(&one, m), &d);
    assert_ptr_equal(rf_api_state(&one, m), &d);
    assert_null(rf_api_state(&one, rf_module_find(m, "a")));
    assert_null(rf_api_state(&two, m));
    assert_non_null(rf_module_call1(m, w->s, world_leaf(w, 1, 4, 0)));
    assert_int_equal(d.hook_calls, 1); /* visible in a hook, and can be changed there */
    rf_module_destroy(m);
    assert_int_equal(d.ended, 1);
}

/* AT-71 */
static void test_r2_registry(void **state)
{
    world *w = *state;
    rf_module *m = tree(w);
    deed d = {0}, e = {0};
    assert_int_equal(rf_module_num_apis(m), 0);
    assert_ok(w->ctx, apply(&one, m, &d));
    assert_int_equal(rf_module_num_apis(m), 1);
    assert_ok(w->ctx, apply(&two, m, &e));
    assert_int_equal(rf_module_num_apis(m), 2);
    assert_ptr_equal(rf_module_api(m, 0), &one);
    assert_ptr_equal(rf_module_api(m, 1), &two);
    assert_null(rf_module_api(m, 2));
    assert_int_equal(rf_module_num_apis(rf_module_find(m, "a")), 0);
    assert_ok(w->ctx, rf_api_remove(&one, m));
    assert_ptr_equal(rf_module_api(m, 0), &two);
    assert_int_equal(d.removed, 1);
    assert_int_equal(d.ended, 1);
    rf_module_destroy(m);
    assert_int_equal(e.removed, 0);
    assert_int_equal(e.ended, 1);
}

/* AT-72 */
static void test_r3_once_only(void **state)
{
    world *w = *state;
    rf_module *m = tree(w), *inner = rf_module_find(m, "a.inner");
    const rf_error *error = rf_context_error(w->ctx);
    deed d = {0}, e = {0};
    assert_ok(w->ctx, apply(&one, inner, &d));
    assert_int_equal(apply(&one, inner, &e), RF_E_APPLIED);
    assert_non_null(strstr(error->message, "one"));
    assert_non_null(strstr(error->message, "a.inner"));
    assert_int_equal(e.applied, 0);
    assert_int_equal(e.ended, 1);
    assert_ptr_equal(rf_api_state(&one, inner), &d);
    rf_module_destroy(m);
}

/* AT-73 */
static void test_r4_told_apart_by_address(void **state)
{
    world *w = *state;
    rf_module *m = tree(w);
    deed d = {0}, e = {0};
    assert_ok(w->ctx, apply(&one, m, &d));
    assert_ok(w->ctx, apply(&namesake, m, &e));
    assert_ptr_equal(rf_api_state(&one, m), &d);
    assert_ptr_equal(rf_api_state(&namesake, m), &e);
    assert_int_equal(rf_api_remove(&namesake, m), RF_E_UNSUPPORTED);
    assert_int_equal(rf_api_remove(&two, m), RF_E_NOT_FOUND);
    rf_module_destroy(m);
}

/* ---- R5 and R6: names ---- */

static rf_status act_add_param(deed *d, rf_module *const *modules, size_t num)
{
    (void)d;
    (void)num;
    return part_param(rf_module_find(modules[0], "b"), "more", 2, 0);
}

static rf_status act_add_buffer(deed *d, rf_module *const *modules, size_t num)
{
    (void)d;
    (void)num;
    return part_buffer(modules[0], "more", 2, 0);
}

static rf_status act_add_child(deed *d, rf_module *const *modules, size_t num)
{
    (void)d;
    (void)num;
    rf_module *child = part_add(rf_module_find(modules[0], "b"), "more");
    return part_param(part_add(child, "below"), "w", 2, 0);
}

static rf_status act_destroy_child(deed *d, rf_module *const *modules, size_t num)
{
    (void)d;
    (void)num;
    rf_module_destroy(rf_module_find(modules[0], "a"));
    return RF_OK;
}

static rf_status act_destroy_self(deed *d, rf_module *const *modules, size_t num)
{
    (void)d;
    (void)num;
    rf_module_destroy(modules[0]);
    return RF_OK;
}

/* AT-74 */
static void test_r5_names_are_kept(void **state)
{
    static const struct {
        rf_status (*act)(deed *d, rf_module *const *modules, size_t num);
        const char *says[2];
    } cases[] = {
        {act_add_param, {"added the parameter 'more'", "in b"}},
        {act_add_buffer, {"added the buffer 'more'", "in the root"}},
        {act_add_child, {"added the module 'more'", "in b"}},
        {act_destroy_child, {"tried to destroy", "a"}},
        {act_destroy_self, {"tried to destroy", "the root"}},
    };
    world *w = *state;
    char before[512], after[512];
    rf_module *m = tree(w), *a = rf_module_find(m, "a"), *inner = rf_module_find(m, "a.inner");
    rf_tensor *weight = rf_module_param(m, "a.inner.w");
    const rf_error *error = rf_context_error(w->ctx);
    uint64_t held = world_used(w, RF_MEM_PARAM), host = 0;
    part_names(m, before, sizeof before);
    size_t num = sizeof cases / sizeof cases[0];
    for (size_t k = 0; k < 2 * num; k++) { /* all of them twice: lists grow in the first round */
        size_t i = k % num;
        deed d = {.act = cases[i].act};
        assert_int_equal(apply(&one, m, &d), RF_E_NAMES);
        assert_non_null(strstr(error->message, cases[i].says[0]));
        assert_non_null(strstr(error->message, cases[i].says[1]));
        assert_int_equal(d.removed, 1);
        assert_int_equal(d.ended, 1);
        assert_string_equal(part_names(m, after, sizeof after), before);
        assert_ptr_equal(rf_module_find(m, "a"), a);
        assert_ptr_equal(rf_module_find(m, "a.inner"), inner);
        assert_ptr_equal(rf_module_param(m, "a.inner.w"), weight);
        assert_int_equal(rf_module_num_apis(m), 0);
        assert_int_equal(world_used(w, RF_MEM_PARAM), held);
        if (k < num)
            host = world_used(w, RF_MEM_OTHER);
        assert_int_equal(world_used(w, RF_MEM_OTHER), host);
    }
    assert_non_null(rf_module_call1(m, w->s, world_leaf(w, 1, 4, 0)));
    deed d = {0};
    assert_ok(w->ctx, apply(&one, m, &d));
    rf_module_destroy(m);
}

static rf_status act_replace_param(deed *d, rf_module *const *modules, size_t num)
{
    rf_tensor *t;
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    int64_t dims[2] = {4, 4}; /* more than lies in a storage itself: an allocation */
    (void)d;
    (void)num;
    opts.rank = 2;
    opts.dims = dims;
    opts.dtype = RF_F64;
    rf_status status = rf_tensor_create(&t, rf_module_context(modules[0]), &opts);
    if (status)
        return status;
    status = rf_module_set_param(rf_module_find(modules[0], "a"), "bias", t);
    rf_tensor_drop(t);
    return status;
}

/* AT-75, X15 */
static void test_r6_objects_may_change_unless_strict(void **state)
{
    world *w = *state;
    rf_module *m = tree(w);
    rf_tensor *bias = rf_tensor_hold(rf_module_param(m, "a.bias"));
    deed e = {.act = act_replace_param}, f = {.act = act_replace_param};
    assert_int_equal(apply(&strict, m, &e), RF_E_CONFLICT);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "'bias' in a"));
    assert_int_equal(e.removed, 1);
    assert_ptr_equal(rf_module_param(m, "a.bias"), bias);
    assert_ok(w->ctx, apply(&two, m, &f));
    assert_int_equal(rf_tensor_dtype(rf_module_param(m, "a.bias")), RF_F64);
    rf_tensor_drop(bias);
    rf_module_destroy(m);
}

/* ---- R7 to R9: groups ---- */

/* AT-76 */
static void test_r7_many_modules_one_state(void **state)
{
    world *w = *state;
    rf_module *m = tree(w), *n = tree(w);
    rf_module *first[2] = {m, rf_module_find(n, "a")}, *second[2] = {rf_module_find(m, "b"), n};
    rf_module *overlap[2] = {rf_module_find(m, "a"), m}, *twice[2] = {overlap[0], overlap[0]};
    deed d = {.api = &one}, e = {.api = &one}, f = {.api = &one};
    assert_ok(w->ctx, rf_api_apply(&one, first, 2, &d, NULL));
    assert_ok(w->ctx, rf_api_apply(&one, second, 2, &e, NULL));
    assert_ptr_equal(rf_api_state(&one, first[0]), &d);
    assert_ptr_equal(rf_api_state(&one, first[1]), &d);
    assert_ptr_equal(rf_api_state(&one, second[0]), &e);
    assert_int_equal(rf_api_apply(&one, overlap, 2, &f, NULL), RF_E_APPLIED);
    assert_null(rf_api_state(&one, overlap[0])); /* not half of it */
    assert_int_equal(rf_api_apply(&one, twice, 2, &f, NULL), RF_E_ARGUMENT);
    assert_int_equal(rf_api_apply(&one, twice, 0, &f, NULL), RF_E_ARGUMENT);
    assert_int_equal(f.ended, 3);
    assert_int_equal(f.applied, 0);
    assert_ok(w->ctx, rf_api_remove(&one, first[1])); /* from the whole group */
    assert_null(rf_api_state(&one, m));
    assert_int_equal(d.ended, 1);
    rf_module_destroy(m); /* one of e's goes, the other keeps the state */
    assert_int_equal(e.ended, 0);
    assert_ptr_equal(rf_api_state(&one, n), &e);
    rf_module_destroy(n);
    assert_int_equal(e.ended, 1);
}

/* AT-76 */
static void test_r7_trees_inside_each_other(void **state)
{
    world *w = *state;
    char before[512], after[512];
    rf_module *m = tree(w), *both[2] = {rf_module_find(m, "a"), m};
    part_names(m, before, sizeof before);
    for (int i = 0; i < 2; i++) {
        rf_module *list[2] = {both[i], both[!i]};
        deed d = {.api = &one, .fails = RF_E_IO};
        d.act = i ? act_add_child : act_add_hook;
        assert_int_equal(rf_api_apply(&one, list, 2, &d, NULL), RF_E_IO);
        assert_string_equal(part_names(m, after, sizeof after), before);
    }
    rf_module_destroy(m);
}

static rf_status act_leave(deed *d, rf_module *const *modules, size_t num)
{
    rf_status status = rf_api_remove(d->api, modules[num - 1]);
    d->hook_calls = (int)status;
    return d->fails ? status : RF_OK;
}

static rf_status act_destroy_last(deed *d, rf_module *const *modules, size_t num)
{
    (void)d;
    rf_module_destroy(modules[num - 1]);
    return RF_OK;
}

/* AT-76 (R8): an API cannot make fewer of the modules that it was given: taking itself off one of
 * them, or ending one, is refused; after a failure none of them is marked, after a success all. */
static void test_r8_as_many_modules_as_were_given(void **state)
{
    world *w = *state;
    rf_module *m = tree(w), *list[3] = {m, rf_module_find(m, "a"), rf_module_find(m, "b")};
    for (int i = 0; i < 3; i++) {
        deed d = {.api = &one, .act = i < 2 ? act_leave : act_destroy_last};
        d.fails = i == 0 ? RF_E_STATE : RF_OK;
        rf_status wanted = i == 0 ? RF_E_STATE : i == 1 ? RF_OK : RF_E_NAMES;
        assert_int_equal(rf_api_apply(&one, list, 3, &d, NULL), wanted);
        assert_int_equal(d.hook_calls, i < 2 ? RF_E_STATE : 0);
        for (size_t k = 0; k < 3; k++) {
            assert_ptr_equal(rf_api_state(&one, list[k]), wanted ? NULL : &d);
            assert_int_equal(rf_module_num_apis(list[k]), wanted ? 0 : 1);
        }
        assert_ptr_equal(rf_module_find(m, "b"), list[2]);
        if (!wanted)
            assert_ok(w->ctx, rf_api_remove(&one, list[2]));
        assert_int_equal(d.ended, 1);
    }
    rf_module_destroy(m);
}

static rf_status collect_modules(void *payload, const char *path, rf_module *m)
{
    rf_module ***at = payload;
    (void)path;
    *(*at)++ = m;
    return RF_OK;
}

/* AT-76 (R9): an API returns a status and no module, so what it was applied to is the same module
 * afterwards, of the same class, and so is all below it. */
static void test_r9_a_module_stays_itself(void **state)
{
    world *w = *state;
    rf_module *m = tree(w), *before[8], *after[8], **at = before;
    assert_ok(w->ctx, rf_module_each(m, collect_modules, &at));
    size_t num = (size_t)(at - before);
    deed d = {.act = act_add_hook};
    assert_ok(w->ctx, apply(&one, m, &d));
    assert_ok(w->ctx, rf_checkpoint(rf_module_find(m, "a"), NULL));
    at = after;
    assert_ok(w->ctx, rf_module_each(m, collect_modules, &at));
    assert_int_equal(at - after, num);
    assert_memory_equal(before, after, num * sizeof *before);
    for (size_t i = 0; i < num; i++)
        assert_ptr_equal(rf_module_class_of(after[i]), &part_class);
    assert_ptr_equal(rf_module_find(m, "a.inner"), before[2]);
    rf_module_destroy(m);
}

static void test_descriptors_are_checked(void **state)
{
    world *w = *state;
    rf_module *m = tree(w);
    deed d = {0};
    const rf_api broken[3] = {{sizeof(rf_api), "x", NULL, NULL, NULL, deed_end, NULL, 0},
                              {sizeof(rf_api), NULL, deed_apply, NULL, NULL, deed_end, NULL, 0},
                              {3, "x", deed_apply, NULL, NULL, deed_end, NULL, 0}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(rf_api_apply(&broken[i], &m, 1, &d, NULL), RF_E_ARGUMENT);
    assert_int_equal(d.ended, 3);
    rf_module_destroy(m);
}

/* X15 */
static void test_conflicts_in_both_orders(void **state)
{
    world *w = *state;
    rf_module *m = tree(w), *a = rf_module_find(m, "a");
    deed d = {0}, e = {0}, f = {0}, g = {0};
    assert_ok(w->ctx, apply(&jealous, m, &d));
    assert_int_equal(apply(&two, m, &e), RF_E_CONFLICT);
    assert_ok(w->ctx, apply(&two, a, &f));
    assert_int_equal(apply(&jealous, a, &g), RF_E_CONFLICT);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "jealous"));
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "two"));
    assert_int_equal(e.applied + g.applied, 0);
    assert_int_equal(e.ended + g.ended, 2);
    rf_module_destroy(m);
}

/* ---- R10: all or nothing ---- */

static rf_status act_everything(deed *d, rf_module *const *modules, size_t num)
{
    rf_module *m = modules[0], *a = rf_module_find(m, "a");
    rf_module_hook hook = {note_call, NULL, NULL, NULL, NULL};
    rf_status status = rf_module_add_hook(a, hook, NULL);
    if (!status && rf_module_remove_hook(m, d->hook) != RF_E_STATE) /* the user's stays */
        status = RF_E_UNSUPPORTED;
    if (!status)
        status = rf_module_add_hook(m, hook, NULL);
    if (!status)
        status = act_replace_param(d, modules, num);
    if (!status)
        status = rf_tensor_set_requires_grad(rf_module_param(m, "w"), 0);
    rf_module_train(a, 0);
    if (!status)
        status = rf_checkpoint(rf_module_find(m, "b"), NULL);
    if (!status)
        status = rf_api_apply(d->other, &a, 1, d->other_state, NULL);
    if (!status)
        status = act_add_child(d, modules, num);
    return status ? status : act_destroy_child(d, modules, num);
}

/* AT-77, X15 */
static void test_r10_a_failed_apply_leaves_no_trace(void **state)
{
    world *w = *state;
    rf_status (*acts[])(deed *, rf_module *const *, size_t) = {act_everything, act_add_param,
                                                               act_add_child, act_destroy_child};
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        rf_module *m = tree(w);
        char before[512], after[512];
        part_log log = {"", RF_OK, NULL};
        rf_tensor *bias = rf_module_param(m, "a.bias");
        deed other = {.api = &two, .fails = RF_OK};
        deed d = {.act = acts[i], .fails = RF_E_USER, .other = &two, .other_state = &other};
        deed user = {.act = act_add_hook};
        assert_ok(w->ctx, apply(&one, m, &user)); /* an earlier one, which must stay */
        d.hook = user.hook;
        part_names(m, before, sizeof before);
        if (apply(&namesake, m, &d) != RF_E_USER)
            fail_msg("case %zu: %s", i, rf_context_error(w->ctx)->message);
        assert_int_equal(rf_context_error(w->ctx)->code, RF_E_USER);
        assert_string_equal(part_names(m, after, sizeof after), before);
        assert_ptr_equal(rf_module_param(m, "a.bias"), bias);
        assert_true(rf_tensor_requires_grad(rf_module_param(m, "w")));
        assert_true(rf_module_training(rf_module_find(m, "a.inner")));
        assert_int_equal(rf_module_num_apis(m), 1);
        assert_int_equal(rf_module_num_apis(rf_module_find(m, "a")), 0);
        assert_false(rf_checkpoint_applied(rf_module_find(m, "b")));
        assert_int_equal(other.removed, other.applied); /* what it applied was taken away */
        assert_int_equal(other.ended, other.applied);
        assert_int_equal(d.removed, 0);
        assert_int_equal(d.ended, 1);
        assert_non_null(rf_module_call1(m, w->s, world_leaf(w, 1, 4, 0)));
        assert_int_equal(user.hook_calls, 1); /* the user's hook alone */
        d = (deed){.act = act_add_hook};
        assert_ok(w->ctx, apply(&namesake, m, &d)); /* and a retry succeeds */
        (void)log;
        rf_module_destroy(m);
    }
}

/* AT-77, X15: A graph from before a failed apply is as good as it was. */
static void test_r10_graphs_stay_valid(void **state)
{
    world *w = *state;
    rf_module *m = tree(w);
    deed other = {.api = &two}, d = {.act = act_everything, .fails = RF_E_USER};
    d.other = &two;
    d.other_state = &other;
    deed user = {.act = act_add_hook};
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    assert_ok(w->ctx, apply(&one, m, &user));
    rf_tensor *loss = rf_sum(w->s, rf_module_call1(m, w->s, world_leaf(w, 1, 4, 0)));
    d.hook = user.hook;
    assert_int_equal(apply(&namesake, m, &d), RF_E_USER);
    assert_ok(w->ctx, rf_backward(w->s, loss));
    rf_module_destroy(m);
}

static rf_status act_apply_itself(deed *d, rf_module *const *modules, size_t num)
{
    (void)num;
    return rf_api_apply(d->other, modules, 1, d->other_state, NULL);
}

static rf_status act_remove_other(deed *d, rf_module *const *modules, size_t num)
{
    (void)num;
    return rf_api_remove(d->other, modules[0]);
}

/* X15 */
static void test_from_inside_an_apply(void **state)
{
    world *w = *state;
    rf_module *m = tree(w);
    deed again = {.api = &one}, d = {.act = act_apply_itself}, e = {.act = act_remove_other};
    d.other = &one;
    d.other_state = &again;
    assert_int_equal(apply(&one, m, &d), RF_E_APPLIED);
    assert_int_equal(again.applied, 0);
    assert_int_equal(again.ended, 1);
    d = (deed){0};
    assert_ok(w->ctx, apply(&one, m, &d));
    e.other = &one;
    assert_int_equal(apply(&two, m, &e), RF_E_STATE);
    assert_ptr_equal(rf_api_state(&one, m), &d);
    /* one inside the other, both well */
    deed inner = {.api = &namesake, .act = act_add_hook}, outer = {.act = act_apply_itself};
    outer.other = &namesake;
    outer.other_state = &inner;
    assert_ok(w->ctx, apply(&two, m, &outer));
    assert_int_equal(rf_module_num_apis(m), 3);
    rf_module_destroy(m);
}

/* ---- R11: hooks ---- */

static void gradients(world *w, rf_module *m, float *out)
{
    static const char *const paths[] = {"w", "a.w", "a.inner.w"};
    rf_tensor *y = rf_module_call1(m, w->s, world_leaf(w, 2, 4, 0.3));
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    for (size_t i = 0; i < 3; i++) {
        rf_tensor *t = rf_module_param(m, paths[i]);
        assert_ok(w->ctx, rf_tensor_copy_out(rf_grad(t), out + 4 * i, 4 * sizeof *out));
        rf_grad_clear(t);
    }
}

/* AT-78 */
static void test_r11_hooks_change_nothing(void **state)
{
    world *w = *state;
    rf_module *plain = tree(w), *hooked = tree(w);
    deed d = {.act = act_add_hook};
    float a[12], b[12];
    assert_ok(w->ctx, apply(&one, hooked, &d));
    gradients(w, plain, a);
    gradients(w, hooked, b);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(d.hook_calls, 1);
    assert_ok(w->ctx, rf_api_remove(&one, hooked));
    gradients(w, hooked, b);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(d.hook_calls, 1);
    rf_module_destroy(plain);
    rf_module_destroy(hooked);
}

/* ---- every allocation may fail ---- */

/* AT-77, X18 */
static void test_every_allocation_may_fail(void **state)
{
    rf_status status = RF_E_MEMORY;
    (void)state;
    for (uint64_t k = 1; status; k++) {
        counting c = {0};
        rf_context *ctx;
        rf_module *m;
        char before[512], after[512];
        deed other = {.api = &two}, d = {.api = &one, .act = act_replace_param},
             user = {.api = &namesake};
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.alloc = counting_alloc;
        opts.alloc_payload = &c;
        assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
        assert_ok(ctx, part_tree(&m, ctx));
        user.act = act_add_hook;
        assert_ok(ctx, rf_api_apply(&namesake, &m, 1, &user, NULL));
        d.other = &two;
        d.other_state = &other;
        part_names(m, before, sizeof before);
        c.made = 0;
        c.fail_at = k;
        status = rf_api_apply(&one, &m, 1, &d, NULL);
        c.fail_at = 0;
        assert_true(status == RF_E_MEMORY || (!status && k > 1));
        assert_string_equal(part_names(m, after, sizeof after), before);
        assert_int_equal(rf_module_num_apis(m), status ? 1 : 2);
        assert_int_equal(d.ended, status != RF_OK);
        rf_module_destroy(m);
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_r1_state),
        ROW(test_r2_registry),
        ROW(test_r3_once_only),
        ROW(test_r4_told_apart_by_address),
        ROW(test_r5_names_are_kept),
        ROW(test_r6_objects_may_change_unless_strict),
        ROW(test_r7_many_modules_one_state),
        ROW(test_r7_trees_inside_each_other),
        ROW(test_r8_as_many_modules_as_were_given),
        ROW(test_r9_a_module_stays_itself),
        ROW(test_descriptors_are_checked),
        ROW(test_conflicts_in_both_orders),
        ROW(test_r10_a_failed_apply_leaves_no_trace),
        ROW(test_r10_graphs_stay_valid),
        ROW(test_from_inside_an_apply),
        ROW(test_r11_hooks_change_nothing),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
