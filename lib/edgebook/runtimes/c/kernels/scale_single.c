/* x * m / 2^(32 + right), halves up. */
static inline int32_t scale(int32_t x, int32_t m, int right)
{
    return (int32_t)(((int64_t)x * m + ((int64_t)1 << (31 + right))) >> (32 + right));
}
#define SCALE(x, m, right, dense) scale(x, m, right)
