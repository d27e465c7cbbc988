/*
 * Hierarchical nested-lattice quantization (HNLQ): vectors to digits and back, arithmetic on the
 * digits, inner products from look-up tables, linear layers with packed weights.
 *
 * This header is the manual of the quantizer, as hlqcomm.h is of the collectives. In order:
 * lattices, quantizers, encode and decode, digits, tables, linear layers.
 *
 * With a lattice L of dimension d, base q and depth M, a vector x of d numbers becomes M layers of
 * d digits in 0 … q-1 (Algorithms 1 and 2 of Kaplan and Ordentlich, arXiv 2505.13164):
 *
 *     encode   p = Q(x / β)                            nearest point of L
 *              for m = 0 … M-1:  b_m = G⁻¹p mod q,  p = Q(p / q)
 *              overload, if p is not 0 by now
 *     decode   x̂ = β Σ q^m x_m   with  x_m = G b_m - q Q(G b_m / q)
 *
 * b_0 is the finest layer. Without overload, x̂ = β Q(x / β) exactly. An overloaded vector decodes
 * to some other point of the code: it is flagged, and with max_retries > 0 encoded again at
 * β 2^α, β 2^2α, … until it fits; T, the number of such retries, is kept for each vector.
 *
 * Arithmetic: x / β is x times 1/β rounded to fp32; the nearest point is found exactly from that
 * number rounded to multiples of 2^-26, ties as in kernels/body/nearest.h; numbers of 2^20 or more
 * in size count as 0, in a vector that is overloaded. Everything behind that is integer. Q(p / q)
 * breaks ties by a nudge, the same for every p (kernels/body/hnlq.h): invariant under translation,
 * without which decoding would not return what was encoded. So digits are the same everywhere.
 *
 * Conventions. Arrays are contiguous, in host memory, any alignment, and belong to the caller; in
 * and out must not overlap unless that is said. `vectors` counts vectors of d numbers and may be
 * 0. Digits are uint8_t if q ≤ 256, else int16_t, shape [vectors, depth, dim]. On failure outputs
 * are undefined and hlq_quantizer_error() has a sentence. Handles are immutable: any number of
 * threads may use one at the same time.
 */
#ifndef HLQCOMM_QUANTIZER_H
#define HLQCOMM_QUANTIZER_H

#include <hlqcomm/hlqcomm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One sentence on the last failure of a function of this header in this thread. Never NULL. */
HLQ_API const char *hlq_quantizer_error(void);

/* Lattices ------------------------------------------------------------------------------------ */

enum { HLQ_DIM_MAX = 8 };

/*
 * A lattice in dim dimensions: Z with dim 1, 2, 4 or 8, D4 with 4, E8 with 8. Matrices are
 * row-major, dim × dim; columns of the generator are the basis.
 */
typedef struct hlq_lattice_info {
    uint32_t struct_bytes; /* set before the call: sizeof(hlq_lattice_info) */
    int dim;
    double volume;          /* of the Voronoi cell: |det G| */
    double second_moment;   /* mean of ‖u‖² / dim over the Voronoi cell */
    double covering_radius; /* no point of space is farther from the lattice */
    double packing_radius;  /* half the distance of neighbours */
    double generator[HLQ_DIM_MAX * HLQ_DIM_MAX];
    double inverse[HLQ_DIM_MAX * HLQ_DIM_MAX];
} hlq_lattice_info;

/* HLQ_E_INVALID for a lattice that does not exist in this dimension. */
HLQ_API HLQ_MUST_USE hlq_status hlq_lattice_describe(hlq_lattice lattice, int dim,
                                                     hlq_lattice_info *info);

/*
 * point[v] = the lattice point nearest to x[v]; [vectors, dim] floats both, point == x works.
 * Numbers beyond ±2^20 or not finite give HLQ_E_INVALID.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_lattice_nearest(hlq_lattice lattice, int dim, const float *x,
                                                    size_t vectors, float *point);

/* Quantizers ---------------------------------------------------------------------------------- */

typedef struct hlq_quantizer_params {
    uint32_t struct_bytes; /* sizeof(hlq_quantizer_params) */
    hlq_lattice lattice;
    int dim;         /* d: what the lattice has */
    int q;           /* base: odd, or a power of two; at least 2 */
    int depth;       /* M: 1 … 16, with q^depth ≤ 65536 */
    double beta;     /* scale: x / beta is rounded to the lattice; positive */
    double alpha;    /* retry T uses beta × 2^(alpha T); positive */
    int max_retries; /* 0 … 255; 0: overloaded vectors are flagged and stay so */
    int centred;     /* not 0: the code is shifted so that its mean is zero. Lowers the error by
                        0.3 - 0.6 dB at q = 4 and makes q = 2 usable; zero is then no codeword.
                        Needs q^dim ≤ 2^24 */
} hlq_quantizer_params;

