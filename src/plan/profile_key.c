/* profile_key.c: what the time of an execution depends on, as a text. See profile.h.
 *
 * Attributes are bytes that only the op understands, so all of them count: two epsilons are two
 * keys, which costs a measurement and is never wrong. Strides count only where they are not
 * row-major, and never of an axis with one element. Where a view begins does not count.
 */
#include "plan/profile.h"
#include "base/hash.h"

#include <string.h>

typedef struct key_text {
    char *to;
    size_t len;
} key_text;

static void key_add(key_text *t, const char *text, size_t len)
{
    memcpy(t->to + t->len, text, len);
    t->len += len;
}

static void key_add_char(key_text *t, char c)
{
    t->to[t->len++] = c;
}

static void key_add_number(key_text *t, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        digits[--at] = '-';
    key_add(t, digits + at, sizeof digits - at);
}

static void key_add_list(key_text *t, const int64_t *values, size_t num, const char *brackets)
{
    key_add_char(t, brackets[0]);
    for (size_t i = 0; i < num; i++) {
        if (i)
            key_add_char(t, ',');
        key_add_number(t, values[i]);
    }
    key_add_char(t, brackets[1]);
}

static void key_add_view(key_text *t, const rf_view *view)
{
    const rf_shape *s = &view->shape;
    int64_t strides[RF_MAX_RANK];
    key_add_char(t, ' ');
    if (s->dtype == RF_ABSENT) {
        key_add_char(t, '-');
        return;
    }
    const char *dtype = rf_dtype_name((rf_dtype)s->dtype);
    key_add(t, dtype, strlen(dtype));
    key_add_list(t, s->dims, s->rank, "()");
    if (s->device > RF_DEVICE_META) {
        key_add_char(t, '@');
        key_add_number(t, s->device);
    }
    if (rf_view_contiguous(view))
        return;
    for (size_t i = 0; i < s->rank; i++)
        strides[i] = s->dims[i] == 1 ? 0 : view->strides[i];
    key_add_list(t, strides, s->rank, "[]");
}

static void key_add_attrs(key_text *t, const unsigned char *attrs)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = RF_MAX_ATTRS;
    while (len && !attrs[len - 1])
        len--;
    if (len)
        key_add(t, " #", 2);
    for (size_t i = 0; i < len; i++) {
        key_add_char(t, digits[attrs[i] >> 4]);
        key_add_char(t, digits[attrs[i] & 15]);
    }
}

uint64_t rf_cost_key_of_text(const char *text, size_t len)
{
    rf_hasher h;
    rf_hasher_begin(&h, 0);
    rf_hasher_add(&h, text, len);
    uint64_t key = rf_hasher_end(&h);
    return key ? key : 1; /* 0 is no key */
}

uint64_t rf_cost_key(const rf_op_call *call, char *text)
{
    char own[RF_COST_TEXT];
    key_text t = {text ? text : own, 0};
    for (const char *c = call->op->name; *c && t.len < RF_COST_NAME; c++)
        key_add_char(&t, *c > 0x20 && *c < 0x7F ? *c : '?'); /* it goes into a file */
    for (size_t i = 0; i < call->num_in; i++)
        key_add_view(&t, &call->in[i]);
    key_add(&t, " >", 2);
    for (size_t j = 0; j < call->num_out; j++)
        key_add_view(&t, &call->out[j]);
    key_add_attrs(&t, call->attrs);
    uint64_t key = rf_cost_key_of_text(t.to, t.len);
    t.to[t.len] = 0;
    return key;
}
