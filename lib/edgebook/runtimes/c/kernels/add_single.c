/* a * x + b * y, scaled down by 2^shift, halves up; both zero points are in the bias. `n_second` values of y are repeated. */
typedef struct {
    int32_t a, b, bias, n, n_second;
    int8_t zero_out, low, high;
    uint8_t shift;
} sum_t;

static void sum(const sum_t *s, const int8_t *x, const int8_t *y, int8_t *out)
{
    const int32_t a = s->a, b = s->b, bias = s->bias;
    const int shift = s->shift, zero = s->zero_out, low = s->low, high = s->high;
    for (int32_t rest = s->n; rest > 0; rest -= s->n_second)
        for (const int8_t *p = y, *end = y + s->n_second; p < end;)
            *out++ = clamp(((a * *x++ + b * *p++ + bias) >> shift) + zero, low, high);
}