/* D4, q = 4, M = 2, β = 1, no retries: 4 bits per number. */
#define HLQ_QUANTIZER_INIT                                                                         \
    {sizeof(hlq_quantizer_params), HLQ_LATTICE_D4, 4, 4, 2, 1.0, 1.0 / 3.0, 0, 0}

typedef struct hlq_quantizer hlq_quantizer;

/* HLQ_E_INVALID if parameters are outside of what is said above, HLQ_E_ISA, HLQ_E_NOMEM. */
HLQ_API HLQ_MUST_USE hlq_status hlq_quantizer_create(const hlq_quantizer_params *params,
                                                     hlq_quantizer **quantizer);
HLQ_API void hlq_quantizer_destroy(hlq_quantizer *quantizer); /* NULL is fine */

typedef struct hlq_quantizer_info {
    uint32_t struct_bytes; /* set before the call: sizeof(hlq_quantizer_info) */
    hlq_quantizer_params params;
    int digit_bytes;         /* 1 or 2 */
    double bits_per_number;  /* depth × log2 q, without T */
    uint64_t layer_points;   /* q^dim: members of one layer's code, rows of its tables;
                                UINT64_MAX if that is 2^64 or more */
    float mean[HLQ_DIM_MAX]; /* of a layer's representatives; zeros unless centred */
    int64_t max_norm2;       /* no ‖representative‖² (not centred) is larger: q² covering_radius² */
} hlq_quantizer_info;

HLQ_API HLQ_MUST_USE hlq_status hlq_quantizer_describe(const hlq_quantizer *quantizer,
                                                       hlq_quantizer_info *info);

/* Encode and decode --------------------------------------------------------------------------- */

/*
 * Subtractive dither: z is added after the division by β and taken away before the multiplication.
 * `vectors` is 1 (the same z for all) or that of the call; NULL for no dither at all.
 */
typedef struct hlq_dither {
    const float *z; /* [vectors, dim], in units of β; finite */
    size_t vectors;
} hlq_dither;

/*
 * x [vectors, dim] to digits [vectors, depth, dim].
 *
 *  retries    T of each vector, or NULL; required if max_retries > 0
 *  overload   [vectors], 1 where the vector did not fit even after max_retries, else 0; or NULL
 *  overloads  how many such; required: nobody may overlook it
 *
 * HLQ_E_INVALID if x or the dither holds NaN or Inf.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_encode(const hlq_quantizer *quantizer, const float *x,
                                           size_t vectors, const hlq_dither *dither, void *digits,
                                           uint8_t *retries, uint8_t *overload,
                                           uint64_t *overloads);

/*
 * Digits to x [vectors, dim], from the coarsest `layers` layers only (successive refinement;
 * depth: all of them). HLQ_E_INVALID for a digit outside 0 … q-1 or a T above max_retries.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_decode(const hlq_quantizer *quantizer, const void *digits,
                                           const uint8_t *retries, size_t vectors,
                                           const hlq_dither *dither, int layers, float *x);

/* decode(encode(x)) without keeping the digits; out == x works. As above otherwise. */
HLQ_API HLQ_MUST_USE hlq_status hlq_quantize(const hlq_quantizer *quantizer, const float *x,
                                             size_t vectors, const hlq_dither *dither, float *out,
                                             uint8_t *overload, uint64_t *overloads);

/* Digits -------------------------------------------------------------------------------------- */

