/* A dense layer, row by row of its input. */
static void dense(const layer_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    int8_t *work = scratch;
    scratch += work_size(c);
    open_layer(c, work, 2 * c->row);
    for (int rows = c->window.out_width; rows > 0; rows--, in += c->taps, out += c->out_channels)
        run_pixel(c, single(in, c->taps, scratch), out, 1, work);
}
