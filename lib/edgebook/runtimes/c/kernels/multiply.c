/* The product of two tensors; `n_second` values of y are repeated. */
typedef struct {
    int32_t multiplier, n, n_second;
    int16_t zero_first, zero_second;
    int8_t right, zero_out, low, high;
} product_t;

static void multiply(const product_t *s, const int8_t *x, const int8_t *y, int8_t *out)
{
    for (int32_t first = 0; first < s->n; first += s->n_second)
        for (int32_t i = 0; i < s->n_second; i++) {
            int32_t product = (*x++ - s->zero_first) * (y[i] - s->zero_second);
            *out++ = clamp(scale(product, s->multiplier, s->right) + s->zero_out, s->low, s->high);
        }
}
