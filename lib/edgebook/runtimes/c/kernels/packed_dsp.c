/* Weights of 4, 2 or 1 bits on Cortex-M4, M7 and M33: each look-up in a table gives a pair of weights, as the loop wants them. */
#if defined(DSP)
#define LANES(c, pixels, rest) BLOCK
#define LOOK_UP "ldr %[pair], [%[table], %[pair], lsl #2]\n\t"
#define BITS_4 "ldrb %[pair], [%[w]], #1\n\t" LOOK_UP
#define BITS_2_EVEN "ldrb %[pair], [%[w]]\n\tand %[pair], %[pair], #15\n\t" LOOK_UP
#define BITS_2_ODD "ldrb %[pair], [%[w]], #1\n\tlsr %[pair], %[pair], #4\n\t" LOOK_UP
#define BITS_1(at) "ldrb %[pair], [%[w]]\n\tubfx %[pair], %[pair], #" at ", #2\n\t" LOOK_UP
#define BITS_1_LAST "ldrb %[pair], [%[w]], #1\n\tlsr %[pair], %[pair], #6\n\t" LOOK_UP

static int table_bits(const layer_t *c)
{
    return c->bits == 4 ? 8 : 2 * c->bits;
}

static int work_size(const layer_t *c)
{
    return c->bits == 8 ? 0 : 4 << table_bits(c);
}

/* The table: two weights for each value of their two places. The n bytes of patches behind it begin as zeros, which padding meets. */
static void open_layer(const layer_t *c, int8_t *work, int n)
{
    uint32_t *table = (uint32_t *)(void *)work;
    memset(work + work_size(c), 0, (size_t)n);
    for (int i = 0; c->bits < 8 && i < 1 << table_bits(c); i++)
        table[i] = lower_halves((uint32_t)c->codebook[i & ((1 << c->bits) - 1)], (uint32_t)c->codebook[i >> c->bits]);
}

#define PACKED_DOT(...)                                                                                                       \
    __asm__ volatile(DOT_LOOP(__VA_ARGS__)                                                                                    \
                     : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [w] "+r"(w), [p] "+r"(p), [pair] "+r"(pair)         \
                     : [end] "r"(p + 2 * l->row), [table] "r"(table)                                                          \
                     : "r3", "r4", "r5", "r6", "cc", "memory")
#define PACKED_SINGLE(...)                                                                                                    \
    __asm__ volatile(SINGLE_LOOP(__VA_ARGS__)                                                                                 \
                     : [sum] "+r"(sum), [w] "+r"(w), [p] "+r"(p), [pair] "+r"(pair), [x] "=&r"(x), [y] "=&r"(y)               \
                     : [end] "r"(p + l->row / 2), [table] "r"(table)                                                          \
                     : "cc", "memory")

static inline void packed_dot(const layer_t *l, const int8_t *w, const uint32_t *p, int32_t *sums, const int8_t *table)
{
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    uint32_t pair = (uint32_t)l->row;
#if HAS_BITS_4
    if (l->bits == 4)
        PACKED_DOT(BITS_4, BITS_4, BITS_4, BITS_4);
#endif
#if HAS_BITS_2
    if (l->bits == 2)
        PACKED_DOT(BITS_2_EVEN, BITS_2_ODD, BITS_2_EVEN, BITS_2_ODD);
#endif
#if HAS_BITS_1
    if (l->bits == 1)
        PACKED_DOT(BITS_1("0"), BITS_1("2"), BITS_1("4"), BITS_1_LAST);
#endif
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

static inline int32_t packed_single(const layer_t *l, const int8_t *w, const uint32_t *p, int32_t sum, const int8_t *table)
{
    uint32_t x, y, pair = (uint32_t)l->row;
#if HAS_BITS_4
    if (l->bits == 4)
        PACKED_SINGLE(BITS_4, BITS_4, BITS_4, BITS_4);
#endif
#if HAS_BITS_2
    if (l->bits == 2)
        PACKED_SINGLE(BITS_2_EVEN, BITS_2_ODD, BITS_2_EVEN, BITS_2_ODD);
#endif
#if HAS_BITS_1
    if (l->bits == 1)
        PACKED_SINGLE(BITS_1("0"), BITS_1("2"), BITS_1("4"), BITS_1_LAST);
#endif
    return sum;
}

#define open_row(c, w, work) ((void)0)
#endif
