/* Weights of 4, 2 or 1 bits on processors that take them as int8: a row is decoded for several blocks of patches. */
#if !defined(DSP)
#define open_layer(c, work, n) ((void)(work))
#define LANES(c, pixels, rest) lanes_of(c, pixels, rest)
#define packed_dot(c, w, p, sums, work) dot(work, p, (c)->row, sums)
#define packed_single(c, w, p, sum, work) dot_single(work, p, (c)->taps, sum)

/* Pixels of the next blocks, as many as there is room for: 8, or 4 in a layer of less than 8 pixels. */
static inline int lanes_of(const layer_t *c, int pixels, int rest)
{
    const int most = pixels < 8 ? 4 : 8, needed = (rest + BLOCK - 1) / BLOCK * BLOCK;
    return c->bits == 8 ? BLOCK : needed < most ? needed : most;
}

static int work_size(const layer_t *c)
{
    return c->bits == 8 ? 0 : c->row;
}

#define open_row(c, w, work) decode(w, (c)->bits, (c)->codebook, (c)->row, work)
#endif
