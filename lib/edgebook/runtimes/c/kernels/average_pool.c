/* Halves away from zero; padding is not counted. */
static void average_pool(const window_t *w, int low, int high, const int8_t *in, int8_t *out)
{
    for (int y = 0; y < w->out_height; y++)
        for (int x = 0; x < w->out_width; x++)
            for (int channel = 0; channel < w->channels; channel++) {
                int total = 0, n = 0;
                for (int row = 0; row < w->kernel_height; row++)
                    for (int column = 0; column < w->kernel_width; column++) {
                        int i = y * w->stride_height - w->pad_top + row, j = x * w->stride_width - w->pad_left + column;
                        if (i >= 0 && i < w->height && j >= 0 && j < w->width)
                            total += in[(i * w->width + j) * w->channels + channel], n++;
                    }
                *out++ = clamp((total > 0 ? total + n / 2 : total - n / 2) / n, low, high);
            }
}
