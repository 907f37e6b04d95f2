/* Depthwise 3x3 with stride 1 on Cortex-M4, M7 and M33, four channels and two rows at a time. For every position the four input
   rows become two pairs, a = (row 0, row 1) and b = (row 2, row 3): the upper output row is a and the lower half of b, the lower
   output row is the halves in between and the upper half of b. */
#if defined(DSP)
/* `rows` of 4 channels at n positions, `steps` bytes apart, as {a, b} of each channel. */
static NOINLINE void row_pairs(const int8_t *const *rows, const int *steps, int n, uint32_t *to)
{
    const int8_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
    const int s0 = steps[0], s1 = steps[1], s2 = steps[2], s3 = steps[3];
    for (const uint32_t *end = to + 8 * n; to < end; to += 8, r0 += s0, r1 += s1, r2 += s2, r3 += s3) {
        uint32_t upper = load4(r0), lower = load4(r1), even = pair_02(upper), odd = pair_13(upper);
        upper = pair_02(lower), lower = pair_13(lower);
        to[0] = lower_halves(even, upper), to[4] = upper_halves(even, upper);
        to[2] = lower_halves(odd, lower), to[6] = upper_halves(odd, lower);
        upper = load4(r2), lower = load4(r3), even = pair_02(upper), odd = pair_13(upper);
        upper = pair_02(lower), lower = pair_13(lower);
        to[1] = lower_halves(even, upper), to[5] = upper_halves(even, upper);
        to[3] = lower_halves(odd, lower), to[7] = upper_halves(odd, lower);
    }
}

/* The taps of a channel: pairs of rows 0 and 1 in r3, r4, r5, row 2 in r6 and the lower half of r8. */
static void tap_pairs(const int8_t *w, int channels, uint32_t *to)
{
    for (int i = 0; i < 3; i++)
        to[i] = lower_halves((uint32_t)w[i * channels], (uint32_t)w[(i + 3) * channels]);
    to[3] = lower_halves((uint32_t)w[6 * channels], (uint32_t)w[7 * channels]);
    to[4] = (uint32_t)w[8 * channels];
}

#define POSITION(at) "ldrd %[a], %[b], [%[p], #" at "]\n\t"
#define UPPER(sum, column, third) "smlad " sum ", %[a], " column ", " sum "\n\t" third " " sum ", %[b], "
#define BETWEEN "pkhbt %[a], %[b], %[a]\n\t"
#define LOWER(sum, column, third) "smladx " sum ", %[a], " column ", " sum "\n\t" third " " sum ", %[b], "

/* 2 by 2 outputs of one channel: s and t above, u and v below. */
static inline void sums_2x2(const uint32_t *p, const uint32_t *taps, int32_t *s, int32_t *t, int32_t *u, int32_t *v)
{
    int32_t a, b;
    __asm__ volatile("ldmia %[taps], {r3, r4, r5, r6, r8}\n\t"
                     POSITION("0")
                     UPPER("%[s]", "r3", "smlabb") "r6, %[s]\n\t"
                     BETWEEN
                     LOWER("%[u]", "r3", "smlatb") "r6, %[u]\n\t"
                     POSITION("32")
                     UPPER("%[s]", "r4", "smlabt") "r6, %[s]\n\t"
                     UPPER("%[t]", "r3", "smlabb") "r6, %[t]\n\t"
                     BETWEEN
                     LOWER("%[u]", "r4", "smlatt") "r6, %[u]\n\t"
                     LOWER("%[v]", "r3", "smlatb") "r6, %[v]\n\t"
                     POSITION("64")
                     UPPER("%[s]", "r5", "smlabb") "r8, %[s]\n\t"
                     UPPER("%[t]", "r4", "smlabt") "r6, %[t]\n\t"
                     BETWEEN
                     LOWER("%[u]", "r5", "smlatb") "r8, %[u]\n\t"
                     LOWER("%[v]", "r4", "smlatt") "r6, %[v]\n\t"
                     POSITION("96")
                     UPPER("%[t]", "r5", "smlabb") "r8, %[t]\n\t"
                     BETWEEN
                     LOWER("%[v]", "r5", "smlatb") "r8, %[v]"
                     : [s] "+r"(*s), [t] "+r"(*t), [u] "+r"(*u), [v] "+r"(*v), [a] "=&r"(a), [b] "=&r"(b)
                     : [p] "r"(p), [taps] "r"(taps)
                     : "r3", "r4", "r5", "r6", "r8", "memory");
}

/* Two rows of one channel. An odd last column is computed with the one before it; where there is no lower row, `below` is 0 and
   the upper one is written last. */
static NOINLINE void two_rows(const layer_t *c, int channel, const uint32_t *p, const uint32_t *taps, int8_t *out, int below)
{
    const scale_t scale = c->scale[c->per_channel ? channel : 0];
    const int32_t bias = c->bias[channel], more = offset(c->zero_out);
    const int low = c->low, high = c->high, channels = c->out_channels;
    for (const int8_t *last = out + (c->window.out_width - 2) * channels;; p += 16, out += 2 * channels) {
        int32_t s = bias, t = bias, u = bias, v = bias;
        if (out > last)
            p -= 8, out = (int8_t *)last;
        sums_2x2(p, taps, &s, &t, &u, &v);
        out[below + channels] = requantize(v, scale, more, low, high);
        out[below] = requantize(u, scale, more, low, high);
        out[channels] = requantize(t, scale, more, low, high);
        out[0] = requantize(s, scale, more, low, high);
        if (out == last)
            return;
    }
}

/* `scratch`: the pairs of 4 channels in two rows with their padding, then the taps. */
static void depthwise_3x3(const layer_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const window_t *w = &c->window;
    const int channels = c->out_channels, positions = w->out_width + 2, before = w->pad_left;
    const int inside = positions - before < w->width ? positions - before : w->width;
    const int8_t zero[4] = {c->zero_in, c->zero_in, c->zero_in, c->zero_in};
    const int8_t *const outside[4] = {zero, zero, zero, zero};
    const int stay[4] = {0, 0, 0, 0};
    uint32_t *pairs = (uint32_t *)(void *)scratch, *taps = pairs + 8 * positions;
    for (int channel = 0; channel < channels; channel += 4) {
        if (channel > channels - 4)
            channel = channels - 4;
        for (int lane = 0; lane < 4; lane++)
            tap_pairs(c->weights + channel + lane, channels, taps + 5 * lane);
        row_pairs(outside, stay, positions, pairs);
        for (int y = 0; y < w->out_height; y += 2) {
            const int8_t *rows[4];
            int steps[4], below = y + 1 < w->out_height ? w->out_width * channels : 0;
            for (int i = 0; i < 4; i++) {
                int row = y - w->pad_top + i, exists = row >= 0 && row < w->height;
                rows[i] = exists ? in + row * w->width * channels + channel : zero;
                steps[i] = exists ? channels : 0;
            }
            row_pairs(rows, steps, inside, pairs + 8 * before);
            for (int lane = 0; lane < 4; lane++)
                two_rows(c, channel + lane, pairs + 2 * lane, taps + 5 * lane,
                         out + y * w->out_width * channels + channel + lane, below);
        }
    }
}
#endif
