/* Runs `predict` on every item of the file `items` and writes outputs, instruction counts and the stack's depth to `results`.
   SysTick counts; with -icount shift=6 every instruction takes 64 ns of its clock. Input and output by semihosting. */
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CONTROL REGISTER(0xE000E010)
#define RELOAD REGISTER(0xE000E014)
#define CURRENT REGISTER(0xE000E018)
enum { MOST_TICKS = 0xFFFFFF, CALIBRATION = 100000, PAINT = 0x5A, DEEPEST = 8192 };

#if STATE_SIZE > 0
void predict(const int8_t *input, int8_t *output, int8_t *state);
void reset(int8_t *state);
static int8_t state[STATE_SIZE] __attribute__((aligned(4)));
#define PREDICT() predict(input, output, state)
#else
void predict(const int8_t *input, int8_t *output);
#define PREDICT() predict(input, output)
#endif

extern uint32_t data_start, data_end, data_load, harness_end, stack_top;
static int8_t input[INPUT_SIZE] __attribute__((aligned(4))), output[OUTPUT_SIZE] __attribute__((aligned(4)));
static volatile uint32_t wraps;

static int semihost(int operation, const void *arguments)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static int open_file(const char *name, int mode, int length)
{
    uint32_t arguments[3] = {(uint32_t)name, (uint32_t)mode, (uint32_t)length};
    return semihost(1, arguments);
}

static int transfer(int operation, int file, void *bytes, uint32_t n)
{
    uint32_t arguments[3] = {(uint32_t)file, (uint32_t)bytes, n};
    return semihost(operation, arguments); /* bytes that were not transferred */
}

static void finish(uint32_t reason)
{
    semihost(0x18, (void *)reason);
    for (;;) {
    }
}

void on_tick(void) { wraps++; }
void on_fault(void) { finish(0x20023); }

static void start_counting(void)
{
    wraps = 0;
    RELOAD = MOST_TICKS;
    CURRENT = 0;
    CONTROL = 7;
}

static uint64_t stop_counting(void)
{
    uint32_t current = CURRENT;
    CONTROL = 0;
    return (uint64_t)wraps * (MOST_TICKS + 1) + (MOST_TICKS - current);
}

/* Ticks of 2 * CALIBRATION instructions. */
static uint64_t calibrate(void)
{
    uint32_t n = CALIBRATION;
    start_counting();
    __asm__ volatile(".syntax unified\n1: subs %0, #1\n bne 1b" : "+l"(n) : : "cc");
    return stop_counting();
}

/* Bytes of stack that one call takes, found by painting what lies below. Noinline: the painted part begins under its frame. */
static uint32_t __attribute__((noinline)) stack_depth(void)
{
    register uint8_t *sp __asm__("sp");
    uint8_t *bottom = (uint8_t *)&harness_end, *top = sp, *p;
    if (top - bottom > DEEPEST)
        bottom = top - DEEPEST;
    for (p = bottom; p < top; p++)
        *(volatile uint8_t *)p = PAINT;
    PREDICT();
    for (p = bottom; p < top && *(volatile uint8_t *)p == PAINT; p++) {
    }
    return (uint32_t)(top - p);
}

static void run(void)
{
    int items = open_file("items", 1, 5), results = open_file("results", 5, 7);
    uint64_t ticks = calibrate();
    uint32_t depth = 0, n = 0;
    transfer(5, results, &ticks, 8);
    while (transfer(6, items, input, INPUT_SIZE) == 0) {
#if STATE_SIZE > 0
        if (n % STEPS == 0)
            reset(state);
#endif
        if (n == 0) {
            depth = stack_depth();
            transfer(5, results, &depth, 4);
#if STATE_SIZE > 0
            reset(state);
#endif
        }
        start_counting();
        PREDICT();
        ticks = stop_counting();
        transfer(5, results, &ticks, 8);
        transfer(5, results, output, OUTPUT_SIZE);
        n++;
    }
    finish(0x20026);
}

void start(void)
{
    uint32_t *to = &data_start;
    const uint32_t *from = &data_load;
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    REGISTER(0xE000ED88) |= 0xF00000; /* floating point and vectors on */
    __asm__ volatile("dsb\nisb");
#endif
    while (to < &data_end)
        *to++ = *from++;
    run();
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, start, on_fault, on_fault, on_fault, on_fault, on_fault, 0, 0, 0, 0, on_fault, 0, 0, 0, on_tick,
};
