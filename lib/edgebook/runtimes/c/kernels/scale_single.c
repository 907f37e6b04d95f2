/* A real factor m / 2^(32 + right). Halves are rounded up. */
typedef struct {
    int32_t m;
    int8_t right;
} scale_t;

static inline int32_t offset(int zero_out)
{
    return zero_out;
}

static inline int8_t requantize(int32_t x, scale_t scale, int32_t offset, int low, int high)
{
    return clamp((int32_t)(((int64_t)x * scale.m + ((int64_t)1 << (31 + scale.right))) >> (32 + scale.right)) + offset, low, high);
}
#define requantize_once requantize
