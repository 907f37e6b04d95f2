/* The mean over the middle of (outer, count, inner): `count` is in the scale, the zero point in the bias. */
typedef struct {
    scale_t scale;
    int32_t outer, count, inner, bias;
    int8_t left, zero_out, low, high;
} mean_t;

static void mean(const mean_t *s, const int8_t *in, int8_t *out)
{
    const int32_t more = offset(s->zero_out);
    for (int32_t i = 0; i < s->outer; i++, in += s->count * s->inner)
        for (int32_t j = 0; j < s->inner; j++) {
            int32_t total = s->bias;
            for (int32_t k = 0; k < s->count; k++)
                total += in[k * s->inner + j];
            *out++ = requantize(total * (1 << s->left), s->scale, more, s->low, s->high);
        }
}
