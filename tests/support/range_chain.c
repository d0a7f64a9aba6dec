/* range_chain.c: see range_chain.h. */
#include "support/range_chain.h"

#include <refrain/nn.h>

void chain_scope_anew(world *w)
{
    rf_scope_close(w->s);
    assert_ok(w->ctx, rf_scope_open(&w->s, w->ctx, NULL));
}

rf_module *chain_layer(rf_context *ctx, char kind)
{
    rf_module *m = NULL, *part;
    if (kind == 'd')
        assert_ok(ctx, rf_nn_dropout(&m, ctx, 0.5));
    else if (kind == 't' || kind == 'g')
        assert_ok(ctx,
                  rf_nn_activation(&m, ctx, kind == 't' ? RF_ACTIVATION_TANH : RF_ACTIVATION_GELU));
    else if (kind == 'l')
        assert_ok(ctx, rf_nn_linear(&m, ctx, CHAIN_WIDTH, CHAIN_WIDTH, 0));
    else
        assert_ok(ctx, rf_nn_sequential(&m, ctx));
    for (int i = 0; i < 2 && kind == 'b'; i++) {
        part = chain_layer(ctx, 'l');
        assert_ok(ctx, rf_nn_sequential_add(m, part));
    }
    return m;
}

rf_module *chain_new(rf_context *ctx, const char *kinds)
{
    rf_module *m;
    assert_ok(ctx, rf_nn_sequential(&m, ctx));
    for (; *kinds; kinds++)
        assert_ok(ctx, rf_nn_sequential_add(m, chain_layer(ctx, *kinds)));
    return m;
}

rf_tensor *chain_loss(world *w, rf_module *m)
{
    rf_tensor *x = world_leaf(w, CHAIN_ROWS, CHAIN_WIDTH, 0.1);
    rf_tensor *loss = rf_sum(w->s, rf_module_call1(m, w->s, x));
    assert_ok(w->ctx, rf_scope_status(w->s));
    return loss;
}
