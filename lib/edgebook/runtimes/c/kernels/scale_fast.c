/* A real factor m / 2^(32 + right - left), m in the word's upper bits and 1 <= right <= 22 in its lower five, which are below
   the precision of m. Sums are small enough to be shifted left, so the lower 32 bits of the product cannot matter, and rounding
   (halves up) and zero point are one addition before the shift. */
typedef int32_t scale_t;
#define RIGHT(scale) ((scale) & 31)

static inline int32_t offset(scale_t scale, int zero_out)
{
    return (2 * zero_out + 1) * (1 << (RIGHT(scale) - 1));
}

static inline int8_t requantize(int32_t x, scale_t scale, int left, int32_t offset, int low, int high)
{
    return clamp((high_product(x * (1 << left), scale) + offset) >> RIGHT(scale), low, high);
}
#define requantize_once requantize
