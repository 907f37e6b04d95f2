/* x * m / 2^(32 + right), halves up; right is 1 or more in every layer here, so the lower 32 bits cannot matter. */
static inline int32_t scale(int32_t x, int32_t m, int right)
{
    return (high_product(x, m) + (1 << (right - 1))) >> right;
}
#define SCALE(x, m, right, dense) scale(x, m, right)
