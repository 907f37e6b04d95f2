/* To int8; every layer here uses all of it. */
#define FULL_RANGE 1
static inline int8_t clamp(int32_t x, int low, int high)
{
    (void)low, (void)high;
#if defined(__ARM_FEATURE_SAT) && !defined(PLAIN_C)
    __asm__("ssat %0, #8, %1" : "=r"(x) : "r"(x));
    return (int8_t)x;
#else
    return (int8_t)(x < -128 ? -128 : x > 127 ? 127 : x);
#endif
}
