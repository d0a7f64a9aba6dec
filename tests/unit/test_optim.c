/* Optimisers, schedules and clipping: against plain doubles, and by their contracts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <refrain/refrain.h>

enum { ROWS = 3, COLUMNS = 5, NUM = ROWS * COLUMNS, STEPS = 20 };

typedef struct fixture {
    rf_context *ctx;
    rf_module *root;
    rf_tensor *weight, *bias; /* (ROWS, COLUMNS) and (COLUMNS); borrowed from root */
} fixture;

static rf_status forward_nothing(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m, (void)s, (void)in, (void)out;
    return RF_OK;
}

static const rf_module_class plain = {
    .size = sizeof(rf_module_class), .name = "Plain", .forward = forward_nothing};

/* A pseudo-random number in [-1, 1) that depends on nothing but its number. */
static double value_at(uint64_t i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 32;
    return (double)(x >> 11) / 4503599627370496.0 - 1;
}

static void to_host(rf_dtype dtype, double value, void *host, size_t i)
{
    if (dtype == RF_F64)
        ((double *)host)[i] = value;
    else
        ((float *)host)[i] = (float)value;
}

static double from_tensor(rf_tensor *t, size_t i)
{
    const void *data = rf_tensor_data(t);
    return rf_tensor_dtype(t) == RF_F64 ? ((const double *)data)[i] : ((const float *)data)[i];
}

static rf_tensor *add_param(rf_context *ctx, rf_module *m, const char *name, rf_dtype dtype,
                            rf_device device, size_t rank, const int64_t *dims)
{
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    double host[NUM];
    rf_tensor *t;
    opts.dtype = dtype;
    opts.device = device;
    opts.rank = rank;
    opts.dims = dims;
    opts.mem_class = RF_MEM_PARAM;
    assert_int_equal(rf_tensor_create(&t, ctx, &opts), RF_OK);
    for (size_t i = 0; i < (size_t)rf_tensor_count(t); i++)
        to_host(dtype, value_at(i), host, i);
    if (device == RF_DEVICE_CPU)
        assert_int_equal(rf_tensor_copy_from(t, host, rf_tensor_bytes(t)), RF_OK);
    assert_int_equal(rf_module_add_param(m, name, t), RF_OK);
    rf_tensor_drop(t);
    return t;
}

static void begin(fixture *f, rf_dtype dtype, rf_device device)
{
    const int64_t dims[2] = {ROWS, COLUMNS};
    assert_int_equal(rf_context_create(&f->ctx, NULL), RF_OK);
    assert_int_equal(rf_module_create(&f->root, f->ctx, &plain, NULL), RF_OK);
    f->weight = add_param(f->ctx, f->root, "weight", dtype, device, 2, dims);
    f->bias = add_param(f->ctx, f->root, "bias", dtype, device, 1, dims + 1);
}

static void end(fixture *f)
{
    rf_module_destroy(f->root);
    rf_context_destroy(f->ctx);
}

static double gradient_at(int step, size_t i)
{
    return value_at(1000u * (unsigned)(step + 1) + i);
}

/* Give t the gradient of a step. */
static void set_gradient(rf_context *ctx, rf_tensor *t, int step)
{
    double host[NUM];
    rf_scope *s;
    for (size_t i = 0; i < (size_t)rf_tensor_count(t); i++)
        to_host(rf_tensor_dtype(t), gradient_at(step, i), host, i);
    assert_int_equal(rf_scope_open(&s, ctx, NULL), RF_OK);
    rf_tensor *g =
        rf_tensor_copy_in(s, rf_tensor_dtype(t), rf_tensor_rank(t), rf_tensor_dims(t), host);
    assert_non_null(g);
    assert_int_equal(rf_grad_set(t, g), RF_OK);
    rf_scope_close(s);
}

static uint64_t bytes_of(rf_context *ctx, rf_device device, rf_mem_class cls)
{
    rf_memory_info info;
    assert_int_equal(rf_memory_get(ctx, device, cls, &info), RF_OK);
    return info.used;
}

static void assert_near(double got, double want, rf_dtype dtype)
{
    double tolerance = dtype == RF_F64 ? 1e-13 : 2e-6;
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want))))
        fail_msg("%.17g is not %.17g", got, want);
}

