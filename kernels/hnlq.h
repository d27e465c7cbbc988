/*
 * The quantizer's kernels: vectors of d numbers to digits and back, and arithmetic on digits. They
 * stand under the contract of kernels.h: the same bytes from every variant.
 *
 * Eight rows × 32 lanes again, but rows are coordinates here: d = 8 fills a lane with one vector,
 * d = 4 with two, and so on, whatever the order of the vectors in memory (body/hnlq_layout.h).
 * Integers are 32 bits wide, for codes of up to 2^16 per coordinate.
 */
#ifndef HLQ_KERNELS_HNLQ_H
#define HLQ_KERNELS_HNLQ_H

#include <hlqcomm/quantizer.h>

enum {
    HLQ_DEPTH_MAX = 16,
    HLQ_TRIES_MAX = 256,      /* T is a byte */
    HLQ_HNLQ_LIMIT = 1 << 20, /* |x/β| from here on counts as 0, in an overloaded vector */
};

/* A code: lattice, base, depth, scales. All of it lies here, so that a GPU gets it by value. */
typedef struct hlq_hnlq {
    hlq_lattice lattice;
    int dim, q, depth;
    int q_log2;                   /* of a power of two; else -1 */
    int wide;                     /* digits are 16 bits, not 8 */
    int tries;                    /* 1 + max_retries */
    float centre[8];              /* mean of the code: added after scaling, taken off before */
    float scale[HLQ_TRIES_MAX];   /* β 2^(αT) of T below tries */
    float inverse[HLQ_TRIES_MAX]; /* 1 / scale */
} hlq_hnlq;

/* Dither of vector v is z[v × stride …]; z may be NULL. */
typedef struct hlq_dither_at {
    const float *z;
    size_t stride; /* 0 or dim */
} hlq_dither_at;

typedef struct hlq_encoded {
    uint64_t overloads;
    uint64_t nonfinite; /* numbers; if there are any, the digits mean nothing */
} hlq_encoded;

typedef struct hlq_hnlq_kernels {
    /* retries and overload may be NULL; retries is written only where tries > 1. */
    hlq_encoded (*encode)(const hlq_hnlq *code, const float *x, size_t vectors,
                          hlq_dither_at dither, void *digits, uint8_t *retries, uint8_t *overload);

    /*
     * The coarsest `layers` layers; retries may be NULL (all zero) and are < tries. decode, add and
     * flatten return how many lanes held a digit ≥ q: their result then means nothing.
     */
    uint64_t (*decode)(const hlq_hnlq *code, const void *digits, const uint8_t *retries,
                       size_t vectors, hlq_dither_at dither, int layers, float *x);

    /* Digits of the sum of the points of a and b; *overloads counts those that left the code. */
    uint64_t (*add)(const hlq_hnlq *code, const void *a, const void *b, size_t vectors, void *out,
                    uint8_t *overload, uint64_t *overloads);

    /* Digits ↔ G⁻¹ × point modulo q^depth; flat values are < q^depth. */
    uint64_t (*flatten)(const hlq_hnlq *code, const void *digits, size_t vectors, uint32_t *flat);
    void (*unflatten)(const hlq_hnlq *code, const uint32_t *flat, size_t vectors, void *digits);

    /* point[v] = Q(x[v]); returns how many numbers were not below HLQ_HNLQ_LIMIT. */
    uint64_t (*nearest)(const hlq_hnlq *code, const float *x, size_t vectors, float *point);
} hlq_hnlq_kernels;

/* One extern per line of variants.def; hlq_kernels.hnlq points to it. */
#define HLQ_VARIANT(symbol, features) extern const hlq_hnlq_kernels hlq_hnlq_kernels_##symbol;
#include "variants.def"
#undef HLQ_VARIANT

#endif
