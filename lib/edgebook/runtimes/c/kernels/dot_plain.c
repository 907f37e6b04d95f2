/* Sums of products for any processor, on int8. */
#if !defined(DSP) && !defined(MVE)
typedef int8_t patch_t;
#define LENGTH(c) ((c)->taps)
#define PATCHES(scratch) (scratch)
#define single(patch, taps, scratch) ((void)(scratch), (patch))

#if defined(THUMB1)
#define BLOCK 2

#define ONE_TAP(more)                                                                                                         \
    "ldrsb %[weight], [%[w], %[i]]\n\t"                                                                                       \
    "ldrsb %[x], [%[p], %[i]]\n\t"                                                                                            \
    "muls %[x], %[weight], %[x]\n\t"                                                                                          \
    "adds %[a], %[a], %[x]\n\t" more "adds %[i], %[i], #1\n\t"
#define FOUR_TAPS(more) ".syntax unified\n1:\n\t" ONE_TAP(more) ONE_TAP(more) ONE_TAP(more) ONE_TAP(more) "bne 1b"
#define SECOND_PATCH                                                                                                          \
    "ldrsb %[x], [%[q], %[i]]\n\t"                                                                                            \
    "muls %[x], %[weight], %[x]\n\t"                                                                                          \
    "adds %[b], %[b], %[x]\n\t"

/* All eight registers that Cortex-M0 can calculate with; the index counts up to zero. */
static inline const int8_t *dot(const int8_t *w, const int8_t *p, int row, int32_t *sums)
{
    int32_t a = sums[0], b = sums[1], i = -row, weight, x;
    w += row, p += row;
    __asm__ volatile(FOUR_TAPS(SECOND_PATCH)
                     : [a] "+l"(a), [b] "+l"(b), [i] "+l"(i), [weight] "=&l"(weight), [x] "=&l"(x)
                     : [w] "l"(w), [p] "l"(p), [q] "l"(p + row)
                     : "cc", "memory");
    sums[0] = a, sums[1] = b;
    return w;
}

static inline int32_t dot_single(const int8_t *w, const int8_t *p, int taps, int32_t a)
{
    int32_t i = -(taps & ~3), weight, x;
    w -= i, p -= i;
    if (i)
        __asm__ volatile(FOUR_TAPS("")
                         : [a] "+l"(a), [i] "+l"(i), [weight] "=&l"(weight), [x] "=&l"(x)
                         : [w] "l"(w), [p] "l"(p)
                         : "cc", "memory");
    for (taps &= 3; taps > 0; taps--)
        a += *w++ * *p++;
    return a;
}
#else
#define BLOCK 4

static inline const int8_t *dot(const int8_t *w, const int8_t *p, int row, int32_t *sums)
{
    const int8_t *q = p + row, *r = q + row, *s = r + row;
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3], weight;
#define ONE_TAP(i) weight = w[i], a += weight * p[i], b += weight * q[i], c += weight * r[i], d += weight * s[i]
    for (const int8_t *end = w + row; w < end; w += 4, p += 4, q += 4, r += 4, s += 4) {
        ONE_TAP(0);
        ONE_TAP(1);
        ONE_TAP(2);
        ONE_TAP(3);
    }
#undef ONE_TAP
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
    return w;
}

static inline int32_t dot_single(const int8_t *w, const int8_t *p, int taps, int32_t sum)
{
    for (const int8_t *end = w + (taps & ~3); w < end; w += 4, p += 4)
        sum += w[0] * p[0] + w[1] * p[1] + w[2] * p[2] + w[3] * p[3];
    for (taps &= 3; taps > 0; taps--)
        sum += *w++ * *p++;
    return sum;
}
#endif
#endif
