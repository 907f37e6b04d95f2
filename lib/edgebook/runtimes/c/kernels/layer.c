/* A layer with weights. Rows of weights are padded to a multiple of 4 taps; the input's zero point is in the bias. */
typedef struct {
    window_t window;
    int16_t taps, row, out_channels;
    int8_t zero_in, zero_out, low, high;
    uint8_t per_channel; /* per_channel: 1 for one scale per channel, 0 for one */
    const int8_t *weights;
    const int32_t *bias;
    const scale_t *scale;
#if PACKED
    const int8_t *codebook;
    uint8_t bits; /* of a weight: 8, or fewer where a weight is a place in the codebook */
#endif
} layer_t;
