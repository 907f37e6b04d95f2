/* Sums of products for any processor: patches lie one after the other as int8. */
#if !defined(DSP) && !defined(MVE)
#if defined(__ARM_ARCH_6M__)
enum { BLOCK = 2 };

static void dot(const int8_t *w, const int8_t *p, int taps, int32_t *sums)
{
    const int8_t *q = p + taps;
    int32_t a = sums[0], b = sums[1];
    for (int i = 0; i < taps; i++) {
        int32_t weight = w[i];
        a += weight * p[i];
        b += weight * q[i];
    }
    sums[0] = a, sums[1] = b;
}
#else
enum { BLOCK = 4 };

static void dot(const int8_t *w, const int8_t *p, int taps, int32_t *sums)
{
    const int8_t *q = p + taps, *r = q + taps, *s = r + taps;
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    for (int i = 0; i < taps; i++) {
        int32_t weight = w[i];
        a += weight * p[i];
        b += weight * q[i];
        c += weight * r[i];
        d += weight * s[i];
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}
#endif

static int32_t dot_single(const int8_t *w, const int8_t *p, int taps, int32_t sum)
{
    for (int i = 0; i < taps; i++)
        sum += w[i] * p[i];
    return sum;
}
#endif
