/* The product of two tensors; `n_second` values of y are repeated. */
typedef struct {
    scale_t scale;
    int32_t n, n_second;
    int16_t zero_first, zero_second;
    int8_t left, zero_out, low, high;
} product_t;

static void multiply(const product_t *s, const int8_t *x, const int8_t *y, int8_t *out)
{
    const scale_t scale = s->scale;
    const int32_t more = offset(s->zero_out);
    const int left = s->left, zero_x = s->zero_first, zero_y = s->zero_second, low = s->low, high = s->high;
    for (int32_t rest = s->n; rest > 0; rest -= s->n_second)
        for (const int8_t *p = y, *end = y + s->n_second; p < end;)
            *out++ = requantize((*x++ - zero_x) * (*p++ - zero_y) * (1 << left), scale, more, low, high);
}