/* ---- the rules, in doubles ------------------------------------------------------------------ */

static void reference_adamw(const rf_adamw_options *o, int steps, size_t num, double *p)
{
    for (size_t i = 0; i < num; i++) {
        double m = 0, v = 0;
        p[i] = value_at(i);
        for (int t = 1; t <= steps; t++) {
            double g = gradient_at(t - 1, i);
            p[i] -= o->lr * o->weight_decay * p[i];
            m = o->beta1 * m + (1 - o->beta1) * g;
            v = o->beta2 * v + (1 - o->beta2) * g * g;
            double mean = m / (1 - pow(o->beta1, t)), square = v / (1 - pow(o->beta2, t));
            p[i] -= o->lr * mean / (sqrt(square) + o->eps);
        }
    }
}

static void reference_sgd(const rf_sgd_options *o, int steps, size_t num, double *p)
{
    for (size_t i = 0; i < num; i++) {
        double v = 0;
        p[i] = value_at(i);
        for (int t = 0; t < steps; t++) {
            double g = gradient_at(t, i) + o->weight_decay * p[i];
            v = t == 0 ? g : o->momentum * v + (1 - o->dampening) * g;
            double direction = o->nesterov ? g + o->momentum * v : v;
            p[i] -= o->lr * (o->momentum > 0 ? direction : g);
        }
    }
}

static void run(fixture *f, rf_optim *opt, int from, int steps)
{
    for (int step = from; step < from + steps; step++) {
        set_gradient(f->ctx, f->weight, step);
        set_gradient(f->ctx, f->bias, step);
        assert_int_equal(rf_optim_step(opt), RF_OK);
        rf_optim_zero_grad(opt);
        assert_null(rf_grad(f->weight));
    }
}

static void check_adamw(rf_dtype dtype)
{
    rf_adamw_options opts = RF_ADAMW_OPTIONS_INIT;
    double want[NUM];
    fixture f;
    rf_optim *opt;
    opts.lr = 0.03;
    opts.beta1 = 0.8;
    opts.beta2 = 0.95;
    opts.eps = 1e-6;
    opts.weight_decay = 0.2;
    begin(&f, dtype, RF_DEVICE_CPU);
    assert_int_equal(rf_optim_adamw(&opt, f.root, &opts), RF_OK);
    run(&f, opt, 0, STEPS);
    reference_adamw(&opts, STEPS, NUM, want);
    for (size_t i = 0; i < NUM; i++)
        assert_near(from_tensor(f.weight, i), want[i], dtype);
    for (size_t i = 0; i < COLUMNS; i++)
        assert_near(from_tensor(f.bias, i), want[i], dtype);
    assert_int_equal(rf_optim_steps(opt), STEPS);
    rf_optim_destroy(opt);
    end(&f);
}

static void adamw_is_its_formula(void **state)
{
    (void)state;
    check_adamw(RF_F64);
    check_adamw(RF_F32);
}

static void adamw_defaults(void **state)
{
    rf_adamw_options told = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    double want[NUM];
    fixture f;
    rf_optim *opt;
    (void)state;
    begin(&f, RF_F64, RF_DEVICE_CPU);
    assert_int_equal(rf_optim_adamw(&opt, f.root, NULL), RF_OK);
    assert_true(rf_optim_lr(opt) == 1e-3);
    run(&f, opt, 0, STEPS);
    reference_adamw(&told, STEPS, NUM, want);
    for (size_t i = 0; i < NUM; i++)
        assert_near(from_tensor(f.weight, i), want[i], RF_F64);
    rf_optim_destroy(opt);
    end(&f);
}

static void check_sgd(rf_dtype dtype, rf_sgd_options opts)
{
    double want[NUM];
    fixture f;
    rf_optim *opt;
    opts.size = sizeof opts;
    opts.lr = 0.05;
    begin(&f, dtype, RF_DEVICE_CPU);
    assert_int_equal(rf_optim_sgd(&opt, f.root, &opts), RF_OK);
    run(&f, opt, 0, STEPS);
    reference_sgd(&opts, STEPS, NUM, want);
    for (size_t i = 0; i < NUM; i++)
        assert_near(from_tensor(f.weight, i), want[i], dtype);
    rf_optim_destroy(opt);
    end(&f);
}

