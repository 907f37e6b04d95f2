/* A real factor m / 2^(32 + right). Rounded twice: to 2^(right + 1) units with halves up, then with halves away from zero. */
typedef struct {
    int32_t m;
    int8_t right;
} scale_t;

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

static inline int32_t scaled(int32_t x, scale_t scale)
{
    int left = scale.right < -1 ? -1 - scale.right : 0;
    return divided(doubled_high((int32_t)((uint32_t)x << left), scale.m), left ? 0 : scale.right + 1);
}

static inline int32_t offset(int zero_out)
{
    return zero_out;
}

static inline int8_t requantize(int32_t x, scale_t scale, int32_t offset, int low, int high)
{
    return clamp(scaled(x, scale) + offset, low, high);
}

/* LiteRT's dense layers round once. */
static inline int8_t requantize_once(int32_t x, scale_t scale, int32_t offset, int low, int high)
{
    return clamp((int32_t)(((int64_t)x * scale.m + ((int64_t)1 << (31 + scale.right))) >> (32 + scale.right)) + offset, low, high);
}
