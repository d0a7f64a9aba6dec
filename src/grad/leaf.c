/* leaf.c: the gradient of a leaf, and when the value of a leaf whose gradient is whole may change,
 * while its backward still runs.
 *
 * Two may still read it: nodes that have saved it, and recomputes of regions that use it. All nodes
 * with an edge to the leaf have run by then, and given their slots back; but a region's function
 * runs again, from its first op on, as long as any node of the region is left. What is left is
 * told by the clock: a region's nodes are those recorded while it ran. So a leaf waits until all
 * nodes have run that were recorded since the outermost region around any of its users began, or
 * around anything that read its bytes without an edge (rf_storage_note_read). One whose bytes
 * somebody else has saved (without an edge, under rf_detach; or for a result that this backward
 * does not reach) waits for the end of the run.
 */
#include "grad/engine.h"
#include "tensor/dry.h"

void rf_leaf_used(rf_node *leaf, const rf_node *user)
{
    if (user->begin < leaf->begin)
        leaf->begin = user->begin;
}

/* Whether others than handles refer to the bytes. */
static int leaf_is_saved(const rf_tensor *t)
{
    return t->storage && t->storage->refs > t->storage->handles;
}

static void leaf_wait(rf_run *run, rf_node *leaf)
{
    leaf->later = run->later;
    run->later = leaf;
    if (leaf->begin > run->later_begin)
        run->later_begin = leaf->begin;
}

/* Nothing but slots of others can be in the way any more: for those it waits until the end. */
static rf_status leaf_take(rf_run *run, rf_node *leaf, int last)
{
    rf_tensor *t = leaf->handles[0];
    if (!t || !leaf->grad)
        return RF_OK;
    if (!last && leaf_is_saved(t)) {
        leaf->begin = 0;
        leaf_wait(run, leaf);
        return RF_OK;
    }
    return run->taker->take(run->taker, t);
}

/* Regions that read the bytes without an edge are users too. */
static void leaf_unseen(rf_node *leaf)
{
    const rf_tensor *t = leaf->handles[0];
    const rf_storage *s = t ? t->storage : NULL;
    if (s && s->ctx->live_frames && s->read_since >= s->ctx->frames_begin &&
        s->read_since < leaf->begin)
        leaf->begin = s->read_since;
}

rf_status rf_leaf_whole(rf_run *run, rf_node *leaf)
{
    if (!run->taker)
        return RF_OK;
    leaf_unseen(leaf);
    if (leaf->begin >= run->clock)
        return leaf_take(run, leaf, 0);
    leaf_wait(run, leaf);
    return RF_OK;
}

rf_status rf_leaf_passed(rf_run *run, uint64_t clock)
{
    rf_status status = RF_OK;
    if (clock && run->later_begin < clock)
        return RF_OK;
    rf_node *list = run->later;
    run->later = NULL;
    run->later_begin = 0;
    while (list) {
        rf_node *leaf = list;
        list = leaf->later;
        if (status || leaf->begin < clock)
            leaf_wait(run, leaf);
        else
            status = leaf_take(run, leaf, !clock);
    }
    return status;
}

/* ---- the gradient ---- */

/* The end of a dry run: gradients are those from before it. */
static void leaf_restore(rf_context *ctx)
{
    rf_dry *dry = ctx->dry_run;
    while (dry->leaves) {
        rf_node *leaf = dry->leaves;
        dry->leaves = leaf->dry_next;
        rf_tensor *grad = leaf->grad;
        leaf->grad = leaf->dry_grad;
        leaf->dry_grad = NULL;
        leaf->dry_next = NULL;
        leaf->dry_aside = 0;
        rf_tensor_drop(grad);
        if (!leaf->handles[0]) {
            rf_tensor_drop(leaf->grad);
            leaf->grad = NULL;
        }
        rf_node_unref(ctx, &leaf->ref);
    }
}

/* A real gradient stays held until the end; its bytes are nobody's meanwhile. */
static void leaf_put_aside(rf_node *leaf)
{
    rf_dry *dry = leaf->ctx->dry_run;
    leaf->ref.refs++;
    leaf->dry_aside = 1;
    leaf->dry_grad = leaf->grad;
    leaf->grad = NULL;
    leaf->dry_next = dry->leaves;
    dry->leaves = leaf;
    dry->leaves_restore = leaf_restore;
    if (leaf->dry_grad && leaf->dry_grad->storage)
        rf_dry_put_aside(leaf->dry_grad->storage);
}

static int leaf_is_real(const rf_node *leaf)
{
    const rf_tensor *t = leaf->handles[0];
    return t && t->storage && !t->storage->dry;
}

void rf_leaf_set_grad(rf_node *leaf, rf_tensor *held)
{
    if (leaf->ctx->dry_run && !leaf->dry_aside && leaf_is_real(leaf))
        leaf_put_aside(leaf);
    rf_tensor *old = leaf->grad;
    leaf->grad = held;
    rf_tensor_drop(old);
}
