/* Every channel has its own taps; weights lie as patches do, one row of channels per tap. */
static void depthwise(const convolution_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const window_t *w = &c->window;
    int copies = c->out_channels / w->channels;
    for (int y = 0; y < w->out_height; y++)
        for (int x = 0; x < w->out_width; x++, out += c->out_channels) {
            gather(w, c->zero_in, in, y, x, scratch);
            for (int channel = 0; channel < c->out_channels; channel++) {
                const int8_t *p = scratch + channel / copies, *weights = c->weights + channel;
                int32_t sum = c->bias[channel];
                for (int tap = 0; tap < c->taps; tap++, p += w->channels, weights += c->out_channels)
                    sum += *weights * *p;
                store(c, channel, &sum, 1, out);
            }
        }
}
