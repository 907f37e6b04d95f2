/* Depthwise weights of 4, 2 or 1 bits are decoded once for the layer. */
static layer_t unpacked(const layer_t *c, int8_t *scratch)
{
    layer_t copy = *c;
    if (c->bits < 8) {
        decode(c->weights, c->bits, c->codebook, (c->taps * c->out_channels + 7) & ~7, scratch);
        copy.weights = scratch;
    }
    return copy;
}
