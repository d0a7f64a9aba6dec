/* bag.c: see bag.h. */
#include "support/bag.h"

static rf_status bag_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m, (void)s, (void)in, (void)out;
    return RF_OK;
}

static const rf_module_class bag_class = {
    .size = sizeof(rf_module_class), .name = "Bag", .forward = bag_forward};

static double bag_value(uint64_t i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 31;
    return (double)(x >> 11) / 4503599627370496.0 - 1;
}

/* Elements that are a function of seed, to be freed. */
static void *bag_elements(const rf_tensor *t, uint64_t seed)
{
    size_t num = (size_t)rf_tensor_count(t);
    double *out = malloc(num * sizeof *out + 1);
    float *narrow = (float *)(void *)out;
    for (size_t i = 0; i < num; i++)
        if (rf_tensor_dtype(t) == RF_F64)
            out[i] = bag_value(seed + i);
        else
            narrow[i] = (float)bag_value(seed + i);
    return out;
}

static rf_status bag_add(bag *b, size_t i, const char *name, rf_tensor_options opts)
{
    rf_status status = rf_tensor_create(&b->params[i], b->ctx, &opts);
    if (status)
        return status;
    void *elements = bag_elements(b->params[i], i * 1000);
    if (opts.device == RF_DEVICE_CPU)
        status = rf_tensor_copy_from(b->params[i], elements, rf_tensor_bytes(b->params[i]));
    free(elements);
    if (!status)
        status = rf_module_add_param(b->m, name, b->params[i]);
    rf_tensor_drop(b->params[i]);
    return status;
}

rf_status bag_begin(bag *b, rf_context *ctx, rf_device device, int small)
{
    static const char *const names[BAG_PARAMS] = {"large", "wide", "few", "one", "still"};
    const int64_t dims[BAG_PARAMS][2] = {{small ? 40 : 1030, small ? 50 : 1021},
                                         {small ? 7 : 600, small ? 9 : 500},
                                         {11, 3},
                                         {1, 1},
                                         {4, 4}};
    *b = (bag){.ctx = ctx};
    rf_status status = rf_module_create(&b->m, ctx, &bag_class, NULL);
    for (size_t i = 0; i < BAG_PARAMS && !status; i++) {
        rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
        opts.dtype = i == 1 ? RF_F64 : RF_F32;
        opts.rank = i == 3 ? 0 : 2;
        opts.dims = dims[i];
        opts.device = device;
        opts.mem_class = RF_MEM_PARAM;
        status = bag_add(b, i, names[i], opts);
        if (!status && i < 4)
            b->bytes += (int64_t)rf_tensor_bytes(b->params[i]);
    }
    return status;
}

rf_status bag_optim(bag *b, int rule, rf_device moments)
{
    static const rf_param_group still[] = {{"still", 0, 0}, {"few", 0.5, 0.3}};
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    rf_sgd_options sgd = RF_SGD_OPTIONS_INIT;
    adamw.moments = sgd.moments = moments;
    adamw.groups = sgd.groups = still;
    adamw.num_groups = sgd.num_groups = 2;
    adamw.lr = 0.01;
    adamw.weight_decay = rule == 4 ? 0.1 : 0;
    if (rule >= 3)
        return rf_optim_adamw(&b->optim, b->m, &adamw);
    sgd.momentum = rule ? 0.9 : 0;
    sgd.dampening = rule == 1 ? 0.2 : 0;
    sgd.nesterov = rule == 2;
    return rf_optim_sgd(&b->optim, b->m, &sgd);
}

void bag_end(bag *b)
{
    rf_optim_destroy(b->optim);
    rf_module_destroy(b->m);
}

rf_status bag_grads(bag *b, int step)
{
    rf_scope *s;
    rf_status status = rf_scope_open(&s, b->ctx, NULL);
    if (status)
        return status;
    for (size_t i = 0; i < BAG_PARAMS && !status; i++) {
        rf_tensor *p = b->params[i];
        if ((i % 3 == 2 && step % 3 == 2) || !rf_tensor_requires_grad(p))
            continue;
        void *elements = bag_elements(p, (uint64_t)(step + 1) * 7777777 + i);
        rf_tensor *g = rf_tensor_copy_in(s, rf_tensor_dtype(p), rf_tensor_rank(p),
                                         rf_tensor_dims(p), elements);
        free(elements);
        status = g ? rf_grad_set(p, g) : rf_scope_status(s);
    }
    rf_scope_close(s);
    return status;
}

rf_status bag_step(bag *b, int step)
{
    rf_status status = bag_grads(b, step);
    if (!status)
        status = rf_optim_step(b->optim);
    rf_optim_zero_grad(b->optim);
    return status;
}

typedef struct bag_copy {
    unsigned char *bits;
    size_t len;
} bag_copy;

static rf_status bag_copy_one(void *payload, const char *path, rf_tensor *t)
{
    bag_copy *copy = payload;
    size_t bytes = rf_tensor_bytes(t), name = strlen(path);
    copy->bits = realloc(copy->bits, copy->len + name + bytes + 1);
    memcpy(copy->bits + copy->len, path, name);
    copy->len += name;
    rf_status status = rf_tensor_copy_out(t, copy->bits + copy->len, bytes);
    copy->len += bytes;
    return status;
}

unsigned char *bag_bits(bag *b, size_t *len)
{
    bag_copy copy = {NULL, 0};
    rf_status status = rf_module_each_param(b->m, 0, bag_copy_one, &copy);
    if (!status)
        status = rf_optim_each_state(b->optim, bag_copy_one, &copy);
    *len = copy.len;
    if (!status)
        return copy.bits;
    free(copy.bits);
    return NULL;
}
