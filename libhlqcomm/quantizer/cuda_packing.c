/*
 * hlqcomm/cuda.h: digits in words of 64 bits, by the kernels of kernels/cuda/cuda_packing.h.
 */
#include <hlqcomm/cuda.h>

#include "cuda_checks.h"

#include <kernels/body/packing.h>
#include <kernels/cuda/cuda_packing.h>

/* There are digits. */
static hlq_status check_packing(const hlq_cuda_packing *p)
{
    if (!p->digits || !p->words) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "%s is NULL", p->digits ? "packed" : "digits");
    }
    HLQ_TRY(hlq_cuda_check_digits("digits", p->digits));
    HLQ_TRY(hlq_cuda_check_memory("packed", p->words, sizeof *p->words));
    return hlq_cuda_check_memory("invalid", p->bad, sizeof *p->bad);
}

hlq_status hlq_cuda_digits_pack(int q, const void *digits, size_t count, void *packed,
                                uint64_t *invalid, hlq_stream stream)
{
    HLQ_TRY(hlq_check_base(q));
    if (!invalid) {
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "invalid is NULL; words do not show what was none");
    }
    if (!count) return HLQ_OK;
    const hlq_cuda_packing packing = {.q = q,
                                      .per = digits_of_word(q),
                                      .count = count,
                                      .digits = (void *)(uintptr_t)digits,
                                      .words = packed,
                                      .bad = invalid};
    HLQ_TRY(check_packing(&packing));
    return hlq_cuda_launched(hlq_cuda_pack(&packing, stream));
}

hlq_status hlq_cuda_digits_unpack(int q, const void *packed, size_t count, void *digits,
                                  uint64_t *invalid, hlq_stream stream)
{
    HLQ_TRY(hlq_check_base(q));
    if (!count) return HLQ_OK;
    const hlq_cuda_packing packing = {.q = q,
                                      .per = digits_of_word(q),
                                      .count = count,
                                      .digits = digits,
                                      .words = (uint64_t *)(uintptr_t)packed,
                                      .bad = invalid};
    HLQ_TRY(check_packing(&packing));
    return hlq_cuda_launched(hlq_cuda_unpack(&packing, stream));
}