static void sgd_is_its_formula(void **state)
{
    static const rf_sgd_options cases[] = {
        {.lr = 0},
        {.weight_decay = 0.1},
        {.momentum = 0.9},
        {.momentum = 0.9, .dampening = 0.3, .weight_decay = 0.01},
        {.momentum = 0.7, .nesterov = 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_sgd(RF_F64, cases[i]);
        check_sgd(RF_F32, cases[i]);
    }
}

static void same_bits_every_time(void **state)
{
    float first[NUM], again[NUM];
    (void)state;
    for (int round = 0; round < 2; round++) {
        fixture f;
        rf_optim *opt;
        begin(&f, RF_F32, RF_DEVICE_CPU);
        assert_int_equal(rf_optim_adamw(&opt, f.root, NULL), RF_OK);
        run(&f, opt, 0, STEPS);
        memcpy(round ? again : first, rf_tensor_data(f.weight), sizeof first);
        rf_optim_destroy(opt);
        end(&f);
    }
    assert_memory_equal(first, again, sizeof first);
}

/* ---- groups, frozen parameters, ties --------------------------------------------------------- */

static void first_group_that_matches_decides(void **state)
{
    static const rf_param_group groups[] = {
        {"b*", (double)NAN, 0}, {"?eight", 0.5, (double)NAN}, {"*", 0, 0}};
    rf_adamw_options opts = RF_ADAMW_OPTIONS_INIT, told;
    double want[NUM];
    fixture f;
    rf_optim *opt;
    (void)state;
    opts.lr = 0.1;
    opts.beta1 = 0.9;
    opts.beta2 = 0.9;
    opts.eps = 1e-8;
    opts.weight_decay = 0.4;
    opts.groups = groups;
    opts.num_groups = 3;
    begin(&f, RF_F64, RF_DEVICE_CPU);
    assert_int_equal(rf_optim_adamw(&opt, f.root, &opts), RF_OK);
    run(&f, opt, 0, STEPS);
    told = opts;
    told.weight_decay = 0;
    reference_adamw(&told, STEPS, COLUMNS, want);
    for (size_t i = 0; i < COLUMNS; i++)
        assert_near(from_tensor(f.bias, i), want[i], RF_F64);
    told = opts;
    told.lr *= 0.5;
    reference_adamw(&told, STEPS, NUM, want);
    for (size_t i = 0; i < NUM; i++)
        assert_near(from_tensor(f.weight, i), want[i], RF_F64);
    rf_optim_destroy(opt);
    end(&f);
}

typedef struct names {
    char text[256];
    size_t num;
    uint64_t bytes;
} names;

static rf_status add_name(void *payload, const char *path, rf_tensor *t)
{
    names *all = payload;
    strncat(all->text, path, sizeof all->text - strlen(all->text) - 1);
    strncat(all->text, " ", sizeof all->text - strlen(all->text) - 1);
    all->num++;
    all->bytes += rf_tensor_bytes(t);
    return RF_OK;
}

static void state_is_named(void **state)
{
    rf_sgd_options sgd = RF_SGD_OPTIONS_INIT;
    names adamw_names = {"", 0, 0}, sgd_names = {"", 0, 0}, plain_names = {"", 0, 0};
    fixture f;
    rf_optim *opt;
    (void)state;
    begin(&f, RF_F32, RF_DEVICE_CPU);
    assert_int_equal(rf_optim_adamw(&opt, f.root, NULL), RF_OK);
    assert_int_equal(rf_optim_each_state(opt, add_name, &adamw_names), RF_OK);
    assert_string_equal(adamw_names.text, "step weight/m weight/v bias/m bias/v ");
    rf_optim_destroy(opt);
    assert_int_equal(rf_optim_sgd(&opt, f.root, &sgd), RF_OK);
    assert_int_equal(rf_optim_each_state(opt, add_name, &plain_names), RF_OK);
    assert_string_equal(plain_names.text, "step ");
    rf_optim_destroy(opt);
    sgd.momentum = 0.5;
    assert_int_equal(rf_optim_sgd(&opt, f.root, &sgd), RF_OK);
    assert_int_equal(rf_optim_each_state(opt, add_name, &sgd_names), RF_OK);
    assert_string_equal(sgd_names.text, "step weight/momentum bias/momentum ");
    rf_optim_destroy(opt);
    end(&f);
}

/* Neither a frozen parameter nor one of a group that stands still has moments or moves. */
static void what_is_frozen_costs_nothing(void **state)
{
    static const rf_param_group still[] = {{"bias", 0, 0}};
    rf_adamw_options opts = RF_ADAMW_OPTIONS_INIT;
    names all = {"", 0, 0};
    fixture f;
    rf_optim *opt;
    (void)state;
    begin(&f, RF_F32, RF_DEVICE_CPU);
    opts.groups = still;
    opts.num_groups = 1;
    assert_int_equal(rf_tensor_set_requires_grad(f.weight, 0), RF_OK);
    assert_int_equal(rf_optim_adamw(&opt, f.root, &opts), RF_OK);
    assert_int_equal(rf_optim_each_state(opt, add_name, &all), RF_OK);
    assert_string_equal(all.text, "step ");
    set_gradient(f.ctx, f.bias, 0);
    assert_int_equal(rf_optim_step(opt), RF_OK);
    for (size_t i = 0; i < COLUMNS; i++)
        assert_true(from_tensor(f.bias, i) == (double)(float)value_at(i));
    rf_optim_zero_grad(opt);
    assert_null(rf_grad(f.bias));
    rf_optim_destroy(opt);
    end(&f);
}

static void tied_parameters_count_once(void **state)
{
    names all = {"", 0, 0};
    rf_module *child;
    fixture f;
    rf_optim *opt;
    (void)state;
    begin(&f, RF_F32, RF_DEVICE_CPU);
    assert_int_equal(rf_module_create(&child, f.ctx, &plain, NULL), RF_OK);
    assert_int_equal(rf_module_add_param(child, "weight", f.weight), RF_OK);
    assert_int_equal(rf_module_add_child(f.root, "head", child), RF_OK);
    assert_int_equal(rf_optim_adamw(&opt, f.root, NULL), RF_OK);
    assert_int_equal(rf_optim_each_state(opt, add_name, &all), RF_OK);
    assert_string_equal(all.text, "step weight/m weight/v bias/m bias/v ");
    rf_optim_destroy(opt);
    end(&f);
}

/* ---- memory, state, devices ---------------------------------------------------------------------
 */

static void state_is_there_from_the_start(void **state)
{
    fixture f;
    rf_optim *opt;
    (void)state;
    begin(&f, RF_F32, RF_DEVICE_CPU);
    uint64_t before = bytes_of(f.ctx, RF_DEVICE_CPU, RF_MEM_OPTIM);
    assert_int_equal(rf_optim_adamw(&opt, f.root, NULL), RF_OK);
    uint64_t made = bytes_of(f.ctx, RF_DEVICE_CPU, RF_MEM_OPTIM);
    assert_true(made - before >= 2 * sizeof(float) * (NUM + COLUMNS));
    run(&f, opt, 0, 3);
    assert_true(bytes_of(f.ctx, RF_DEVICE_CPU, RF_MEM_OPTIM) == made);
    rf_optim_destroy(opt);
    assert_true(bytes_of(f.ctx, RF_DEVICE_CPU, RF_MEM_OPTIM) == before);
    end(&f);
}

/* A limit that leaves no room for the state: refused, and nothing stays behind. */
static void no_room_for_state(void **state)
{
    fixture f;
    rf_optim *opt = NULL;
    (void)state;
    begin(&f, RF_F32, RF_DEVICE_CPU);
    assert_int_equal(rf_memory_set_limit(f.ctx, RF_DEVICE_CPU, RF_MEM_OPTIM, 130), RF_OK);
    uint64_t before = bytes_of(f.ctx, RF_DEVICE_CPU, RF_MEM_OPTIM);
    assert_int_equal(rf_optim_adamw(&opt, f.root, NULL), RF_E_BUDGET);
    assert_null(opt);
    assert_true(bytes_of(f.ctx, RF_DEVICE_CPU, RF_MEM_OPTIM) == before);
    assert_int_equal(rf_memory_set_limit(f.ctx, RF_DEVICE_CPU, RF_MEM_OPTIM, 0), RF_OK);
    assert_int_equal(rf_optim_adamw(&opt, f.root, NULL), RF_OK);
    rf_optim_destroy(opt);
    end(&f);
}

/* Who has no gradient at a step is skipped, and its own count goes on from where it was. */
static void a_parameter_without_gradient_is_skipped(void **state)
{
    rf_adamw_options told = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    double want[NUM];
    fixture f;
    rf_optim *opt;
    (void)state;
    begin(&f, RF_F64, RF_DEVICE_CPU);
    assert_int_equal(rf_optim_adamw(&opt, f.root, NULL), RF_OK);
    for (int step = 0; step < 5; step++) {
        set_gradient(f.ctx, f.bias, step);
        assert_int_equal(rf_optim_step(opt), RF_OK);
        rf_optim_zero_grad(opt);
    }
    for (size_t i = 0; i < NUM; i++)
        assert_true(from_tensor(f.weight, i) == value_at(i));
    for (int step = 0; step < STEPS; step++) {
        set_gradient(f.ctx, f.weight, step);
        assert_int_equal(rf_optim_step(opt), RF_OK);
        rf_optim_zero_grad(opt);
    }
    reference_adamw(&told, STEPS, NUM, want);
    for (size_t i = 0; i < NUM; i++)
        assert_near(from_tensor(f.weight, i), want[i], RF_F64);
    rf_optim_destroy(opt);
    end(&f);
}

typedef struct copier {
    unsigned char bytes[4096];
    size_t at;
    int restore;
} copier;

static rf_status copy_state(void *payload, const char *path, rf_tensor *t)
{
    copier *c = payload;
    size_t bytes = rf_tensor_bytes(t);
    (void)path;
    assert_true(c->at + bytes <= sizeof c->bytes);
    rf_status status = c->restore ? rf_tensor_copy_from(t, c->bytes + c->at, bytes)
                                  : rf_tensor_copy_out(t, c->bytes + c->at, bytes);
    c->at += bytes;
    return status;
}

static void state_carried_over_gives_the_same_bits(void **state)
{
    copier c = {{0}, 0, 0};
    fixture whole, first, second;
    rf_optim *opt;
    float want[NUM];
    (void)state;
    begin(&whole, RF_F32, RF_DEVICE_CPU);
    assert_int_equal(rf_optim_adamw(&opt, whole.root, NULL), RF_OK);
    run(&whole, opt, 0, STEPS);
    memcpy(want, rf_tensor_data(whole.weight), sizeof want);
    rf_optim_destroy(opt);
    end(&whole);

    begin(&first, RF_F32, RF_DEVICE_CPU);
    assert_int_equal(rf_optim_adamw(&opt, first.root, NULL), RF_OK);
    run(&first, opt, 0, 7);
    assert_int_equal(rf_module_each_param(first.root, 0, copy_state, &c), RF_OK);
    assert_int_equal(rf_optim_each_state(opt, copy_state, &c), RF_OK);
    rf_optim_destroy(opt);
    end(&first);

    c.at = 0;
    c.restore = 1;
    begin(&second, RF_F32, RF_DEVICE_CPU);
    assert_int_equal(rf_optim_adamw(&opt, second.root, NULL), RF_OK);
    assert_int_equal(rf_module_each_param(second.root, 0, copy_state, &c), RF_OK);
    assert_int_equal(rf_optim_each_state(opt, copy_state, &c), RF_OK);
    rf_optim_set_steps(opt, 7);
    run(&second, opt, 7, STEPS - 7);
    assert_int_equal(rf_optim_steps(opt), STEPS);
    assert_memory_equal(want, rf_tensor_data(second.weight), sizeof want);
    rf_optim_destroy(opt);
    end(&second);
}

/* On the device without bytes: nothing is computed, and the ledger is that of the real thing. */
static void a_dry_step_has_the_same_ledger(void **state)
{
    uint64_t bytes[2];
    (void)state;
    for (int meta = 0; meta < 2; meta++) {
        rf_device device = meta ? RF_DEVICE_META : RF_DEVICE_CPU;
        fixture f;
        rf_optim *opt;
        begin(&f, RF_F32, device);
        assert_int_equal(rf_optim_adamw(&opt, f.root, NULL), RF_OK);
        bytes[meta] = bytes_of(f.ctx, device, RF_MEM_OPTIM);
        assert_int_equal(rf_optim_step(opt), RF_OK);
        assert_int_equal(rf_optim_steps(opt), 1);
        double norm = -1;
        assert_int_equal(rf_clip_grad_norm(f.root, 1, &norm), RF_OK);
        assert_true(norm == 0);
        assert_true(bytes_of(f.ctx, device, RF_MEM_OPTIM) == bytes[meta]);
        rf_optim_destroy(opt);
        end(&f);
    }
    assert_true(bytes[0] == bytes[1]);
}

/* A gradient whose strides have gaps moves the parameter like one without. */
static void strided_gradients(void **state)
{
    const int64_t dims[2] = {COLUMNS, ROWS};
    double host[NUM], want[NUM];
    rf_sgd_options opts = RF_SGD_OPTIONS_INIT;
    fixture f;
    rf_optim *opt;
    rf_scope *s;
    (void)state;
    begin(&f, RF_F64, RF_DEVICE_CPU);
    opts.lr = 1;
    assert_int_equal(rf_optim_sgd(&opt, f.root, &opts), RF_OK);
    for (size_t i = 0; i < NUM; i++)
        host[i] = value_at(500 + i);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < COLUMNS; c++)
            want[r * COLUMNS + c] = value_at(r * COLUMNS + c) - host[c * ROWS + r];
    assert_int_equal(rf_scope_open(&s, f.ctx, NULL), RF_OK);
    rf_scope_set_grad(s, 0);
    rf_tensor *g = rf_transpose_axes(s, rf_tensor_copy_in(s, RF_F64, 2, dims, host), 0, 1);
    assert_non_null(g);
    assert_int_equal(rf_grad_set(f.weight, g), RF_OK);
    rf_scope_close(s);
    assert_int_equal(rf_optim_step(opt), RF_OK);
    for (size_t i = 0; i < NUM; i++)
        assert_near(from_tensor(f.weight, i), want[i], RF_F64);
    rf_optim_destroy(opt);
    end(&f);
}

