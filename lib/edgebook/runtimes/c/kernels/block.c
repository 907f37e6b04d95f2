/* All output channels of BLOCK pixels from their patches. */
static NOINLINE void block(const layer_t *c, const patch_t *patches, int8_t *out)
{
    const int8_t *w = c->weights;
    const int32_t *bias = c->bias;
    const scale_t *scales = c->scale;
    const int32_t more = offset(c->zero_out);
    const int row = c->row, per_channel = c->per_channel, low = c->low, high = c->high, channels = c->out_channels;
    for (const int8_t *end = out + channels; out < end; out++, scales += per_channel) {
        const scale_t scale = *scales;
        const int32_t start = *bias++;
        int32_t sums[4] = {start, start, start, start};
        w = dot(w, patches, row, sums);
        out[0] = requantize(sums[0], scale, more, low, high);
        out[channels] = requantize(sums[1], scale, more, low, high);
#if BLOCK == 4
        out[2 * channels] = requantize(sums[2], scale, more, low, high);
        out[3 * channels] = requantize(sums[3], scale, more, low, high);
#endif
    }
}
