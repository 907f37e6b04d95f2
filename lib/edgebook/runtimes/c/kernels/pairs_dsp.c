/* Words of four int8 as pairs of int16 on Cortex-M4, M7 and M33. */
#if defined(DSP)
static inline uint32_t load4(const int8_t *from)
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

static inline uint32_t lower_halves(uint32_t first, uint32_t second)
{
    uint32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(first), "r"(second));
    return pair;
}

static inline uint32_t upper_halves(uint32_t first, uint32_t second)
{
    uint32_t pair;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(second), "r"(first));
    return pair;
}
#endif
