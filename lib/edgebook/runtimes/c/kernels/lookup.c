static void lookup(const int8_t *table, const int8_t *in, int8_t *out, int32_t n)
{
    while (n-- > 0)
        *out++ = table[*in++ + 128];
}