/* ---- refusals
 * ------------------------------------------------------------------------------------- */

static void refuse_adamw(fixture *f, rf_adamw_options opts)
{
    rf_optim *opt = NULL;
    opts.size = sizeof opts;
    assert_int_equal(rf_optim_adamw(&opt, f->root, &opts), RF_E_ARGUMENT);
    assert_null(opt);
}

static void refuse_sgd(fixture *f, rf_sgd_options opts)
{
    rf_optim *opt = NULL;
    opts.size = sizeof opts;
    assert_int_equal(rf_optim_sgd(&opt, f->root, &opts), RF_E_ARGUMENT);
    assert_null(opt);
}

static void figures_that_make_no_sense(void **state)
{
    static const rf_param_group unnamed[] = {{NULL, 1, 0}}, negative[] = {{"*", -1, 0}};
    const int64_t dims[1] = {2};
    rf_optim *opt;
    fixture f;
    (void)state;
    begin(&f, RF_F32, RF_DEVICE_CPU);
    refuse_adamw(&f, (rf_adamw_options){.lr = -1});
    refuse_adamw(&f, (rf_adamw_options){.lr = (double)INFINITY});
    refuse_adamw(&f, (rf_adamw_options){.beta1 = 1});
    refuse_adamw(&f, (rf_adamw_options){.beta2 = -0.5});
    refuse_adamw(&f, (rf_adamw_options){.eps = (double)NAN});
    refuse_adamw(&f, (rf_adamw_options){.weight_decay = -0.1});
    refuse_adamw(&f, (rf_adamw_options){.groups = unnamed, .num_groups = 1});
    refuse_adamw(&f, (rf_adamw_options){.groups = negative, .num_groups = 1});
    refuse_sgd(&f, (rf_sgd_options){.momentum = -1});
    refuse_sgd(&f, (rf_sgd_options){.nesterov = 1});
    refuse_sgd(&f, (rf_sgd_options){.nesterov = 1, .momentum = 0.9, .dampening = 0.1});
    add_param(f.ctx, f.root, "half", RF_BF16, RF_DEVICE_CPU, 1, dims);
    assert_int_equal(rf_optim_adamw(&opt, f.root, NULL), RF_E_DTYPE);
    end(&f);
}

