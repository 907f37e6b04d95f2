/* exp(x) for x <= 0 within 1e-5 of its value: no mathematical library is needed. */
static float exponential(float x)
{
    union {
        uint32_t bits;
        float value;
    } power;
    int32_t n;
    float r;
    if (x < -87.0f)
        return 0.0f;
    n = (int32_t)(x * 1.4426950409f - 0.5f);
    r = x - (float)n * 0.6931471806f;
    power.bits = (uint32_t)(n + 127) << 23;
    return power.value * (1.0f + r * (1.0f + r * (0.5f + r * (0.1666666667f + r * (0.0416666667f + r * 0.0083333333f)))));
}

/* One step of SGD on the softmax loss of one item: weights (N_CLASSES, N_FEATURES), bias (N_CLASSES), features x. */
void train_step(float *weights, float *bias, const float *x, int label, float rate)
{
    float p[N_CLASSES], largest = -3.0e38f, sum = 0.0f;
    for (int c = 0; c < N_CLASSES; c++) {
        p[c] = bias[c];
        for (int i = 0; i < N_FEATURES; i++)
            p[c] += weights[c * N_FEATURES + i] * x[i];
        if (p[c] > largest)
            largest = p[c];
    }
    for (int c = 0; c < N_CLASSES; c++)
        sum += p[c] = exponential(p[c] - largest);
    for (int c = 0; c < N_CLASSES; c++) {
        float step = rate * (p[c] / sum - (float)(c == label));
        bias[c] -= step;
        for (int i = 0; i < N_FEATURES; i++)
            weights[c * N_FEATURES + i] -= step * x[i];
    }
}
