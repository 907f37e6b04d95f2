/* As `block`, for packed weights and a multiple of BLOCK pixels. */
static NOINLINE void block_packed(const layer_t *c, const patch_t *patches, int8_t *out, int lanes, int8_t *work)
{
    const int8_t *w = c->weights;
    const int32_t *bias = c->bias;
    const scale_t *scales = c->scale;
    const int32_t more = offset(c->zero_out);
    const int row = c->row, step = row * c->bits / 8, per_channel = c->per_channel, low = c->low, high = c->high;
    const int channels = c->out_channels;
    for (const int8_t *end = out + channels; out < end; out++, scales += per_channel, w += step) {
        const scale_t scale = *scales;
        const int32_t start = *bias++;
        const patch_t *p = patches;
        int8_t *to = out;
        open_row(c, w, work);
        for (int lane = 0; lane < lanes; lane += BLOCK, p += BLOCK * row, to += BLOCK * channels) {
            int32_t sums[4] = {start, start, start, start};
            packed_dot(c, w, p, sums, work);
            to[0] = requantize(sums[0], scale, more, low, high);
            to[channels] = requantize(sums[1], scale, more, low, high);
#if BLOCK == 4
            to[2 * channels] = requantize(sums[2], scale, more, low, high);
            to[3 * channels] = requantize(sums[3], scale, more, low, high);
#endif
        }
    }
}
