/* -DPLAIN_C leaves assembly and vector instructions out. */
#if defined(__GNUC__)
#define ALIGNED __attribute__((aligned(4)))
#define NOINLINE __attribute__((noinline))
#else
#define ALIGNED
#define NOINLINE
#endif
#if defined(PLAIN_C)
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define MVE 1
#include <arm_mve.h>
#elif defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
#define DSP 1
#elif defined(__ARM_ARCH_6M__) && defined(__OPTIMIZE__)
#define THUMB1 1 /* not without optimization: a frame pointer would take one of the registers */
#endif

/* Sizes in pixels, channels last. */
typedef struct {
    int16_t height, width, channels, out_height, out_width;
    uint8_t kernel_height, kernel_width, stride_height, stride_width, pad_top, pad_left;
} window_t;
