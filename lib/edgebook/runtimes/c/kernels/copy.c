/* A copy in four loops. */
typedef struct {
    int32_t sizes[4], in[4], out[4];
} copy_t;

static void copy(const copy_t *s, const int8_t *in, int8_t *out)
{
    for (int32_t i = 0; i < s->sizes[0]; i++)
        for (int32_t j = 0; j < s->sizes[1]; j++)
            for (int32_t k = 0; k < s->sizes[2]; k++)
                for (int32_t l = 0; l < s->sizes[3]; l++)
                    out[i * s->out[0] + j * s->out[1] + k * s->out[2] + l * s->out[3]] =
                        in[i * s->in[0] + j * s->in[1] + k * s->in[2] + l * s->in[3]];
}
