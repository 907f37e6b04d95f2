/* a * x + b * y, scaled down by 2^shift, halves up; both zero points are in the bias. `n_second` values of y are repeated. */
typedef struct {
    int32_t a, b, bias, n, n_second;
    int8_t zero_out, low, high;
    uint8_t shift;
} sum_t;

static void sum(const sum_t *s, const int8_t *x, const int8_t *y, int8_t *out)
{
    for (int32_t first = 0; first < s->n; first += s->n_second)
        for (int32_t i = 0; i < s->n_second; i++)
            *out++ = clamp(((s->a * *x++ + s->b * y[i] + s->bias) >> s->shift) + s->zero_out, s->low, s->high);
}