/* ---- clipping
 * --------------------------------------------------------------------------------------- */

static void clipping(void **state)
{
    double norm, sum = 0, again;
    fixture f;
    (void)state;
    begin(&f, RF_F64, RF_DEVICE_CPU);
    assert_int_equal(rf_clip_grad_norm(f.root, 1, &norm), RF_OK);
    assert_true(norm == 0);
    set_gradient(f.ctx, f.weight, 0);
    set_gradient(f.ctx, f.bias, 0);
    for (size_t i = 0; i < NUM; i++)
        sum += gradient_at(0, i) * gradient_at(0, i) * (i < COLUMNS ? 2 : 1);
    assert_int_equal(rf_clip_grad_norm(f.root, 0, &norm), RF_OK);
    assert_near(norm, sqrt(sum), RF_F64);
    assert_int_equal(rf_clip_grad_norm(f.root, 2 * norm, NULL), RF_OK);
    for (size_t i = 0; i < NUM; i++)
        assert_true(from_tensor(rf_grad(f.weight), i) == gradient_at(0, i));
    assert_int_equal(rf_clip_grad_norm(f.root, 0.25 * norm, &again), RF_OK);
    assert_true(again == norm);
    for (size_t i = 0; i < NUM; i++)
        assert_near(from_tensor(rf_grad(f.weight), i), 0.25 * gradient_at(0, i), RF_F64);
    assert_int_equal(rf_clip_grad_norm(f.root, 0, &again), RF_OK);
    assert_near(again, 0.25 * norm, RF_F64);
    end(&f);
}

