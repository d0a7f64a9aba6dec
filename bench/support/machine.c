/* machine.c: see machine.h. */
#include "support/machine.h"

#include "support/figures.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

void machine_name(char *name, size_t bytes)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(name, bytes, "a processor without a name");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(name, bytes, "%s", strchr(line, ':') + 2);
            break;
        }
    if (f)
        fclose(f);
}

enum { BANDWIDTH_FLOATS = 64 << 20 };

/* ---- multiply-add ---- */

/* A ceiling is the best of several runs: in a worse one the threads shared a processor. */
static double machine_best(figures f)
{
    median(&f); /* sorts */
    return f.num ? f.v[f.num - 1] : 0;
}

/* Chains that hide the latency of one another: 4 to 5 cycles, two units. */
enum { PEAK_CHAINS = 12, PEAK_ROUNDS = 1 << 21 };

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static float peak_avx512(int rounds)
{
    __m512 sum[PEAK_CHAINS], a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
    for (int k = 0; k < PEAK_CHAINS; k++)
        sum[k] = _mm512_set1_ps((float)k);
    for (int i = 0; i < rounds; i++)
#pragma GCC unroll 12
        for (int k = 0; k < PEAK_CHAINS; k++)
            sum[k] = _mm512_fmadd_ps(sum[k], a, b);
    for (int k = 1; k < PEAK_CHAINS; k++)
        sum[0] = _mm512_add_ps(sum[0], sum[k]);
    return _mm512_reduce_add_ps(sum[0]);
}

__attribute__((target("avx2,fma"))) static float peak_avx2(int rounds)
{
    __m256 sum[PEAK_CHAINS], a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
    for (int k = 0; k < PEAK_CHAINS; k++)
        sum[k] = _mm256_set1_ps((float)k);
    for (int i = 0; i < rounds; i++)
#pragma GCC unroll 12
        for (int k = 0; k < PEAK_CHAINS; k++)
            sum[k] = _mm256_fmadd_ps(sum[k], a, b);
    for (int k = 1; k < PEAK_CHAINS; k++)
        sum[0] = _mm256_add_ps(sum[0], sum[k]);
    return _mm256_cvtss_f32(sum[0]);
}
#endif

/* By the compiler's own vectors, four floats each. */
static float peak_portable(int rounds)
{
    typedef float lanes __attribute__((vector_size(16)));
    lanes sum[PEAK_CHAINS], a = {0.5f, 0.5f, 0.5f, 0.5f}, b = {0.25f, 0.25f, 0.25f, 0.25f};
    for (int k = 0; k < PEAK_CHAINS; k++)
        sum[k] = a * (float)k;
    for (int i = 0; i < rounds; i++)
#pragma GCC unroll 12
        for (int k = 0; k < PEAK_CHAINS; k++)
            sum[k] = sum[k] * a + b;
    for (int k = 1; k < PEAK_CHAINS; k++)
        sum[0] += sum[k];
    return sum[0][0];
}

typedef struct peak_loop {
    float (*run)(int rounds);
    int lanes;
} peak_loop;

static peak_loop peak_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return (peak_loop){peak_avx512, 16};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (peak_loop){peak_avx2, 8};
#endif
    return (peak_loop){peak_portable, 4};
}

double machine_peak(int threads)
{
    peak_loop loop = peak_best();
    figures rates = {.num = 0};
    float kept = 0;
    for (int run = 0; run < 12; run++) {
        double begin = now();
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : kept)
        for (int i = 0; i < threads; i++)
            kept += loop.run(PEAK_ROUNDS);
        double flops = 2.0 * loop.lanes * PEAK_CHAINS * PEAK_ROUNDS * threads;
        figures_add(&rates, flops / (now() - begin));
    }
    return kept != 0 ? machine_best(rates) : 0;
}

/* ---- bandwidth ---- */

/* a = b + 3 c. Where b is a no line is read only to be written over. */
static double bandwidth_once(float *a, const float *b, const float *c, int threads)
{
    double begin = now();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < BANDWIDTH_FLOATS; i++)
        a[i] = b[i] + 3 * c[i];
    return 12.0 * BANDWIDTH_FLOATS / (now() - begin);
}

/* The same past the caches. */
static double bandwidth_streamed(float *a, const float *b, const float *c, int threads)
{
#if defined(__x86_64__)
    double begin = now();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < BANDWIDTH_FLOATS; i += 4)
        _mm_stream_ps(
            a + i, _mm_add_ps(_mm_load_ps(b + i), _mm_mul_ps(_mm_set1_ps(3), _mm_load_ps(c + i))));
    return 12.0 * BANDWIDTH_FLOATS / (now() - begin);
#else
    return bandwidth_once(a, b, c, threads);
#endif
}

/* Each page is first touched by the thread that will use it. */
static void bandwidth_touch(float *a, float *b, float *c, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < BANDWIDTH_FLOATS; i++)
        a[i] = b[i] = c[i] = 0;
}

double machine_bandwidth(int threads)
{
    const size_t bytes = (size_t)BANDWIDTH_FLOATS * sizeof(float);
    float *a = aligned_alloc(64, bytes), *b = aligned_alloc(64, bytes);
    float *c = aligned_alloc(64, bytes);
    figures rates = {.num = 0};
    if (a && b && c)
        bandwidth_touch(a, b, c, threads);
    for (int run = 0; run < 6 && a && b && c; run++) {
        figures_add(&rates, bandwidth_once(a, b, c, threads));
        figures_add(&rates, bandwidth_once(a, a, c, threads));
        figures_add(&rates, bandwidth_streamed(a, b, c, threads));
    }
    free(a);
    free(b);
    free(c);
    return machine_best(rates);
}

/* ---- others ---- */

static double ticks_to_seconds(double ticks)
{
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

/* user, nice, system, interrupts and what the host took, of all processors */
static double machine_busy(void)
{
    double t[8] = {0};
    FILE *f = fopen("/proc/stat", "r");
    if (f) {
        if (fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", t, t + 1, t + 2, t + 3, t + 4, t + 5,
                   t + 6, t + 7) != 8)
            memset(t, 0, sizeof t);
        fclose(f);
    }
    return ticks_to_seconds(t[0] + t[1] + t[2] + t[5] + t[6] + t[7]);
}

/* Fields 14 to 17: of the process and of its ended children. */
static double process_seconds(pid_t pid)
{
    char path[64], text[1024];
    double t[4] = {0};
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "r");
    size_t len = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[len] = '\0';
    const char *fields = strrchr(text, ')'); /* a name may contain anything */
    if (!fields || sscanf(fields + 1, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lf %lf %lf %lf",
                          t, t + 1, t + 2, t + 3) != 4)
        return 0;
    return ticks_to_seconds(t[0] + t[1] + t[2] + t[3]);
}

static double own_seconds(pid_t peer)
{
    return process_seconds(getpid()) + (peer ? process_seconds(peer) : 0);
}

machine_meter machine_meter_begin(pid_t peer)
{
    return (machine_meter){peer, now(), machine_busy(), own_seconds(peer)};
}

double machine_meter_foreign(const machine_meter *m)
{
    double foreign = (machine_busy() - m->busy) - (own_seconds(m->peer) - m->own);
    return foreign > 0 ? foreign / (now() - m->begin) : 0;
}
