/* Pixels in blocks; where their number is no multiple, the last block overlaps the one before. */
static void convolution(const layer_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const window_t *w = &c->window;
    const int pixels = w->out_height * w->out_width;
    int8_t *work = scratch;
    int y = 0, x = 0, lanes;
    scratch += work_size(c);
    open_layer(c, work, 8 * c->row);
    start_lanes(c, scratch, LANES(c, pixels, pixels));
    for (int first = 0; first < pixels; first += lanes) {
        lanes = LANES(c, pixels, pixels - first);
        for (; first > pixels - lanes; first--)
            if (--x < 0)
                x = w->out_width - 1, y--;
        for (int lane = 0; lane < lanes; lane++) {
            fill_lane(c, in, y, x, scratch, lane);
            if (++x == w->out_width)
                x = 0, y++;
        }
        run_block(c, PATCHES(scratch), out + first * c->out_channels, lanes, work);
    }
}
