/* All output channels of one pixel from its patch. */
static NOINLINE void pixel(const layer_t *c, const patch_t *patch, int8_t *out, int once)
{
    const int8_t *w = c->weights;
    const int32_t *bias = c->bias;
    const scale_t *scale = c->scale;
    const int32_t more = offset(c->zero_out);
    const int length = LENGTH(c), row = c->row, per_channel = c->per_channel, low = c->low, high = c->high;
    for (const int8_t *end = out + c->out_channels; out < end; scale += per_channel, w += row) {
        int32_t sum = dot_single(w, patch, length, *bias++);
        *out++ = once ? requantize_once(sum, *scale, more, low, high) : requantize(sum, *scale, more, low, high);
    }
}
