/* All output channels of one pixel from its patch. */
static NOINLINE void pixel(const layer_t *c, const patch_t *patch, int8_t *out, int once)
{
    const int8_t *w = c->weights;
    const int32_t *bias = c->bias;
    const scale_t *scale = c->scale;
    const int length = LENGTH(c), row = c->row, per_channel = c->per_channel, left = c->left;
    const int zero = c->zero_out, low = c->low, high = c->high;
    for (const int8_t *end = out + c->out_channels; out < end; bias++, scale += per_channel, w += row) {
        int32_t sum = dot_single(w, patch, length, *bias), more = offset(*scale, zero);
        *out++ = once ? requantize_once(sum, *scale, left, more, low, high) : requantize(sum, *scale, left, more, low, high);
    }
}
