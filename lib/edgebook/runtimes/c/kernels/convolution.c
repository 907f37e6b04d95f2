/* Rows of weights are padded to a multiple of 4 taps; the input's zero point is in the bias. */
typedef struct {
    window_t window;
    int16_t taps, row, out_channels;
    int8_t zero_in, zero_out, low, high;
    uint8_t dense, scales; /* scales: 1 for one per channel, 0 for one */
    const int8_t *weights;
    const int32_t *bias, *multiplier;
    const int8_t *right;
} convolution_t;

/* The input under the window at output pixel (y, x), as kernel_height * kernel_width * channels bytes. */
static void gather(const window_t *w, int zero, const int8_t *in, int y, int x, int8_t *patch)
{
    int columns = w->kernel_width, before = 0, n;
    y = y * w->stride_height - w->pad_top;
    x = x * w->stride_width - w->pad_left;
    if (x < 0)
        before = -x;
    n = (x + columns > w->width ? w->width - x : columns) - before;
    for (int row = 0; row < w->kernel_height; row++, y++) {
        int inside = y >= 0 && y < w->height && n > 0;
        if (!inside || n < columns)
            memset(patch, zero, (size_t)(columns * w->channels));
        if (inside)
            memcpy(patch + before * w->channels, in + (y * w->width + x + before) * w->channels, (size_t)(n * w->channels));
        patch += columns * w->channels;
    }
}

/* One output channel of n pixels. */
static void store(const convolution_t *c, int channel, const int32_t *sums, int n, int8_t *out)
{
    int i = c->scales ? channel : 0;
    int32_t m = c->multiplier[i], right = c->right[i];
    for (out += channel; n > 0; n--, out += c->out_channels)
        *out = clamp(SCALE(*sums++, m, right, c->dense) + c->zero_out, c->low, c->high);
}
