/* The upper 32 bits of a 64-bit product, m not negative. */
#if defined(__ARM_ARCH_6M__)
/* No long multiplication: four of 16 bits. */
static int32_t high_product(int32_t x, int32_t m)
{
    uint32_t x_low = x & 0xffff, m_low = m & 0xffff;
    int32_t x_high = x >> 16, m_high = m >> 16;
    int32_t middle = x_high * (int32_t)m_low + (int32_t)(x_low * m_low >> 16);
    int32_t other = (int32_t)x_low * m_high + (middle & 0xffff);
    return x_high * m_high + (middle >> 16) + (other >> 16);
}
#else
static inline int32_t high_product(int32_t x, int32_t m)
{
    return (int32_t)(((int64_t)x * m) >> 32);
}
#endif
