/* Both inputs at 2^20 times the larger scale, then the output's scale: three roundings. `n_second` values of y are repeated. */
typedef struct {
    scale_t a, b, c;
    int32_t n, n_second;
    int16_t zero_first, zero_second;
    int8_t zero_out, low, high, sign;
} sum_t;

static void sum(const sum_t *s, const int8_t *x, const int8_t *y, int8_t *out)
{
    for (int32_t rest = s->n; rest > 0; rest -= s->n_second)
        for (const int8_t *p = y, *end = y + s->n_second; p < end;) {
            int32_t first = scaled((*x++ - s->zero_first) * (1 << 20), s->a);
            int32_t second = scaled((*p++ - s->zero_second) * (1 << 20), s->b);
            *out++ = clamp(scaled(first + s->sign * second, s->c) + s->zero_out, s->low, s->high);
        }
}
