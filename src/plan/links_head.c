/* links_head.c: what a step holds between the end of a container's call and the beginning of its
 * backward, and the gradients that this leaves: one plain step, watched. */
#include "plan/links.h"
#include "tensor/trace.h"

typedef struct head_watch {
    rf_context *ctx;
    const rf_module *container;
    int state; /* 0: before the container's call is over, 1: after it, 2: its backward has begun */
    uint64_t used;  /* when the call was over */
    uint64_t need;  /* above that, until its backward began */
    uint64_t grads; /* of parameters, when it began         */
    uint64_t left;  /* above that, the most                 */
} head_watch;

static const rf_memory_info *head_row(const head_watch *head, rf_mem_class cls)
{
    return &head->ctx->ledger.row[RF_DEVICE_CPU][cls];
}

static rf_status head_post(void *payload, rf_module *m, rf_scope *s, rf_values *out,
                           rf_status status)
{
    head_watch *head = payload;
    (void)m;
    (void)s;
    (void)out;
    if (head->state == 0) {
        head->state = 1;
        head->used = head_row(head, RF_MEM_ALL)->used;
        rf_memory_reset_peak(head->ctx);
    }
    return status;
}

static int head_is_inside(const head_watch *head)
{
    const rf_module *m = head->ctx->module;
    while (m && m != head->container)
        m = m->parent;
    return m != NULL;
}

static void head_event(void *payload, const rf_event *event)
{
    head_watch *head = payload;
    uint64_t peak = head_row(head, RF_MEM_ALL)->peak, grads = head_row(head, RF_MEM_GRAD)->used;
    if (!head->state || event->kind != RF_EVENT_OP || event->phase != RF_PHASE_BACKWARD ||
        !head_is_inside(head))
        return;
    if (head->state == 1) {
        head->state = 2;
        head->need = peak > head->used ? peak - head->used : 0;
        head->grads = grads;
    }
    if (grads > head->grads + head->left)
        head->left = grads - head->grads;
}

rf_status rf_links_head_measure(rf_links_head *out, const rf_search *search, rf_module *container)
{
    head_watch head = {.ctx = search->space.ctx, .container = container};
    rf_module_hook hook = {.post = head_post, .payload = &head};
    uint64_t number;
    rf_status status = rf_module_add_hook(container, hook, &number);
    if (status)
        return status;
    rf_trace_set(head.ctx, head_event, &head);
    status = search->step->run(search->step->payload);
    rf_trace_set(head.ctx, NULL, NULL);
    rf_status removed = rf_module_remove_hook(container, number);
    *out = (rf_links_head){head.need, head.left};
    return status ? status : removed;
}
