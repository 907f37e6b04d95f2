/* As `pixel`, for packed weights. */
static NOINLINE void pixel_packed(const layer_t *c, const patch_t *patch, int8_t *out, int once, int8_t *work)
{
    const int8_t *w = c->weights;
    const int32_t *bias = c->bias;
    const scale_t *scale = c->scale;
    const int32_t more = offset(c->zero_out);
    const int step = c->row * c->bits / 8, per_channel = c->per_channel, low = c->low, high = c->high;
    for (const int8_t *end = out + c->out_channels; out < end; scale += per_channel, w += step) {
        open_row(c, w, work);
        int32_t sum = packed_single(c, w, patch, *bias++, work);
        *out++ = once ? requantize_once(sum, *scale, more, low, high) : requantize(sum, *scale, more, low, high);
    }
}
