#if !defined(DSP)
/* Patches lie one after the other; what a row of weights has beyond the taps meets zeros. */
static void start_lanes(const layer_t *c, int8_t *scratch, int lanes)
{
    memset(scratch, 0, (size_t)(lanes * c->row));
}

static void fill_lane(const layer_t *c, const int8_t *in, int y, int x, int8_t *scratch, int lane)
{
    gather(&c->window, c->zero_in, in, y, x, scratch + lane * c->row);
}
#else
#define start_lanes(c, scratch, lanes) ((void)0)

/* Straight from the input where the window is inside and its rows are whole words; else the patch is gathered first. */
static void fill_lane(const layer_t *c, const int8_t *in, int y, int x, int8_t *scratch, int lane)
{
    const window_t *w = &c->window;
    uint32_t *to = (uint32_t *)(void *)scratch + lane;
    int length = w->kernel_width * w->channels;
    int top = y * w->stride_height - w->pad_top, left = x * w->stride_width - w->pad_left;
    if ((length & 3) == 0 && top >= 0 && left >= 0 && top + w->kernel_height <= w->height && left + w->kernel_width <= w->width) {
        in += (top * w->width + left) * w->channels;
        for (int rows = w->kernel_height; rows > 0; rows--, in += w->width * w->channels, to += 2 * length)
            spread(in, length, to, BLOCK);
    } else {
        int8_t *patch = scratch + 8 * c->row;
        gather(w, c->zero_in, in, y, x, patch);
        spread(patch, c->taps, to, BLOCK);
    }
}
#endif
