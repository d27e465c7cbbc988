/*
 * What hlq_kernels measures: every kernel of kernels.h as a case, on a tensor of normal numbers in
 * which every block gets the same bits, beside memcpy of as many bytes.
 */
#ifndef HLQ_BENCH_KERNELS_BENCH_H
#define HLQ_BENCH_KERNELS_BENCH_H

#include <kernels/hnlq.h>
#include <kernels/kernels.h>

/* What a run points to. */
typedef struct kernels_codes {
    uint8_t *wide;
    uint32_t *side, *planes;
} kernels_codes;

/* Tensors and codes that the cases share, and the case that is being set up. */
typedef struct kernels_bench {
    size_t size_bytes, blocks; /* of the tensor */
    float *tensor, *out, *acc;
    int16_t *exponent;
    uint8_t *code, *bits_of_block, *failed;
    kernels_codes mine, other;

    const hlq_kernels *kernels;
    int bits;
    hlq_run run;
    hlq_source source;
    hlq_hnlq hnlq;       /* of the quantizer's cases */
    size_t copied_bytes; /* what memcpy is to copy beside the case */
} kernels_bench;

/* size_bytes is rounded up to whole blocks. NULL if there is no memory. */
kernels_bench *kernels_bench_create(size_t size_bytes);
void kernels_bench_destroy(kernels_bench *bench); /* NULL is fine */

/* Room for a run: blocks whose planes are as large as the tensor with one bit each. */
size_t kernels_blocks_max(size_t size_bytes);

/* prepare starts from zeroed results; sets run, source and copied_bytes from kernels and bits. */
typedef struct kernels_case {
    const char *name;
    int takes_bits; /* else it is measured once, with bits 0 */
    void (*prepare)(kernels_bench *bench);
    void (*run)(kernels_bench *bench);
} kernels_case;

/* All cases: i = 0, 1, … until NULL. */
const kernels_case *kernels_case_at(int i);

/* What one case measured. */
typedef struct kernels_figure {
    double gbps;        /* fp32 bytes of the tensor (planes_add: bytes of planes) per second */
    double memcpy_gbps; /* bytes copied per second, same size, calls interleaved */
    double ratio;       /* median over repeats of one by the other */
    double spread;      /* of ratio: (90 % quantile - 10 % quantile) / median */
    size_t repeats;
    uint64_t hash; /* of what one call wrote */
} kernels_figure;

/* Runs a case with a variant for about `seconds`. */
kernels_figure kernels_bench_run(kernels_bench *bench, const kernels_case *c,
                                 const hlq_kernels *kernels, int bits, double seconds);

#endif
