/*
 * What tests of refusals by hlqcomm/cuda.h share. Before it come the arguments of all calls that a
 * test makes, of one of which it makes something wrong, and the calls:
 *
 *     typedef struct arguments { … } arguments;
 *     static hlq_status (*const calls[])(const arguments *g) = {…};
 */
#ifndef HLQ_TEST_QUANTIZER_REFUSALS_H
#define HLQ_TEST_QUANTIZER_REFUSALS_H

#include "quantizer_gpu.h"
#include "quantizer_test.h"

enum { CALLS = sizeof calls / sizeof *calls, ALL = (1 << CALLS) - 1 };

/* Which calls take what is wrong: a bit for each of calls[]. The others succeed. */
static inline void refuse(int takes, const arguments *wrong, const char *part)
{
    for (int i = 0; i < CALLS; i++) {
        hlq_test_case("call %d, %s", i, part);
        if (takes >> i & 1) CHECK_REFUSED(calls[i](wrong), HLQ_E_INVALID, part);
        else CHECK_EQ(calls[i](wrong), HLQ_OK);
    }
}

static inline void *at(const void *p, ptrdiff_t bytes) { return (char *)(uintptr_t)p + bytes; }

/* The arguments `right` with another member: refused by calls that take it. */
#define REFUSE_WITH(right, member, value, takes, part)                                             \
    {                                                                                              \
        arguments wrong = right;                                                                   \
        wrong.member = (void *)(value);                                                            \
        refuse(takes, &wrong, part);                                                               \
    }

/* Makes another device the current one; gpu_use_other(0) takes that back. 0: there is none. */
static inline int on_another_device(void)
{
    if (gpu_use_other(1)) return 1;
    printf("there is one device only: another is not tried\n");
    return 0;
}

/* None of them leaves anything behind. */
static inline void refuse_where_cuda_fails(const arguments *right)
{
    for (int i = 0; i < CALLS && gpu_fail_next(); i++) {
        CHECK_REFUSED(calls[i](right), HLQ_E_TRANSPORT, "CUDA: out of memory");
    }
    refuse(0, right, "");
}

#endif
