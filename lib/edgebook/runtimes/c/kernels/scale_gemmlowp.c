/* x * m / 2^(32 + right), rounded twice: to 2^(right + 1) units with halves up, then with halves away from zero. */
static int32_t doubled_high(int32_t x, int32_t m)
{
    int64_t product = (int64_t)x * m;
    return (int32_t)((product + (product >= 0 ? 1 << 30 : 1 - (1 << 30))) / ((int64_t)1 << 31));
}

static int32_t divided(int32_t x, int exponent)
{
    int32_t mask = (int32_t)(((int64_t)1 << exponent) - 1), rest = x & mask;
    return (x >> exponent) + (rest > (mask >> 1) + (x < 0));
}

static int32_t scale(int32_t x, int32_t m, int right)
{
    int left = right < -1 ? -1 - right : 0;
    return divided(doubled_high((int32_t)((uint32_t)x << left), m), left ? 0 : right + 1);
}

/* LiteRT's dense layers round once. */
static int32_t scale_once(int32_t x, int32_t m, int right)
{
    return (int32_t)(((int64_t)x * m + ((int64_t)1 << (31 + right))) >> (32 + right));
}
#define SCALE(x, m, right, dense) ((dense) ? scale_once(x, m, right) : scale(x, m, right))
