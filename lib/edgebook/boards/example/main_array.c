/* The file as an array: what a runtime on the board is given. Its checksum is compared, then its size is said. */
#include "model.h"

void say(const char *text); /* host.c, cortex_m.c, or your own */

static void say_number(unsigned long n)
{
    char digits[2] = {(char)('0' + n % 10), 0};
    if (n >= 10)
        say_number(n / 10);
    say(digits);
}

int main(void)
{
    unsigned long sum = 2166136261UL; /* FNV-1a */
    for (unsigned long i = 0; i < model_size; i++)
        sum = ((sum ^ model[i]) * 16777619UL) & 0xffffffffUL;
    if (sum != MODEL_CHECKSUM) {
        say("the checksum differs: this is not the file that was measured\n");
        return 1;
    }
    say("model: ");
    say_number(model_size);
    say(" bytes, checksum equal\n");
    return 0;
}
