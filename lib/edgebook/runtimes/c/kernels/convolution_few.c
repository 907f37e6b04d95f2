/* A convolution of fewer pixels than a block. */
static void convolution_few(const layer_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const window_t *w = &c->window;
    int8_t *work = scratch, *patch;
    scratch += work_size(c), patch = scratch + 2 * c->row;
    open_layer(c, work, 2 * c->row);
    for (int y = 0; y < w->out_height; y++)
        for (int x = 0; x < w->out_width; x++, out += c->out_channels) {
            gather(w, c->zero_in, in, y, x, patch);
            run_pixel(c, single(patch, c->taps, scratch), out, 0, work);
        }
}