/*
 * out[i] = (a[i] + b[i]) mod q, `count` digits; out == a works.
 *
 * What it is: addition in L / qL, layer by layer. What it is not: addition of the vectors, for
 * which digits must carry from layer to layer. Only the finest layer, taken modulo qL, is that of
 * the sum. For sums use hlq_digits_add().
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_digits_add_modq(int q, const void *a, const void *b,
                                                    size_t count, void *out);

/*
 * Digits of the sum of two decoded vectors (same T, no dither, not centred), with carries:
 * decode(out) = decode(a) + decode(b) wherever overload is 0; elsewhere the sum has left the code
 * and is right modulo q^depth L only. out == a works. overload, overloads: as for hlq_encode().
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_digits_add(const hlq_quantizer *quantizer, const void *a,
                                               const void *b, size_t vectors, void *out,
                                               uint8_t *overload, uint64_t *overloads);

/*
 * The flat code of the same points: z = G⁻¹ x̂/β modulo q^depth, [vectors, dim]; and the way back.
 * Flat codes add: modulo q^depth, the code of a sum is the sum of the codes.
 * HLQ_E_INVALID for digits ≥ q, flat values ≥ q^depth.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_digits_to_flat(const hlq_quantizer *quantizer,
                                                   const void *digits, size_t vectors,
                                                   uint32_t *flat);
HLQ_API HLQ_MUST_USE hlq_status hlq_flat_to_digits(const hlq_quantizer *quantizer,
                                                   const uint32_t *flat, size_t vectors,
                                                   void *digits);

/*
 * Storage at (nearly) the true rate: 64-bit little-endian words of k digits each, the first the
 * least significant, in base q; k is the largest with q^k ≤ 2^64. q = 4: 2 bits per digit, q = 3:
 * 1.6. The last word is filled up with zeros. Unpacking gives HLQ_E_INVALID for a word ≥ q^k.
 */
HLQ_API size_t hlq_packed_bytes(int q, size_t digits); /* 0 for a q that does not exist */
HLQ_API HLQ_MUST_USE hlq_status hlq_digits_pack(int q, const void *digits, size_t count,
                                                void *packed);
HLQ_API HLQ_MUST_USE hlq_status hlq_digits_unpack(int q, const void *packed, size_t count,
                                                  void *digits);

/* Look-up tables ------------------------------------------------------------------------------ */

/*
 * One layer of one vector has an index: Σ b[j] q^j, in 0 … q^dim - 1. Inner products of decoded
 * vectors are sums over pairs of layers, ⟨x̂, ŷ⟩ = Σ q^(i+j) ⟨x_i, y_j⟩, and the terms come from
 * a table: two-sided, of all pairs of representatives, or one-sided, of all representatives
 * against one given block y.
 */
typedef enum hlq_lut_type {
    HLQ_LUT_INT8 = 0,
    HLQ_LUT_INT16 = 1,
    HLQ_LUT_FLOAT32 = 2, /* of a centred quantizer */
} hlq_lut_type;

typedef struct hlq_lut hlq_lut;

/*
 * Entry [a × q^dim + b] = ⟨representative a, representative b⟩: exact integers (rounded to fp32 if
 * centred). HLQ_E_UNSUPPORTED if the table would have more than 2^26 entries; the sentence says
 * what to use instead. HLQ_E_NOMEM.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_lut_build_two_sided(const hlq_quantizer *quantizer,
                                                        hlq_lut **lut);
HLQ_API void hlq_lut_destroy(hlq_lut *lut); /* NULL is fine */

typedef struct hlq_lut_info {
    uint32_t struct_bytes; /* set before the call: sizeof(hlq_lut_info) */
    hlq_lut_type type;
    uint64_t side;       /* q^dim */
    uint64_t bytes;      /* of all side × side entries */
    double least, most;  /* entries lie between these */
    const void *entries; /* lives as long as the table */
} hlq_lut_info;

HLQ_API HLQ_MUST_USE hlq_status hlq_lut_describe(const hlq_lut *lut, hlq_lut_info *info);

/* Encoded vectors: what hlq_encode() wrote, and with which quantizer. */
typedef struct hlq_code {
    const hlq_quantizer *quantizer;
    const void *digits;
    const uint8_t *retries; /* NULL: T is 0 everywhere */
} hlq_code;

/*
 * *dot = Σ over vectors of ⟨â, b̂⟩, by look-ups weighted with q^(i+j) and with the scales of each
 * pair of vectors. Depth, β, α and T of the sides may differ; lattice, dim, q and centred must be
 * those of the table. Integer sums are exact; they are scaled and added in double, in the order of
 * kernels/lut.h.
 * HLQ_E_INVALID for digits out of range.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_lut_dot(const hlq_lut *lut, const hlq_code *a,
                                            const hlq_code *b, size_t vectors, double *dot);

/*
 * table[v × q^dim + b] = ⟨y[v], representative b⟩ in fp32, for y [vectors, dim].
 * HLQ_E_INVALID if y is not finite.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_lut_build_one_sided(const hlq_quantizer *quantizer,
                                                        const float *y, size_t vectors,
                                                        float *table);

/* *dot = Σ over vectors of ⟨y[v], b̂[v]⟩ from the table of y; added in double, in that order. */
HLQ_API HLQ_MUST_USE hlq_status hlq_lut_dot_one_sided(const float *table, const hlq_code *b,
                                                      size_t vectors, double *dot);

/* Linear layers ------------------------------------------------------------------------------- */

