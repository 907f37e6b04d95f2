/* Both inputs at 2^20 times the larger scale, then the output's scale: three roundings. `n_second` values of y are repeated. */
typedef struct {
    int32_t a, b, c, n, n_second;
    int16_t zero_first, zero_second;
    int8_t right_a, right_b, right_c, zero_out, low, high, sign;
} sum_t;

static void sum(const sum_t *s, const int8_t *x, const int8_t *y, int8_t *out)
{
    for (int32_t first = 0; first < s->n; first += s->n_second)
        for (int32_t i = 0; i < s->n_second; i++) {
            int32_t p = scale((*x++ - s->zero_first) * (1 << 20), s->a, s->right_a);
            int32_t q = scale((y[i] - s->zero_second) * (1 << 20), s->b, s->right_b);
            *out++ = clamp(scale(p + s->sign * q, s->c, s->right_c) + s->zero_out, s->low, s->high);
        }
}
