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

static inline const uint32_t *single(const int8_t *patch, int taps, int8_t *scratch)
{
    spread(patch, taps, (uint32_t *)(void *)scratch, 1);
    return PATCHES(scratch);
}

/* Eight taps of four patches; `even_0` and the others put the next pair of weights into `pair`. Taps are a multiple of 4: where 4
   are left over, the loop is entered in its middle. */
#define TWO_TAPS                                                                                                              \
    "ldmia %[p]!, {r3, r4, r5, r6}\n\t"                                                                                       \
    "smlad %[a], %[pair], r3, %[a]\n\t"                                                                                       \
    "smlad %[b], %[pair], r4, %[b]\n\t"                                                                                       \
    "smlad %[c], %[pair], r5, %[c]\n\t"                                                                                       \
    "smlad %[d], %[pair], r6, %[d]\n\t"
#define DOT_LOOP(even_0, odd_0, even_1, odd_1)                                                                                \
    "tst %[pair], #4\n\t"                                                                                                     \
    "bne 2f\n"                                                                                                                \
    "1:\n\t" even_0 TWO_TAPS odd_0 TWO_TAPS "2:\n\t" even_1 TWO_TAPS odd_1 TWO_TAPS "cmp %[p], %[end]\n\t"                    \
    "bne 1b"
#define SINGLE_LOOP(even_0, odd_0, even_1, odd_1)                                                                             \
    "tst %[pair], #4\n\t"                                                                                                     \
    "bne 2f\n"                                                                                                                \
    "1:\n\t" FOUR_TAPS(even_0, odd_0) "2:\n\t" FOUR_TAPS(even_1, odd_1) "cmp %[p], %[end]\n\t"                                \
    "bne 1b"
#define FOUR_TAPS(even, odd)                                                                                                  \
    "ldrd %[x], %[y], [%[p]], #8\n\t" even "smlad %[sum], %[pair], %[x], %[sum]\n\t" odd                                      \
    "smlad %[sum], %[pair], %[y], %[sum]\n\t"
#define INT8_EVEN                                                                                                             \
    "ldr %[word], [%[w]], #4\n\t"                                                                                             \
    "sxtb16 %[pair], %[word]\n\t"
#define INT8_ODD "sxtb16 %[pair], %[word], ror #8\n\t"

static inline const int8_t *dot(const int8_t *w, const uint32_t *p, int row, int32_t *sums)
{
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    uint32_t word, pair = (uint32_t)row;
    __asm__ volatile(DOT_LOOP(INT8_EVEN, INT8_ODD, INT8_EVEN, INT8_ODD)
                     : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [w] "+r"(w), [p] "+r"(p), [word] "=&r"(word),
                       [pair] "+r"(pair)
                     : [end] "r"(p + 2 * row)
                     : "r3", "r4", "r5", "r6", "cc", "memory");
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
    return w;
}

static inline int32_t dot_single(const int8_t *w, const uint32_t *p, int row, int32_t sum)
{
    uint32_t word, x, y, pair = (uint32_t)row;
    __asm__ volatile(SINGLE_LOOP(INT8_EVEN, INT8_ODD, INT8_EVEN, INT8_ODD)
                     : [sum] "+r"(sum), [w] "+r"(w), [p] "+r"(p), [word] "=&r"(word), [pair] "+r"(pair), [x] "=&r"(x), [y] "=&r"(y)
                     : [end] "r"(p + row / 2)
                     : "cc", "memory");
    return sum;
}
#endif
