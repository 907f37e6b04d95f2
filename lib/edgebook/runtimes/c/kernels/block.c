/* All output channels of BLOCK pixels from their patches. */
static NOINLINE void block(const layer_t *c, const patch_t *patches, int8_t *out)
{
    const int8_t *w = c->weights;
    const int32_t *bias = c->bias;
    const scale_t *scale = c->scale;
    const int row = c->row, per_channel = c->per_channel, left = c->left, zero = c->zero_out, low = c->low, high = c->high;
    const int channels = c->out_channels;
    for (const int8_t *end = out + channels; out < end; out++, bias++, scale += per_channel, w += row) {
        int32_t sums[4] = {*bias, *bias, *bias, *bias}, more = offset(*scale, zero);
        dot(w, patches, row, sums);
        for (int lane = 0; lane < BLOCK; lane++)
            out[lane * channels] = requantize(sums[lane], *scale, left, more, low, high);
    }
}
