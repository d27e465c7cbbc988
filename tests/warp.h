/*
 * A warp on the host: 32 fibers, one for each thread, that run in turn from one word that crosses
 * lanes to the next. So the words of kernels/lanes/cuda*.h and the bodies over them run without a
 * GPU. For one C++ unit of one thread.
 *
 *     fiber   0     1     2          31     0
 *             ──▶ give ──▶ give … ──▶ give ──▶ take, on to the next word …
 *
 * What a lane gives lies in one of two rows of slots, used by turns: lane 0 may reach its next word
 * while others still have to take from this one, but not the one after.
 *
 * Every lane must come to the same words in the same order; where one does not, the program ends.
 */
#ifndef HLQ_TEST_WARP_H
#define HLQ_TEST_WARP_H

#undef _FORTIFY_SOURCE /* it takes a jump to another stack for a fault */

#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __device__
#define __forceinline__ inline

enum { WARP = 32, FIBER_BYTES = 1 << 18 };

/* A word that crosses lanes, as a lane comes to it. */
struct warp_slot {
    uint32_t value;
    const char *word;
    int distance;
};

static struct {
    warp_slot slot[2][WARP];
    unsigned turn[WARP]; /* words crossed so far */
    jmp_buf at[WARP], caller;
    ucontext_t start[WARP], home;
    void (*body)(void *);
    void *argument;
} the_warp;

static struct {
    unsigned x;
} threadIdx;

/* The next fiber goes on where it was. */
static void warp_switch(jmp_buf from, unsigned to)
{
    if (_setjmp(from)) return;
    threadIdx.x = to;
    _longjmp(the_warp.at[to], 1);
}

/* Gives a value at a word; returns what all lanes gave. */
static const warp_slot *warp_cross(uint32_t value, const char *word, int distance)
{
    unsigned lane = threadIdx.x;
    warp_slot *row = the_warp.slot[the_warp.turn[lane]++ % 2];
    row[lane].value = value;
    row[lane].word = word;
    row[lane].distance = distance;
    warp_switch(the_warp.at[lane], (lane + 1) % WARP);
    if (row[lane].word != row[0].word || row[lane].distance != row[0].distance) {
        fprintf(stderr, "lane %u is at %s, lane 0 at %s\n", lane, word, row[0].word);
        abort();
    }
    return row;
}

/* A fiber's life: from the start to the last word's end, where the next lane's begins. */
static void warp_fiber(void)
{
    unsigned lane = threadIdx.x;
    if (!_setjmp(the_warp.at[lane])) swapcontext(&the_warp.start[lane], &the_warp.home);
    the_warp.body(the_warp.argument);
    warp_cross(0, "the end", 0);
    if (lane == WARP - 1) _longjmp(the_warp.caller, 1);
    threadIdx.x = lane + 1;
    _longjmp(the_warp.at[lane + 1], 1);
}

/* Runs body(argument) on all lanes. */
static void warp_run(void (*body)(void *), void *argument)
{
    static char *stacks = (char *)malloc((size_t)WARP * FIBER_BYTES);
    if (!stacks) abort();
    the_warp.body = body;
    the_warp.argument = argument;
    memset(the_warp.turn, 0, sizeof the_warp.turn);
    for (unsigned lane = 0; lane < WARP; lane++) {
        getcontext(&the_warp.start[lane]);
        the_warp.start[lane].uc_stack.ss_sp = stacks + (size_t)lane * FIBER_BYTES;
        the_warp.start[lane].uc_stack.ss_size = FIBER_BYTES;
        makecontext(&the_warp.start[lane], warp_fiber, 0);
        threadIdx.x = lane;
        swapcontext(&the_warp.home, &the_warp.start[lane]);
    }
    threadIdx.x = 0;
    if (!_setjmp(the_warp.caller)) _longjmp(the_warp.at[0], 1);
}

/* CUDA's words, for whole warps ---------------------------------------------------------------- */

static inline uint32_t __ballot_sync(uint32_t, int predicate)
{
    const warp_slot *row = warp_cross(predicate != 0, "ballot", 0);
    uint32_t word = 0;
    for (int i = 0; i < WARP; i++) word |= row[i].value << i;
    return word;
}

static inline uint32_t __shfl_xor_sync(uint32_t, uint32_t x, int distance)
{
    return warp_cross(x, "shuffle", distance)[threadIdx.x ^ (unsigned)distance].value;
}

static inline float __shfl_xor_sync(uint32_t mask, float x, int distance)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    u = __shfl_xor_sync(mask, u, distance);
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline int __shfl_xor_sync(uint32_t mask, int x, int distance)
{
    return (int)__shfl_xor_sync(mask, (uint32_t)x, distance);
}

static inline double __shfl_xor_sync(uint32_t mask, double x, int distance)
{
    uint32_t half[2];
    memcpy(half, &x, sizeof x);
    half[0] = __shfl_xor_sync(mask, half[0], distance);
    half[1] = __shfl_xor_sync(mask, half[1], distance);
    memcpy(&x, half, sizeof x);
    return x;
}

static inline uint32_t __shfl_up_sync(uint32_t, uint32_t x, unsigned distance)
{
    const warp_slot *row = warp_cross(x, "shuffle up", (int)distance);
    return threadIdx.x < distance ? x : row[threadIdx.x - distance].value;
}

static inline uint32_t __shfl_sync(uint32_t, uint32_t x, int from)
{
    return warp_cross(x, "shuffle from", from)[from].value;
}

static inline unsigned long long __shfl_xor_sync(uint32_t mask, unsigned long long x, int distance)
{
    const uint32_t low = __shfl_xor_sync(mask, (uint32_t)x, distance);
    return (uint64_t)__shfl_xor_sync(mask, (uint32_t)(x >> 32), distance) << 32 | low;
}

static inline uint32_t __reduce_add_sync(uint32_t, uint32_t x)
{
    const warp_slot *row = warp_cross(x, "sum", 0);
    uint32_t sum = 0;
    for (int i = 0; i < WARP; i++) sum += row[i].value;
    return sum;
}

static inline uint32_t __reduce_max_sync(uint32_t, uint32_t x)
{
    const warp_slot *row = warp_cross(x, "maximum", 0);
    uint32_t most = 0;
    for (int i = 0; i < WARP; i++) most = row[i].value > most ? row[i].value : most;
    return most;
}

static inline int __reduce_max_sync(uint32_t, int x)
{
    const warp_slot *row = warp_cross((uint32_t)x, "signed maximum", 0);
    int most = x;
    for (int i = 0; i < WARP; i++) most = (int)row[i].value > most ? (int)row[i].value : most;
    return most;
}

static inline void atomicOr(unsigned *to, unsigned bits) { *to |= bits; }
static inline void atomicAdd(unsigned long long *to, unsigned long long more) { *to += more; }
static inline void atomicAdd(unsigned *to, unsigned more) { *to += more; }
static inline void atomicMin(unsigned *to, unsigned x) { *to = x < *to ? x : *to; }
static inline void atomicMax(int *to, int x) { *to = x > *to ? x : *to; }
static inline unsigned atomicCAS(unsigned *to, unsigned expected, unsigned x)
{
    unsigned was = *to;
    if (was == expected) *to = x;
    return was;
}

static inline int __float2int_rn(float x) { return (int)lrintf(x); }

#endif
