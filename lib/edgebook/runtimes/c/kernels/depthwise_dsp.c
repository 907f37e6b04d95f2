/* Depthwise convolution on Cortex-M4, M7 and M33, four channels at a time. The rows under the window become columns of pairs,
   one row above the other, so that two taps are one instruction; weights become columns in the same way. */
#if defined(DSP)
/* The columns of `n` positions and 4 channels, every `pairs` words; a lane has all of a channel. Positions are `step` bytes apart. */
static void columns(const int8_t *upper, int upper_step, const int8_t *lower, int lower_step, int n, uint32_t *to, int pairs, int lane)
{
    for (; n > 0; n--, upper += upper_step, lower += lower_step, to += pairs) {
        uint32_t a = load4(upper), b = load4(lower), a_02 = pair_02(a), a_13 = pair_13(a), b_02 = pair_02(b), b_13 = pair_13(b);
        to[0] = lower_halves(a_02, b_02), to[2 * lane] = upper_halves(a_02, b_02);
        to[lane] = lower_halves(a_13, b_13), to[3 * lane] = upper_halves(a_13, b_13);
    }
}

/* One row of one channel: `words` pairs under the window, which moves by `step` words. */
static NOINLINE void column_sums(const layer_t *c, int channel, const uint32_t *p, int step, const uint32_t *w, int words, int8_t *out)
{
    const scale_t scale = c->scale[c->per_channel ? channel : 0];
    const int32_t bias = c->bias[channel], more = offset(c->zero_out);
    const int low = c->low, high = c->high, channels = c->out_channels;
    const int8_t *end = out + c->window.out_width * channels;
    for (; out < end; out += channels, p += step) {
        int32_t sum = bias;
        for (int i = 0; i < words; i++)
            __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(p[i]), "r"(w[i]));
        *out = requantize(sum, scale, more, low, high);
    }
}

/* `scratch`: the columns of 4 channels of a row, then those of the weights. */
static void depthwise(const layer_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const window_t *w = &c->window;
    const int channels = c->out_channels, height = w->kernel_height, width = w->kernel_width, pairs = (height + 1) / 2;
    const int positions = (w->out_width - 1) * w->stride_width + width, lane = positions * pairs, weight_lane = width * pairs;
    const int before = w->pad_left, inside = positions - before < w->width ? positions - before : w->width;
    const int8_t nothing[4] = {0, 0, 0, 0}, zero[4] = {c->zero_in, c->zero_in, c->zero_in, c->zero_in};
    uint32_t *to = (uint32_t *)(void *)scratch, *weights = to + 4 * lane;
    for (int channel = 0; channel < channels; channel += 4) {
        if (channel > channels - 4)
            channel = channels - 4;
        for (int p = 0; p < pairs; p++) {
            const int8_t *upper = c->weights + 2 * p * width * channels + channel;
            int last = 2 * p + 1 == height;
            columns(upper, channels, last ? nothing : upper + width * channels, last ? 0 : channels, width, weights + p, pairs, weight_lane);
        }
        for (int y = 0; y < w->out_height; y++) {
            for (int p = 0; p < pairs; p++) {
                int row = y * w->stride_height - w->pad_top + 2 * p, upper_in = row >= 0 && row < w->height;
                int lower_in = row + 1 >= 0 && row + 1 < w->height && 2 * p + 1 < height;
                const int8_t *from = in + row * w->width * channels + channel;
                const int8_t *upper = upper_in ? from : zero, *lower = lower_in ? from + w->width * channels : zero;
                columns(zero, 0, zero, 0, before, to + p, pairs, lane);
                columns(upper, upper_in ? channels : 0, lower, lower_in ? channels : 0, inside, to + before * pairs + p, pairs, lane);
                columns(zero, 0, zero, 0, positions - before - inside, to + (before + inside) * pairs + p, pairs, lane);
            }
            for (int i = 0; i < 4; i++)
                column_sums(c, channel + i, to + i * lane, w->stride_width * pairs, weights + i * weight_lane, weight_lane,
                            out + y * w->out_width * channels + channel + i);
        }
    }
}
#endif
