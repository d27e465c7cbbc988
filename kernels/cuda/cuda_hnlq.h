/*
 * The quantizer's kernels on a GPU: those of hnlq.h, as work on a stream. What cuda_kernels.h says
 * of structures, pointers, counts and errors holds here too.
 *
 * Nobody waits for a GPU to hear of wrong digits, so what is invalid stays so, visibly:
 *
 *     NaN, Inf           ─ encode ──▶ overload            ─ quantize ─▶ overload, NaN
 *     digit ≥ q          ─ decode ──▶ NaN                 ─ flatten ──▶ UINT32_MAX
 *                        ─ add ─────▶ overload, digits with all bits one
 *     T ≥ tries          ─ decode ──▶ NaN
 *     flat ≥ q^depth     ─ unflatten ▶ digits with all bits one
 *     |x| ≥ the limit    ─ nearest ──▶ NaN
 *
 * for all numbers of the vector. Such a digit is none, unless q is 256.
 */
#ifndef HLQ_KERNELS_CUDA_CUDA_HNLQ_H
#define HLQ_KERNELS_CUDA_CUDA_HNLQ_H

#include "cuda_kernels.h"
#include "../hnlq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Vectors and their code. Digits are aligned to 4 bytes. */
typedef struct hlq_cuda_vectors {
    hlq_hnlq code;
    size_t vectors;
    hlq_dither_at dither;
    void *digits;
    uint8_t *retries, *overload; /* may be NULL */
    uint64_t *overloads;         /* += vectors whose overload is 1; may be NULL */
    uint64_t *bad;               /* += what each function says; may be NULL */
} hlq_cuda_vectors;

/* bad: numbers of x that are NaN or Inf. */
int hlq_cuda_hnlq_encode(const hlq_cuda_vectors *vectors, const float *x, hlq_stream stream);

/* bad: what decode() returns, and vectors with T ≥ tries. */
int hlq_cuda_hnlq_decode(const hlq_cuda_vectors *vectors, int layers, float *x, hlq_stream stream);

/* decode() of what encode() gives, with digits in registers; out may be x. bad: as encode(). */
int hlq_cuda_hnlq_quantize(const hlq_cuda_vectors *vectors, const float *x, float *out,
                           hlq_stream stream);

/* vectors->digits, which may be a or b, get the sums. bad: what add() returns. */
int hlq_cuda_hnlq_add(const hlq_cuda_vectors *vectors, const void *a, const void *b,
                      hlq_stream stream);

/* bad: what flatten() returns; vectors with a value ≥ q^depth. */
int hlq_cuda_hnlq_flatten(const hlq_cuda_vectors *vectors, uint32_t *flat, hlq_stream stream);
int hlq_cuda_hnlq_unflatten(const hlq_cuda_vectors *vectors, const uint32_t *flat,
                            hlq_stream stream);

/* nearest() of vectors, where `point` may be x. *bad += vectors with a number that is not below
   HLQ_HNLQ_LIMIT in size; bad may be NULL. */
typedef struct hlq_cuda_nearest_of {
    hlq_lattice lattice;
    int dim;
    const float *x;
    size_t vectors;
    float *point;
    uint64_t *bad;
} hlq_cuda_nearest_of;

int hlq_cuda_hnlq_nearest(const hlq_cuda_nearest_of *of, hlq_stream stream);

/* out[i] = add_modq() of `count` digits, as body/modq.h has it; out may be a or b. All are aligned
   to 4 bytes. *bad += digits that came out as none; bad may be NULL. */
typedef struct hlq_cuda_modq {
    int q;
    const void *a, *b;
    size_t count;
    void *out;
    uint64_t *bad;
} hlq_cuda_modq;

int hlq_cuda_hnlq_add_modq(const hlq_cuda_modq *sum, hlq_stream stream);

#ifdef __cplusplus
}
#endif

#endif
