/* A convolution or dense layer on Cortex-M4, M7 and M33: pairs of int16 products in one instruction. A word of four int8 becomes
   two pairs, taps 0 and 2, taps 1 and 3; patches are stored that way, weights become so in the loop. */
#if defined(DSP)
enum { BLOCK = 4 };

static uint32_t load4(const int8_t *from)
{
    uint32_t word;
    memcpy(&word, from, 4);
    return word;
}

static inline uint32_t pair_02(uint32_t word)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
    return pair;
}

static inline uint32_t pair_13(uint32_t word)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
}

/* A patch as pairs, every `step` words: 4 patches of a block take turns. What the last word lacks is zero. */
static void spread(const int8_t *patch, int taps, uint32_t *to, int step)
{
    for (; taps > 0; taps -= 4, patch += 4, to += 2 * step) {
        uint32_t word = 0;
        if (taps >= 4)
            word = load4(patch);
        else
            memcpy(&word, patch, (size_t)taps);
        to[0] = pair_02(word);
        to[step] = pair_13(word);
    }
}

#define PRODUCTS                                                                                                              \
    "ldmia %[p]!, {r3, r4, r5, r6}\n\t"                                                                                       \
    "smlad %[a], %[pair], r3, %[a]\n\t"                                                                                       \
    "smlad %[b], %[pair], r4, %[b]\n\t"                                                                                       \
    "smlad %[c], %[pair], r5, %[c]\n\t"                                                                                       \
    "smlad %[d], %[pair], r6, %[d]\n\t"
#define FOUR_TAPS                                                                                                             \
    "ldr %[word], [%[w]], #4\n\t"                                                                                             \
    "sxtb16 %[pair], %[word]\n\t" PRODUCTS "sxtb16 %[pair], %[word], ror #8\n\t" PRODUCTS

/* `row` is a multiple of 4; the loop takes 8 taps and is entered in its middle where 4 are left over. */
static void dot(const int8_t *w, const uint32_t *p, int row, int32_t *sums)
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
}

static int32_t dot_single(const int8_t *w, const uint32_t *p, int row, int32_t sum)
{
    const uint32_t *end = p + row / 2;
    uint32_t word, pair, even, odd;
    __asm__ volatile("1:\n\t"
                     "ldr %[word], [%[w]], #4\n\t"
                     "ldrd %[even], %[odd], [%[p]], #8\n\t"
                     "sxtb16 %[pair], %[word]\n\t"
                     "smlad %[sum], %[pair], %[even], %[sum]\n\t"
                     "sxtb16 %[pair], %[word], ror #8\n\t"
                     "smlad %[sum], %[pair], %[odd], %[sum]\n\t"
                     "cmp %[p], %[end]\n\t"
                     "bne 1b"
                     : [sum] "+r"(sum), [w] "+r"(w), [p] "+r"(p), [word] "=&r"(word), [pair] "=&r"(pair),
                       [even] "=&r"(even), [odd] "=&r"(odd)
                     : [end] "r"(end)
                     : "cc", "memory");
    return sum;
}

/* `scratch`: the pairs of a block, then one patch as it is gathered. */
static void convolution(const convolution_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const window_t *w = &c->window;
    uint32_t *block = (uint32_t *)(void *)scratch;
    int pixels = w->out_height * w->out_width, y = 0, x = 0, n;
    for (int first = 0; first < pixels; first += n) {
        const int8_t *weights = c->weights, *patch = in;
        n = pixels - first < BLOCK ? pixels - first : BLOCK;
        for (int j = 0; j < n; j++) {
            if (c->dense) {
                patch = in, in += c->taps;
            } else {
                patch = scratch + 8 * c->row;
                gather(w, c->zero_in, in, y, x, scratch + 8 * c->row);
                if (++x == w->out_width)
                    x = 0, y++;
            }
            spread(patch, c->taps, block + j, n == 1 ? 1 : BLOCK);
        }
        for (int channel = 0; channel < c->out_channels; channel++, weights += c->row) {
            int32_t bias = c->bias[channel], sums[4] = {bias, bias, bias, bias};
            if (n == 1)
                sums[0] = dot_single(weights, block, c->row, bias);
            else
                dot(weights, block, c->row, sums);
            store(c, channel, sums, n, out);
        }
        out += n * c->out_channels;
    }
}
#endif
