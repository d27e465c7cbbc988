/*
 * Counts calls of functions per block, for lane_words.py: the kernels' scalar variant is compiled
 * with -finstrument-functions, which calls the hooks below on entry of every function, inlined ones
 * too. Prints "encode" or "decode", the function's address, calls per block.
 */
#include <kernels/kernels.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BARE __attribute__((no_instrument_function))

enum { BLOCKS = 256, ELEMS = BLOCKS * HLQ_BLOCK_ELEMS, FUNCTIONS = 4096 };

static struct {
    void *function;
    unsigned long calls;
} seen[FUNCTIONS];
static int is_counting;

BARE void __cyg_profile_func_enter(void *function, void *caller);
BARE void __cyg_profile_func_exit(void *function, void *caller);

void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)caller;
    if (!is_counting) return;
    size_t i = (uintptr_t)function / 16 % FUNCTIONS;
    while (seen[i].function && seen[i].function != function) i = (i + 1) % FUNCTIONS;
    seen[i].function = function;
    seen[i].calls++;
}

void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)function;
    (void)caller;
}

BARE static void report(const char *what)
{
    is_counting = 0;
    for (int i = 0; i < FUNCTIONS; i++) {
        if (!seen[i].function) continue;
        printf("%s %p %.3f\n", what, seen[i].function, (double)seen[i].calls / BLOCKS);
    }
    memset(seen, 0, sizeof seen);
}

/* Sums of 12 even numbers, which are close to normal ones. */
BARE static void fill(float *x)
{
    uint64_t state = 1;
    for (int i = 0; i < ELEMS; i++) {
        double sum = -6;
        for (int j = 0; j < 12; j++) {
            state = state * 6364136223846793005u + 1;
            sum += (double)(state >> 40) / (1 << 24);
        }
        x[i] = (float)sum;
    }
}

BARE int main(int argc, char **argv)
{
    static float x[ELEMS];
    static int16_t exponent[BLOCKS];
    static uint8_t code[BLOCKS], bits[BLOCKS], wide[BLOCKS / 8];
    static uint32_t side[BLOCKS * HLQ_RAMP_WORDS];
    static uint32_t planes[BLOCKS * HLQ_BITS_MAX * HLQ_PLANE_WORDS];
    enum { BASE = 2 }; /* 2^2 is above the root mean square of any block of these */
    const hlq_kernels *k = &hlq_kernels_scalar;
    hlq_source source = {.data = x, .elems = ELEMS};
    hlq_run run = {.place = {.blocks = BLOCKS, .stride = 1, .seed = 7},
                   .lattice = HLQ_LATTICE_E8,
                   .base = BASE,
                   .code = code,
                   .bits = bits,
                   .wide = wide,
                   .side = side,
                   .planes = planes};
    fill(x);
    k->exponents(&run.place, &source, exponent);
    for (int b = 0; b < BLOCKS; b++) {
        code[b] = (uint8_t)(exponent[b] - 8 * BASE + HLQ_CODE_TOP);
        bits[b] = (uint8_t)(argc > 1 ? atoi(argv[1]) : 4);
    }
    is_counting = 1;
    k->encode(&run, &source);
    report("encode");
    is_counting = 1;
    k->decode(&run, 1, HLQ_FLOAT32, x, ELEMS, NULL);
    report("decode");
    return 0;
}
