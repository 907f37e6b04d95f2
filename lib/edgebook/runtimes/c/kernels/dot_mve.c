/* Sums of products with the vector extension of Cortex-M55 and M85: sixteen taps at once. */
#if defined(MVE)
#define BLOCK 4
typedef int8_t patch_t;
#define LENGTH(c) ((c)->taps)
#define PATCHES(scratch) (scratch)
#define single(patch, taps, scratch) ((void)(scratch), (patch))

static inline const int8_t *dot(const int8_t *w, const int8_t *p, int row, int32_t *sums)
{
    const int8_t *q = p + row, *r = q + row, *s = r + row;
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    for (int i = 0; i < row; i += 16) {
        mve_pred16_t inside = vctp8q((uint32_t)(row - i));
        int8x16_t weight = vldrbq_z_s8(w + i, inside);
        a = vmladavaq_s8(a, weight, vldrbq_z_s8(p + i, inside));
        b = vmladavaq_s8(b, weight, vldrbq_z_s8(q + i, inside));
        c = vmladavaq_s8(c, weight, vldrbq_z_s8(r + i, inside));
        d = vmladavaq_s8(d, weight, vldrbq_z_s8(s + i, inside));
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
    return w + row;
}

static inline int32_t dot_single(const int8_t *w, const int8_t *p, int taps, int32_t sum)
{
    for (int i = 0; i < taps; i += 16) {
        mve_pred16_t inside = vctp8q((uint32_t)(taps - i));
        sum = vmladavaq_s8(sum, vldrbq_z_s8(w + i, inside), vldrbq_z_s8(p + i, inside));
    }
    return sum;
}
#endif
