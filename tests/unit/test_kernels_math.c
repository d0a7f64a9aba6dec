/* Accuracy of the functions over their whole range, in f32, on every table; and where they send
 * what is no number. */
#include "support/kernels.h"

#include <math.h>

#define COUNT 40000

static double normal(double x)
{
    return erfc(-x / sqrt(2)) / 2;
}

static double true_gelu(double x)
{
    return x * normal(x);
}

static double true_gelu_tanh(double x)
{
    return x / (1 + exp(-2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

static double true_silu(double x)
{
    return x / (1 + exp(-x));
}

static double true_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

typedef struct sweep {
    rf_unary kind;
    double (*truth)(double);
    double low, high; /* of the argument; powers: of its exponent */
    int powers;       /* spread over exponents */
    double relative;  /* error allowed, of the value */
    double absolute;
} sweep;

static void sweep_table(const rf_kernels *k, const sweep *s)
{
    static float x[COUNT], y[COUNT];
    const rf_exec e = {1, NULL};
    rf_view vx = view_make(RF_F32, 1, COUNT), vy = vx;
    vx.data = x;
    vy.data = y;
    for (size_t i = 0; i < COUNT; i++) {
        double at = s->low + (s->high - s->low) * (double)i / (COUNT - 1);
        x[i] = (float)(s->powers ? exp2(at) : at);
    }
    assert_int_equal(k->unary(&e, s->kind, &vx, &vy), RF_OK);
    for (size_t i = 0; i < COUNT; i++) {
        double want = s->truth((double)x[i]);
        if (fabs((double)y[i] - want) > s->relative * fabs(want) + s->absolute)
            fail_msg("%s: kind %d of %.9g is %.9g, not %.9g", k->name, (int)s->kind, (double)x[i],
                     (double)y[i], want);
    }
}

static void test_sweeps(void **state)
{
    const double ulp = 0x1p-23, tiny = 0x1p-149;
    const sweep sweeps[] = {
        {RF_UNARY_EXP, exp, -87.3, 88.7, 0, 1.5 * ulp, 0},
        {RF_UNARY_EXP, exp, -110, -87.3, 0, 2 * ulp, tiny},
        {RF_UNARY_EXP, exp, -1, 1, 0, 1.5 * ulp, 0},
        {RF_UNARY_LOG, log, -149, 127, 1, 1.5 * ulp, 0},
        {RF_UNARY_LOG, log, 0.5, 2, 0, 2 * ulp, 0},
        {RF_UNARY_LOG, log, 0.99, 1.01, 0, 2 * ulp, 0},
        {RF_UNARY_TANH, tanh, -12, 12, 0, 1e-6, 0},
        {RF_UNARY_TANH, tanh, -100, 4, 1, 1e-6, 0},
        {RF_UNARY_SIGMOID, true_sigmoid, -87, 100, 0, 1e-6, 0},
        {RF_UNARY_SIGMOID, true_sigmoid, -110, -87, 0, 1e-6, tiny},
        {RF_UNARY_GELU, true_gelu, -12.5, 12, 0, 1e-6, 0},
        {RF_UNARY_GELU, true_gelu, -14, -12.5, 0, 1e-6, 16 * tiny},
        {RF_UNARY_GELU, true_gelu, -100, 4, 1, 1e-6, 0},
        {RF_UNARY_GELU_TANH, true_gelu_tanh, -3, 12, 0, 1e-6, 0},
        {RF_UNARY_GELU_TANH, true_gelu_tanh, -12, -3, 0, 1e-5, 1e-7 * 0x1p-80},
        {RF_UNARY_SILU, true_silu, -80, 80, 0, 1e-6, 0},
        {RF_UNARY_SIN, sin, -30, 30, 0, ulp, tiny},
        {RF_UNARY_COS, cos, -30, 30, 0, ulp, tiny},
        {RF_UNARY_SQRT, sqrt, -149, 127, 1, ulp / 2, 0},
    };
    (void)state;
    for (size_t i = 0; table_at(i); i++)
        for (size_t j = 0; j < sizeof sweeps / sizeof *sweeps; j++)
            sweep_table(table_at(i), &sweeps[j]);
}

static void test_what_is_no_number(void **state)
{
    static const float x[] = {NAN, INFINITY, -INFINITY, 0, -0.0f, -1, 3e38f, -3e38f, 1e-40f};
    static const struct {
        rf_unary kind;
        float y[9];
    } known[] = {
        {RF_UNARY_EXP, {NAN, INFINITY, 0, 1, 1, 0.36787945f, INFINITY, 0, 1}},
        {RF_UNARY_LOG,
         {NAN, INFINITY, NAN, -INFINITY, -INFINITY, NAN, 88.596848f, NAN, -92.103404f}},
        {RF_UNARY_TANH, {NAN, 1, -1, 0, -0.0f, -0.76159418f, 1, -1, 1e-40f}},
        {RF_UNARY_SIGMOID, {NAN, 1, 0, 0.5f, 0.5f, 0.26894143f, 1, 0, 0.5f}},
        {RF_UNARY_RELU, {0, INFINITY, 0, 0, 0, 0, 3e38f, 0, 1e-40f}},
        {RF_UNARY_GELU, {NAN, INFINITY, 0, 0, -0.0f, -0.15865526f, 3e38f, 0, 5e-41f}},
        {RF_UNARY_GELU_TANH, {NAN, INFINITY, 0, 0, -0.0f, -0.158808f, 3e38f, 0, 5e-41f}},
        {RF_UNARY_SILU, {NAN, INFINITY, 0, 0, -0.0f, -0.26894143f, 3e38f, 0, 5e-41f}},
    };
    const rf_exec e = {1, NULL};
    (void)state;
    for (size_t i = 0; table_at(i); i++)
        for (size_t j = 0; j < sizeof known / sizeof *known; j++) {
            float y[9], copy[9];
            rf_view vx = view_make(RF_F32, 1, 9), vy = vx;
            memcpy(copy, x, sizeof copy);
            vx.data = copy;
            vy.data = y;
            assert_int_equal(table_at(i)->unary(&e, known[j].kind, &vx, &vy), RF_OK);
            for (int n = 0; n < 9; n++) {
                float want = known[j].y[n];
                if (isnan(want) ? isnan(y[n]) : y[n] == want)
                    continue;
                if (!(fabsf(y[n] - want) <= 2e-6f * fabsf(want)))
                    fail_msg("%s: kind %d of %g is %.9g, not %.9g", table_at(i)->name,
                             (int)known[j].kind, (double)x[n], (double)y[n], (double)want);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweeps),
        cmocka_unit_test(test_what_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
