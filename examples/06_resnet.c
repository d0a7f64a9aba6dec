/* 06_resnet.c: a small ResNet on images of handwritten digits, every residual block checkpointed:
 * batch norm's running statistics move once a step, however often a block is computed.
 *
 *     06_resnet [STEPS [FOLDER]]
 *
 * 100 steps are a second or two and about 95 % right; 200 are a little better. */
#include <refrain/refrain.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELD_OUT = 297, BATCH = 50 };

/* The largest of each row of logits is the answer: how many are right? */
static rf_status count_right(rf_tensor *logits, rf_tensor *labels, int *right)
{
    float row[BATCH * 10];
    int32_t want[BATCH];
    int64_t n = rf_tensor_dim(logits, 0), classes = rf_tensor_dim(logits, 1);
    rf_status status = rf_tensor_copy_out(logits, row, rf_tensor_bytes(logits));
    if (!status)
        status = rf_tensor_copy_out(labels, want, rf_tensor_bytes(labels));
    for (int64_t i = 0; i < n && !status; i++) {
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++)
            best = row[i * classes + c] > row[i * classes + best] ? c : best;
        *right += best == want[i];
    }
    return status;
}

/* Batches of the held-out images, with the running statistics. */
static rf_status test(rf_context *ctx, rf_module *model, rf_images *data, double *accuracy)
{
    int right = 0;
    rf_status status = RF_OK;
    rf_module_train(model, 0);
    for (uint64_t i = 0; i * BATCH < HELD_OUT && !status; i++) {
        rf_scope *s;
        rf_tensor *x, *labels, *logits;
        status = rf_scope_open(&s, ctx, NULL);
        if (status)
            break;
        rf_scope_set_grad(s, 0);
        status = rf_images_held_out_batch(data, s, i, &x, &labels);
        logits = status ? NULL : rf_module_call1(model, s, x); /* (BATCH, 10) */
        status = logits ? count_right(logits, labels, &right) : rf_scope_status(s);
        rf_scope_close(s);
    }
    rf_module_train(model, 1);
    *accuracy = (double)right / HELD_OUT;
    return status;
}

static rf_status step(rf_context *ctx, rf_module *model, rf_images *data, double *loss)
{
    rf_scope *s;
    rf_tensor *pair[2], *result = NULL;
    rf_status status = rf_scope_open(&s, ctx, NULL);
    if (status)
        return status;
    status = rf_images_next(data, s, &pair[0], &pair[1]); /* (BATCH, 1, 8, 8) and (BATCH) */
    rf_values in = {pair, 2}, out = {&result, 1};
    if (!status)
        status = rf_module_call(model, s, &in, &out);
    if (!status)
        status = rf_backward(s, result);
    if (!status)
        status = rf_tensor_item(result, loss);
    rf_scope_close(s);
    return status;
}

static rf_status train(rf_context *ctx, rf_module *model, rf_images *data, int steps)
{
    rf_optim *opt;
    rf_sgd_options sgd = RF_SGD_OPTIONS_INIT;
    double loss = 0;
    sgd.momentum = 0.9;
    sgd.lr = 0.1;
    sgd.weight_decay = 5e-3;
    rf_status status = rf_optim_sgd(&opt, model, &sgd);
    for (int i = 1; i <= steps && !status; i++) {
        status = step(ctx, model, data, &loss);
        rf_optim_set_lr(opt, sgd.lr * (steps - i + 1) / steps); /* down to nothing */
        if (!status)
            status = rf_optim_step(opt);
        rf_optim_zero_grad(opt);
        if (!status && (i % 20 == 0 || i == steps))
            printf("step %3d  loss %.4f\n", i, loss);
    }
    rf_optim_destroy(opt);
    return status;
}

static rf_status make(rf_module **model, rf_context *ctx)
{
    rf_resnet_options opts = {sizeof opts, 1, 10, 16, {1, 1, 1, 0}, 1};
    rf_status status = rf_nn_resnet(model, ctx, &opts);
    for (size_t i = 0; !status && rf_nn_resnet_block(*model, i); i++)
        status = rf_checkpoint(rf_nn_resnet_block(*model, i), NULL);
    return status;
}

int main(int argc, char **argv)
{
    int steps = argc > 1 ? atoi(argv[1]) : 100;
    char folder[1024], images[1100], labels[1100];
    rf_context *ctx;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_images_options how = {sizeof how, BATCH, HELD_OUT, 1, 16};
    rf_module *model = NULL;
    rf_images *data = NULL;
    double accuracy = 0;
    int len = (int)(strlen(__FILE__) - strlen("06_resnet.c"));
    snprintf(folder, sizeof folder, "%.*s../tests/data", len, __FILE__);
    snprintf(images, sizeof images, "%s/digits-images.idx3-ubyte", argc > 2 ? argv[2] : folder);
    snprintf(labels, sizeof labels, "%s/digits-labels.idx1-ubyte", argc > 2 ? argv[2] : folder);
    opts.threads = 2;
    if (rf_context_create(&ctx, &opts))
        return 1;
    rf_status status = rf_images_open(&data, ctx, images, labels, &how);
    if (!status)
        status = make(&model, ctx);
    if (!status)
        status = train(ctx, model, data, steps);
    if (!status)
        status = test(ctx, model, data, &accuracy);
    if (status)
        fprintf(stderr, "%s: %s\n", rf_status_name(status), rf_context_error(ctx)->message);
    else
        printf("%d images that it never saw: %.1f %% right\n", HELD_OUT, 100 * accuracy);
    rf_module_destroy(model);
    rf_images_close(data);
    rf_context_destroy(ctx);
    return status != RF_OK || (steps >= 100 && accuracy < 0.9);
}
