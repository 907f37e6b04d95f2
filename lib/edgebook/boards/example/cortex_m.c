/* Start-up and output on a Cortex-M: replace `say` and `leave` by what your board has. Here semihosting, as QEMU and debug probes
   understand it. */
#include <stdint.h>

int main(void);
void say(const char *text);
void start(void);

extern uint32_t data_start, data_end, data_load, bss_start, bss_end, stack_top;

static int semihost(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void say(const char *text) { semihost(0x04, text); }

static void leave(int failed)
{
    semihost(0x18, (const void *)(failed ? 0x20023 : 0x20026));
    for (;;) {
    }
}

static void fault(void) { leave(1); }

void start(void)
{
    const uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end;)
        *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;)
        *to++ = 0;
    leave(main());
}

static const struct {
    const uint32_t *stack;
    void (*handlers[15])(void);
} vectors __attribute__((section(".vectors"), used)) = {&stack_top, {start, fault, fault, fault, fault, fault}};
