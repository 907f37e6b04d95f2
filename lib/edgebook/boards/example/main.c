/* Runs the golden vectors through the network, compares every byte of the outputs, and names the class of the first one. */
#include <string.h>

#include "golden.h"

void say(const char *text); /* host.c, cortex_m.c, or your own */

static int8_t output[OUTPUT_SIZE];
#if STATE_SIZE > 0
static int8_t state[STATE_SIZE];
#define START() reset(state)
#define STEP(input) predict(input, output, state)
#else
#define START() ((void)0)
#define STEP(input) predict(input, output)
#endif

/* One vector: a single input, or the steps of a sequence from a zero state on. */
static void run(int vector)
{
    START();
    for (int step = 0; step < N_STEPS; step++)
        STEP(golden_inputs[vector][step]);
}

int main(void)
{
    int best = 0;
    for (int vector = 0; vector < N_VECTORS; vector++) {
        run(vector);
        if (memcmp(output, golden_outputs[vector], OUTPUT_SIZE) != 0) {
            say("a golden vector differs: this is not the network that was measured\n");
            return 1;
        }
    }
    say("golden vectors: equal\n");
    run(0);
    for (int i = 1; i < OUTPUT_SIZE; i++)
        best = output[i] > output[best] ? i : best;
    say("first vector: ");
    say(labels[best]);
    say("\n");
    return 0;
}
