/* A real factor m / 2^(32 + RIGHT), one RIGHT for the network: small enough for its largest factor, and the smallest still has
   the bits that it needs. The upper 32 bits of the product hold all that counts; rounding (halves up) and zero point are one
   addition before the shift. */
typedef int32_t scale_t;

static inline int32_t offset(int zero_out)
{
    return (2 * zero_out + 1) * (1 << (RIGHT - 1));
}

static inline int8_t requantize(int32_t x, scale_t scale, int32_t offset, int low, int high)
{
    x = high_product(x, scale) + offset;
#if defined(__ARM_FEATURE_SAT) && defined(FULL_RANGE) && !defined(PLAIN_C)
    (void)low, (void)high;
    __asm__("ssat %0, #8, %1, asr %2" : "=r"(x) : "r"(x), "I"(RIGHT));
    return (int8_t)x;
#else
    return clamp(x >> RIGHT, low, high);
#endif
}
#define requantize_once requantize
