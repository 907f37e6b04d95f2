/* Weights of 4, 2 or 1 bits as int8. Places hold taps 0, 2, 1, 3 of each four, the lowest bits first. */
#if defined(MVE)
/* Sixteen at once: the byte of each place is fetched, shifted and looked up. */
static void decode(const int8_t *packed, int bits, const int8_t *codebook, int n, int8_t *to)
{
    static const uint8_t order[16] = {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15};
    const uint8x16_t bit = vmulq_n_u8(vldrbq_u8(order), (uint8_t)bits), at = vshrq_n_u8(bit, 3);
    const int8x16_t down = vnegq_s8(vreinterpretq_s8_u8(vandq_u8(bit, vdupq_n_u8(7))));
    const uint8x16_t mask = vdupq_n_u8((uint8_t)((1 << bits) - 1));
    for (; n > 0; n -= 16, to += 16, packed += 2 * bits) {
        mve_pred16_t inside = vctp8q((uint32_t)n);
        uint8x16_t places = vldrbq_gather_offset_z_u8((const uint8_t *)packed, at, inside);
        places = vandq_u8(vshlq_u8(places, down), mask);
        vstrbq_p_s8(to, vldrbq_gather_offset_s8(codebook, places), inside);
    }
}
#else
static inline void decode(const int8_t *packed, int bits, const int8_t *codebook, int n, int8_t *to)
{
    const uint8_t *w = (const uint8_t *)packed;
    const int mask = (1 << bits) - 1;
    if (bits == 4)
        for (const int8_t *end = to + n; to < end; to += 4, w += 2)
            to[0] = codebook[w[0] & 15], to[2] = codebook[w[0] >> 4], to[1] = codebook[w[1] & 15], to[3] = codebook[w[1] >> 4];
    else
        for (int i = 0; i < n; i += 4, to += 4, w += bits == 2 || !(i & 4)) {
            int places = bits == 2 ? *w : (*w >> (i & 4)) & 15;
            to[0] = codebook[places & mask], to[2] = codebook[(places >> bits) & mask];
            to[1] = codebook[(places >> 2 * bits) & mask], to[3] = codebook[places >> 3 * bits];
        }
}
#endif
