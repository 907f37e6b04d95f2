static inline int8_t clamp(int32_t x, int low, int high)
{
    return (int8_t)(x < low ? low : x > high ? high : x);
}
