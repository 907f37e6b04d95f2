/* A convolution or dense layer on processors that take patches as int8. */
#if !defined(DSP)
static void convolution(const convolution_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const window_t *w = &c->window;
    int pixels = w->out_height * w->out_width, y = 0, x = 0, n;
    for (int first = 0; first < pixels; first += n) {
        const int8_t *patches = in, *weights = c->weights;
        n = pixels - first < BLOCK ? pixels - first : BLOCK;
        if (c->dense)
            in += n * c->taps;
        for (int j = 0; j < n && !c->dense; j++) {
            gather(w, c->zero_in, in, y, x, scratch + j * c->taps);
            patches = scratch;
            if (++x == w->out_width)
                x = 0, y++;
        }
        for (int channel = 0; channel < c->out_channels; channel++, weights += c->row) {
            int32_t bias = c->bias[channel], sums[4] = {bias, bias, bias, bias};
            if (n == BLOCK)
                dot(weights, patches, c->taps, sums);
            else
                for (int j = 0; j < n; j++)
                    sums[j] = dot_single(weights, patches + j * c->taps, c->taps, bias);
            store(c, channel, sums, n, out);
        }
        out += n * c->out_channels;
    }
}
#endif
