/* Every channel has its own taps; weights lie as patches do, one row of channels per tap. */
static inline void depthwise_any(const layer_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const window_t *w = &c->window;
    int channels = c->out_channels, copies = channels / w->channels, per_channel = c->per_channel, zero = c->zero_out;
    for (int y = 0; y < w->out_height; y++)
        for (int x = 0; x < w->out_width; x++) {
            gather(w, c->zero_in, in, y, x, scratch);
            for (int channel = 0; channel < channels; channel++) {
                const int8_t *p = scratch + channel / copies, *weights = c->weights + channel;
                scale_t scale = c->scale[per_channel ? channel : 0];
                int32_t sum = c->bias[channel];
                for (int tap = 0; tap < c->taps; tap++, p += w->channels, weights += channels)
                    sum += *weights * *p;
                *out++ = requantize(sum, scale, offset(zero), c->low, c->high);
            }
        }
}
#if !defined(DSP) && !defined(MVE)
#define depthwise depthwise_any
#define depthwise_3x3 depthwise_any
#endif