/* ---- schedules
 * ---------------------------------------------------------------------------------------- */

static void schedules_at_their_corners(void **state)
{
    rf_schedule s = {RF_SCHEDULE_COSINE, 1.0, 0.1, 9, 109};
    (void)state;
    assert_true(rf_schedule_at(&s, 0) == 0.1);
    assert_true(rf_schedule_at(&s, 8) == 0.9);
    assert_true(rf_schedule_at(&s, 9) == 1.0);
    assert_near(rf_schedule_at(&s, 59), 0.55, RF_F64);
    assert_true(rf_schedule_at(&s, 109) == 0.1);
    assert_true(rf_schedule_at(&s, UINT64_MAX) == 0.1);
    for (uint64_t step = 10; step < 109; step++)
        assert_true(rf_schedule_at(&s, step) < rf_schedule_at(&s, step - 1));
    s.kind = RF_SCHEDULE_LINEAR;
    assert_true(rf_schedule_at(&s, 9) == 1.0);
    assert_near(rf_schedule_at(&s, 34), 0.775, RF_F64);
    assert_true(rf_schedule_at(&s, 109) == 0.1);
    s.kind = RF_SCHEDULE_CONSTANT;
    assert_true(rf_schedule_at(&s, 0) == 0.1);
    assert_true(rf_schedule_at(&s, 9) == 1.0 && rf_schedule_at(&s, 1000) == 1.0);
    s = (rf_schedule){RF_SCHEDULE_COSINE, 1.0, 0.1, 0, 0};
    assert_true(rf_schedule_at(&s, 0) == 0.1);
    s.warmup = 5;
    assert_true(rf_schedule_at(&s, 4) == 5.0 / 6 && rf_schedule_at(&s, 5) == 0.1);
    s = (rf_schedule){RF_SCHEDULE_LINEAR, 1.0, 0.0, 0, 1};
    assert_true(rf_schedule_at(&s, 0) == 1.0 && rf_schedule_at(&s, 1) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_is_its_formula),
        cmocka_unit_test(adamw_defaults),
        cmocka_unit_test(sgd_is_its_formula),
        cmocka_unit_test(same_bits_every_time),
        cmocka_unit_test(first_group_that_matches_decides),
        cmocka_unit_test(state_is_named),
        cmocka_unit_test(what_is_frozen_costs_nothing),
        cmocka_unit_test(tied_parameters_count_once),
        cmocka_unit_test(state_is_there_from_the_start),
        cmocka_unit_test(no_room_for_state),
        cmocka_unit_test(a_parameter_without_gradient_is_skipped),
        cmocka_unit_test(state_carried_over_gives_the_same_bits),
        cmocka_unit_test(a_dry_step_has_the_same_ledger),
        cmocka_unit_test(strided_gradients),
        cmocka_unit_test(figures_that_make_no_sense),
        cmocka_unit_test(clipping),
        cmocka_unit_test(schedules_at_their_corners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
