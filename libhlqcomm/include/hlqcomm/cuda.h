/*
 * The quantizer on tensors in GPU memory: functions of hlqcomm/quantizer.h as work on a CUDA
 * stream, with the same digits and numbers, bit by bit. Link hlqcomm_cuda beside hlqcomm; built
 * where there is a CUDA toolkit, for GPUs from sm_80 on.
 *
 * Quantizers are those of hlq_quantizer_create(), in memory of the host, and may be destroyed as
 * soon as a call has returned. Arguments are as in quantizer.h, but that
 *
 *  - all other pointers are to memory of the current device (cudaMalloc, managed), aligned to their
 *    elements, digits to 4 bytes. What hlq_dither.z points to is, too; hlq_dither itself is the
 *    host's. Everything stays allocated until the stream has come past the work.
 *  - a call only adds its work to the stream (NULL: the default stream) and returns. It neither
 *    allocates nor waits, and can be captured into a graph. HLQ_OK says that this was possible.
 *  - nothing can be refused for what memory holds. What is invalid stays so, visibly, in all
 *    numbers of its vector:
 *
 *      NaN or Inf in x or the dither   encode: overload is 1, the digits mean nothing
 *                                      quantize: overload is 1, the result is NaN
 *      a digit ≥ q (or below 0)        decode: NaN;  to_flat: UINT32_MAX
 *                                      add: overload is 1, all bits of the digits are one
 *                                      add_modq: the digit's bits are all one
 *      T above max_retries             decode: NaN
 *      a flat value ≥ q^depth          from_flat: all bits of the digits are one
 *
 *    Digits with all bits one are invalid in turn, but for q = 256, where no byte is.
 *  - `overloads` and `invalid` are counters, to which the work adds: one look after many calls
 *    tells. Set them to 0 before. `invalid` may be NULL; it counts what the host's function would
 *    have refused, as each function says.
 *
 * A function returns HLQ_E_INVALID for arguments that are wrong by themselves (also for memory of
 * the host, or of another device than the current one), HLQ_E_TRANSPORT if CUDA fails; then
 * hlq_quantizer_error() has a sentence. Any number of threads may call.
 *
 * No GPU has run this yet.
 */
#ifndef HLQCOMM_CUDA_H
#define HLQCOMM_CUDA_H

#include <hlqcomm/quantizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * hlq_encode(). overload or overloads may be NULL, not both: nobody may overlook them all.
 * invalid: numbers of x that are NaN or Inf.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_encode(const hlq_quantizer *quantizer, const float *x,
                                                size_t vectors, const hlq_dither *dither,
                                                void *digits, uint8_t *retries, uint8_t *overload,
                                                uint64_t *overloads, uint64_t *invalid,
                                                hlq_stream stream);

/* hlq_decode(). invalid: vectors that became NaN for their digits or T. */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_decode(const hlq_quantizer *quantizer, const void *digits,
                                                const uint8_t *retries, size_t vectors,
                                                const hlq_dither *dither, int layers, float *x,
                                                uint64_t *invalid, hlq_stream stream);

/* hlq_quantize(); out == x works. The counters are those of hlq_cuda_encode(). */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_quantize(const hlq_quantizer *quantizer, const float *x,
                                                  size_t vectors, const hlq_dither *dither,
                                                  float *out, uint8_t *overload,
                                                  uint64_t *overloads, uint64_t *invalid,
                                                  hlq_stream stream);

/* hlq_digits_add_modq(); out == a works. invalid: digits that came out with all bits one. */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_digits_add_modq(int q, const void *a, const void *b,
                                                         size_t count, void *out, uint64_t *invalid,
                                                         hlq_stream stream);

/*
 * hlq_digits_add(); out == a works. overload, overloads: as for hlq_cuda_encode(). invalid:
 * vectors of a and of b with invalid digits.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_digits_add(const hlq_quantizer *quantizer, const void *a,
                                                    const void *b, size_t vectors, void *out,
                                                    uint8_t *overload, uint64_t *overloads,
                                                    uint64_t *invalid, hlq_stream stream);

/* hlq_digits_to_flat(), hlq_flat_to_digits(). invalid: vectors with an invalid digit or value. */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_digits_to_flat(const hlq_quantizer *quantizer,
                                                        const void *digits, size_t vectors,
                                                        uint32_t *flat, uint64_t *invalid,
                                                        hlq_stream stream);
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_flat_to_digits(const hlq_quantizer *quantizer,
                                                        const uint32_t *flat, size_t vectors,
                                                        void *digits, uint64_t *invalid,
                                                        hlq_stream stream);

#ifdef __cplusplus
}
#endif
#endif
