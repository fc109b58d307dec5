/* The update of rmsprop.py on the CPU, each element read and written once, a list of tensors in one call.

   C99 and POSIX threads, no torch: compiled where it is used (_native.py), for float and double. */

#include <math.h>
#include <pthread.h>
#include <stdint.h>

typedef struct {
    void **theta, **gradient, **v, **m, **b; /* tensor -> its elements; m, b NULL if not centered, without momentum */
    const int64_t *sizes;
    int64_t tensors;
    double lr, alpha, eps, weight_decay, momentum;
    int32_t maximize, is_double;
} Arguments;

typedef struct {
    const Arguments *arguments;
    int64_t begin, end; /* positions among all elements, counted through the tensors */
} Range;

/* theta and gradient may share memory, the state may not. The three flags are constants where this is inlined, so that
   the loop has no branch. */
#define DEFINE_UPDATE(T, SQRT)                                                                                         \
    static inline __attribute__((always_inline)) void update_##T(                                                      \
        const Arguments *s, int64_t n, T *theta, const T *gradient, T *restrict v, T *restrict m,                      \
        T *restrict b, const int decays, const int centered, const int has_momentum)                                   \
    {                                                                                                                  \
        const T lr = (T)s->lr, alpha = (T)s->alpha, rest = (T)(1 - s->alpha), eps = (T)s->eps;                         \
        const T lambda = (T)s->weight_decay, mu = (T)s->momentum, sign = s->maximize ? -1 : 1;                         \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            /* g_t = +-gradient + lambda theta_{t-1} */                                                                \
            T g = sign * gradient[i];                                                                                  \
            if (decays) g += lambda * theta[i];                                                                        \
            /* v_t = alpha v_{t-1} + (1 - alpha) g_t^2 */                                                              \
            T variance = v[i] = alpha * v[i] + rest * g * g;                                                           \
            if (centered) {                                                                                            \
                /* m_t = alpha m_{t-1} + (1 - alpha) g_t, rounded like torch.lerp;  max(v_t - m_t^2, 0), NaN kept */   \
                m[i] = rest < (T)0.5 ? m[i] + rest * (g - m[i]) : g - alpha * (g - m[i]);                              \
                variance -= m[i] * m[i];                                                                               \
                variance = variance < 0 ? 0 : variance;                                                                \
            }                                                                                                          \
            T direction = g / (SQRT(variance) + eps);                                                                  \
            /* b_t = mu b_{t-1} + g_t / (sqrt(v_t) + eps) */                                                           \
            if (has_momentum) direction = b[i] = mu * b[i] + direction;                                                \
            /* theta_t = theta_{t-1} - lr b_t */                                                                       \
            theta[i] -= lr * direction;                                                                                \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    static void part_##T(const Arguments *s, int64_t tensor, int64_t at, int64_t n)                                    \
    {                                                                                                                  \
        T *theta = (T *)s->theta[tensor] + at, *v = (T *)s->v[tensor] + at;                                            \
        const T *gradient = (const T *)s->gradient[tensor] + at;                                                       \
        T *m = s->m ? (T *)s->m[tensor] + at : 0, *b = s->b ? (T *)s->b[tensor] + at : 0;                              \
        switch ((s->weight_decay != 0) | (m ? 2 : 0) | (b ? 4 : 0)) {                                                  \
        case 0: update_##T(s, n, theta, gradient, v, m, b, 0, 0, 0); break;                                            \
        case 1: update_##T(s, n, theta, gradient, v, m, b, 1, 0, 0); break;                                            \
        case 2: update_##T(s, n, theta, gradient, v, m, b, 0, 1, 0); break;                                            \
        case 3: update_##T(s, n, theta, gradient, v, m, b, 1, 1, 0); break;                                            \
        case 4: update_##T(s, n, theta, gradient, v, m, b, 0, 0, 1); break;                                            \
        case 5: update_##T(s, n, theta, gradient, v, m, b, 1, 0, 1); break;                                            \
        case 6: update_##T(s, n, theta, gradient, v, m, b, 0, 1, 1); break;                                            \
        case 7: update_##T(s, n, theta, gradient, v, m, b, 1, 1, 1); break;                                            \
        }                                                                                                              \
    }

DEFINE_UPDATE(float, sqrtf)
DEFINE_UPDATE(double, sqrt)

static void *update_range(void *argument)
{
    const Range *range = argument;
    const Arguments *s = range->arguments;
    int64_t first = 0;
    for (int64_t tensor = 0; tensor < s->tensors; first += s->sizes[tensor++]) {
        int64_t from = range->begin > first ? range->begin - first : 0;
        int64_t to = range->end - first < s->sizes[tensor] ? range->end - first : s->sizes[tensor];
        if (from < to) (s->is_double ? part_double : part_float)(s, tensor, from, to - from);
    }
    return 0;
}

#define MAX_THREADS 256

/* One step by so many threads, started and joined here: a pool would not survive a fork. */
void rmsprop(const Arguments *s, int32_t threads)
{
    pthread_t others[MAX_THREADS];
    Range ranges[MAX_THREADS];
    int started[MAX_THREADS];
    int64_t elements = 0;
    for (int64_t tensor = 0; tensor < s->tensors; tensor++) elements += s->sizes[tensor];
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    /* ranges begin at whole cache lines of the first tensor, and near them in the others */
    int64_t each = ((elements + threads - 1) / threads + 15) / 16 * 16;
    for (int32_t i = threads - 1; i >= 0; i--) {
        int64_t begin = i * each < elements ? i * each : elements;
        ranges[i] = (Range){s, begin, begin + each < elements ? begin + each : elements};
        started[i] = i > 0 && pthread_create(&others[i], 0, update_range, &ranges[i]) == 0;
        if (!started[i]) update_range(&ranges[i]);
    }
    for (int32_t i = 1; i < threads; i++)
        if (started[i]) pthread_join(others[i], 0);
}
