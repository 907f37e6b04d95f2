/* Depthwise convolution with the vector extension of Cortex-M55 and M85: four channels at once. */
#if defined(MVE)
#define depthwise_3x3 depthwise
static void depthwise(const layer_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const window_t *w = &c->window;
    const int channels = c->out_channels, per_channel = c->per_channel;
    for (int y = 0; y < w->out_height; y++)
        for (int x = 0; x < w->out_width; x++) {
            gather(w, c->zero_in, in, y, x, scratch);
            for (int channel = 0; channel < channels; channel += 4) {
                const int8_t *p = scratch + channel, *weights = c->weights + channel;
                mve_pred16_t inside = vctp32q((uint32_t)(channels - channel));
                int32x4_t total = vldrwq_z_s32(c->bias + channel, inside);
                int32_t sums[4];
                for (int tap = 0; tap < c->taps; tap++, p += channels, weights += channels)
                    total = vaddq_s32(total, vmulq_s32(vldrbq_z_s32(p, inside), vldrbq_z_s32(weights, inside)));
                vstrwq_s32(sums, total);
                for (int i = 0; i < 4 && channel + i < channels; i++) {
                    scale_t scale = c->scale[per_channel ? channel + i : 0];
                    *out++ = requantize(sums[i], scale, offset(c->zero_out), c->low, c->high);
                }
            }
        }
}
#endif
