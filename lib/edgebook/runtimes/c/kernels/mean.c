/* The mean over the middle of (outer, count, inner): `count` is in the multiplier, the zero point in the bias. */
typedef struct {
    int32_t outer, count, inner, multiplier, bias;
    int8_t right, zero_out, low, high;
} mean_t;

static void mean(const mean_t *s, const int8_t *in, int8_t *out)
{
    for (int32_t i = 0; i < s->outer; i++, in += s->count * s->inner)
        for (int32_t j = 0; j < s->inner; j++) {
            int32_t total = s->bias;
            for (int32_t k = 0; k < s->count; k++)
                total += in[k * s->inner + j];
            *out++ = clamp(scale(total, s->multiplier, s->right) + s->zero_out, s->low, s->high);
        }
}
