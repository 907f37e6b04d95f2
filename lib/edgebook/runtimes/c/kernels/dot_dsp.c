/* Sums of products on Cortex-M4, M7 and M33: two int16 products in one instruction. A word of four int8 becomes two pairs, taps
   0 and 2, taps 1 and 3. Patches are stored as pairs, the four of a block in turns; weights become pairs in the loop. */
#if defined(DSP)
#define BLOCK 4
typedef uint32_t patch_t;
#define LENGTH(c) ((c)->row)
#define PATCHES(scratch) ((const uint32_t *)(const void *)(scratch))

/* A patch as pairs, every `step` words. What the last word lacks is zero. */
static inline void spread(const int8_t *patch, int taps, uint32_t *to, int step)
{
    uint32_t word;
    for (const int8_t *end = patch + (taps & ~3); patch < end; patch += 4) {
        word = load4(patch);
        *to = pair_02(word), to += step;
        *to = pair_13(word), to += step;
    }
    if (taps &= 3) {
        word = 0;
        memcpy(&word, patch, (size_t)taps);
        to[0] = pair_02(word);
        to[step] = pair_13(word);
    }
}

static const uint32_t *single(const int8_t *patch, int taps, int8_t *scratch)
{
    spread(patch, taps, (uint32_t *)(void *)scratch, 1);
    return PATCHES(scratch);
}

#define TWO_TAPS                                                                                                              \
    "ldmia %[p]!, {r3, r4, r5, r6}\n\t"                                                                                       \
    "smlad %[a], %[pair], r3, %[a]\n\t"                                                                                       \
    "smlad %[b], %[pair], r4, %[b]\n\t"                                                                                       \
    "smlad %[c], %[pair], r5, %[c]\n\t"                                                                                       \
    "smlad %[d], %[pair], r6, %[d]\n\t"
#define FOUR_TAPS                                                                                                             \
    "ldr %[word], [%[w]], #4\n\t"                                                                                             \
    "sxtb16 %[pair], %[word]\n\t" TWO_TAPS "sxtb16 %[pair], %[word], ror #8\n\t" TWO_TAPS
#define FOUR_SINGLE                                                                                                           \
    "ldr %[word], [%[w]], #4\n\t"                                                                                             \
    "ldrd %[even], %[odd], [%[p]], #8\n\t"                                                                                    \
    "sxtb16 %[pair], %[word]\n\t"                                                                                             \
    "smlad %[sum], %[pair], %[even], %[sum]\n\t"                                                                              \
    "sxtb16 %[pair], %[word], ror #8\n\t"                                                                                     \
    "smlad %[sum], %[pair], %[odd], %[sum]\n\t"

/* Four patches. `row` is a multiple of 4; the loop takes 8 taps and is entered in its middle where 4 are left over. */
static inline const int8_t *dot(const int8_t *w, const uint32_t *p, int row, int32_t *sums)
{
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    const uint32_t *end = p + 2 * row;
    uint32_t word = (uint32_t)row, pair;
    __asm__ volatile("tst %[word], #4\n\t"
                     "bne 2f\n"
                     "1:\n\t" FOUR_TAPS "2:\n\t" FOUR_TAPS "cmp %[p], %[end]\n\t"
                     "bne 1b"
                     : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [w] "+r"(w), [p] "+r"(p), [word] "+r"(word),
                       [pair] "=&r"(pair)
                     : [end] "r"(end)
                     : "r3", "r4", "r5", "r6", "cc", "memory");
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
    return w;
}

/* One patch. */
static inline int32_t dot_single(const int8_t *w, const uint32_t *p, int row, int32_t sum)
{
    const uint32_t *end = p + row / 2;
    uint32_t word = (uint32_t)row, pair, even, odd;
    __asm__ volatile("tst %[word], #4\n\t"
                     "bne 2f\n"
                     "1:\n\t" FOUR_SINGLE "2:\n\t" FOUR_SINGLE "cmp %[p], %[end]\n\t"
                     "bne 1b"
                     : [sum] "+r"(sum), [w] "+r"(w), [p] "+r"(p), [word] "+r"(word), [pair] "=&r"(pair), [even] "=&r"(even),
                       [odd] "=&r"(odd)
                     : [end] "r"(end)
                     : "cc", "memory");
    return sum;
}
#endif