/*
 * y = x Wᵀ with W [out, in] held as digits. Each row of W is divided by a scale of its own (chosen
 * for the least squared error around the row's root mean square) and encoded without T; vectors
 * that would overload are shrunk until they fit, in steps of 2^(1/8), and counted.
 */
typedef struct hlq_linear hlq_linear;

/*
 * The quantizer gives lattice, q, depth, β (relative to the row's root mean square) and centred.
 * Needs q^dim ≤ 256 (one byte per layer of a vector), in a multiple of dim and at most 2^19 × dim;
 * max_retries is not used. A row's scale is 2^(k/8) × its root mean square, k = -2 … 5. The
 * quantizer may be destroyed before the layer. HLQ_E_INVALID (also if the weights are not finite),
 * HLQ_E_UNSUPPORTED, HLQ_E_NOMEM.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_linear_pack(const hlq_quantizer *quantizer, const float *weight,
                                                size_t out_features, size_t in_features,
                                                hlq_linear **linear);
HLQ_API void hlq_linear_destroy(hlq_linear *linear); /* NULL is fine */

/*
 * What a layer consists of, to be stored: indices [out, in / dim, depth], Σ b[j] q^j of each layer
 * of each vector, and scales [out]. A layer loaded from these, with a quantizer of the same
 * parameters, is the one that was saved. HLQ_E_INVALID for indices ≥ q^dim, scales not finite.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_linear_save(const hlq_linear *linear, uint8_t *indices,
                                                float *scales);
HLQ_API HLQ_MUST_USE hlq_status hlq_linear_load(const hlq_quantizer *quantizer,
                                                const uint8_t *indices, const float *scales,
                                                size_t out_features, size_t in_features,
                                                hlq_linear **linear);

/*
 * out [rows, columns] = x as the functions here see it, for training: quantized row by row, with
 * any q^dim; out == x works.
 *
 *  fit     not 0: with the row scale of least error, as hlq_linear_pack() does: equal, bit for bit,
 *          to what hlq_linear_unpack() returns
 *          0: divided by the row's root mean square, as hlq_linear_forward() does to activations
 *  shrunk  vectors that would have overloaded
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_rows_quantize(const hlq_quantizer *quantizer, const float *x,
                                                  size_t rows, size_t columns, int fit, float *out,
                                                  uint64_t *shrunk);

typedef struct hlq_linear_info {
    uint32_t struct_bytes; /* set before the call: sizeof(hlq_linear_info) */
    size_t out_features, in_features;
    uint64_t bytes;          /* of digits and scales */
    double bits_per_weight;  /* 8 × bytes / (out × in) */
    double relative_error;   /* ‖W - Ŵ‖² / ‖W‖²; NaN in a loaded layer, which has not seen W */
    uint64_t shrunk_vectors; /* of out × in / dim; 0 in a loaded layer */
} hlq_linear_info;

HLQ_API HLQ_MUST_USE hlq_status hlq_linear_describe(const hlq_linear *linear,
                                                    hlq_linear_info *info);

/* weight [rows, in] = rows first_row … of Ŵ: for a GEMM of your own, where x has many rows. */
HLQ_API HLQ_MUST_USE hlq_status hlq_linear_unpack(const hlq_linear *linear, size_t first_row,
                                                  size_t rows, float *weight);

/*
 * y [batch, out] = x [batch, in] Ŵᵀ by table look-ups; for small batches.
 *
 *  activation  NULL: one-sided; each row of x gives one table for each of its blocks, in fixed
 *              point of 16 bits: entries are rounded to multiples of B / 32600, where B is the
 *              largest norm of the row's blocks times that of the representatives. For x and W
 *              without outliers the relative error of y is about 2^-14.
 *              A quantizer of the same lattice, q and centred: two-sided; each row of x is divided
 *              by its root mean square and quantized first. Sums of entries are exact integers;
 *              y = sum × (scale of W's row × (β_w × β_x × root mean square of x)), in double, with
 *              centres taken from the sum in double, rounded once to fp32.
 *  overloads   activation vectors that overloaded (and were shrunk); required if activation is set
 *  threads     OpenMP threads at most; 0: OpenMP's own choice; 1 where the library is built
 *              without it
 *
 * The result does not depend on threads or processor. HLQ_E_INVALID if x is not finite.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_linear_forward(const hlq_linear *linear,
                                                   const hlq_quantizer *activation, const float *x,
                                                   size_t batch, float *y, uint64_t *overloads,
                                                   int threads);

#ifdef __cplusplus
}
#endif
#endif
