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
