/* A dense layer, row by row of its input. */
static void dense(const layer_t *c, const int8_t *in, int8_t *out, int8_t *scratch)
{
    for (int rows = c->window.out_width; rows > 0; rows--, in += c->taps, out += c->out_channels)
        pixel(c, single(in, c->taps, scratch), out, 1);
}
