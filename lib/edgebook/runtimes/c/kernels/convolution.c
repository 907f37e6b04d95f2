/* Pixels in blocks of BLOCK; where their number is no multiple, the last block overlaps the one before. */
static void convolution(const layer_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const window_t *w = &c->window;
    int pixels = w->out_height * w->out_width, y = 0, x = 0;
    start_lanes(c, scratch);
    for (int first = 0; first < pixels; first += BLOCK) {
        for (; first > pixels - BLOCK; first--)
            if (--x < 0)
                x = w->out_width - 1, y--;
        for (int lane = 0; lane < BLOCK; lane++) {
            fill_lane(c, in, y, x, scratch, lane);
            if (++x == w->out_width)
                x = 0, y++;
        }
        block(c, PATCHES(scratch), out + first * c->out_channels);
    }
}
