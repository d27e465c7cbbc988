/*
 * Block arithmetic: what a kernel variant offers to the rest of the library. Nothing here knows of
 * ranks, messages or files.
 *
 * THE CONTRACT. Every variant, on every processor, gives the same bytes for the same input.
 *  - fp32 arithmetic is add, subtract, multiply, abs, max and comparisons, each rounded by itself
 *    in a written order: no contraction into fma, no fast-math, no flushing of denormals (entry
 *    points set the floating-point environment and restore the caller's).
 *  - After the first rounding to integers everything is integer arithmetic modulo 2^16 or 2^32.
 *  - NaN and Inf are found by exponents() before any arithmetic could depend on them.
 * The scalar variant is the specification; tests compare all others with it byte by byte.
 *
 * Shapes. A block is 256 consecutive numbers of the tensor, the last one padded with zeros, seen as
 * 8 rows × 32 lanes (element 32*row + lane). A lane's column of 8 is one E8 vector, two D4 vectors,
 * or 8 integers.
 */
#ifndef HLQ_KERNELS_KERNELS_H
#define HLQ_KERNELS_KERNELS_H

#include <hlqcomm/hlqcomm.h>

enum {
    HLQ_ROWS = 8,
    HLQ_LANES = 32,
    HLQ_BLOCK_ELEMS = 256,
    HLQ_BITS_MAX = 12,   /* most planes a block can have: codes live in 16-bit integers */
    HLQ_BITS_WHOLE = 32, /* the block's rotated numbers themselves, as float32 */
    HLQ_RAMP_STEPS = 4,  /* scales a lane can choose from */
    HLQ_RAMP_WORDS = 2,  /* two bits per lane */
    HLQ_PLANE_WORDS = 8, /* one plane: a 32-bit word for each row */
    HLQ_CODE_ZERO = 0,   /* exponent codes: the block is all zero */
    HLQ_CODE_TOP = 254,  /* the largest finite block */
    HLQ_CODE_NONFINITE = 255,
    HLQ_UNIT_LIMIT = 120,          /* accumulators are in units of 2^-120 … 2^120 */
    HLQ_UNIT_LIMIT_FLOAT64 = 1000, /* those of float64 tensors */
};

/*
 * An exponent is a block's root mean square, rounded up, in eighths of an octave: rms ≤ 2^(E/8).
 * On the wire it is one byte, code = E - 8*base + 254, with `base` (whole octaves) common to a
 * segment; smaller blocks than code 1 can say are treated as zero.
 */
#define HLQ_EXPONENT_ZERO INT16_MIN
#define HLQ_EXPONENT_NONFINITE INT16_MAX

/*
 * Which blocks of a tensor are meant: i = 0 … blocks-1 stands for block list[i] of the tensor, or
 * if list is NULL, for block first + i*stride. A block's position, with the seed, keys its sign
 * flips.
 */
typedef struct hlq_place {
    size_t blocks;
    uint64_t first, stride;
    const uint64_t *list;
    uint64_t seed;
} hlq_place;

/*
 * What is encoded: blocks of a tensor, or an accumulator.
 *  tensor       data and residual (error feedback, elems floats, or NULL) are the whole tensor's;
 *               the residual is added to data wherever data is read; there is none with float64
 *  accumulator  blocks of 256 floats in the rotated domain, in units of 2^unit: place.blocks of
 *               them, one after the other; or if room is not 0, where the tensor's blocks would be
 *               if each had so many bytes, but for its last block, if elems cut that, which is at
 *               `last`. The residual, still the whole tensor's, is only written
 */
typedef struct hlq_source {
    const void *data;
    hlq_dtype dtype;
    size_t elems; /* of the whole tensor; the rest of its last block counts as zero */
    float *residual;
    int rotated; /* data is an accumulator */
    int unit;
    size_t room; /* of an accumulator */
    const float *last;
} hlq_source;

/*
 * Coded form of blocks. Blocks with bits 0 have no side words and no planes.
 *
 *   code     1 byte per block          bits    1 byte per block: planes it has, 0 … 12; or 32
 *   wide     1 bit per block (ramp only): its ramp starts HLQ_RAMP_STEPS - 1 steps higher
 *   side     per coded block: 2 words, the ramp step of each lane (bit 0s, bit 1s);
 *            or, in modular form, 1 word: the check, Σ weight × coordinate modulo 2^32
 *   planes   per coded block: bits × 8 words; word 8j+r holds bit j of row r over the lanes;
 *            of a block of 32 bits, its 256 rotated numbers in 1/512 rms, its side words 0
 *
 * In modular form there is no ramp (wide is NULL): all ranks use one scale, `spread` eighths of an
 * octave above the ordinary one, so that sums of several ranks' points fit. A block must not be
 * larger than its code says: coordinates would leave 16 bits.
 *
 * With dither (ramp only), a lane's point is that of its vector plus a random one, which decoding
 * takes away again (body/dither.h); key and position say which. Blocks have 0 bits or at least 2.
 */
typedef struct hlq_run {
    hlq_place place;
    hlq_lattice lattice;
    int base; /* of the exponent codes, octaves */
    int modular;
    int spread;
    int dithered;
    uint64_t dither_key;
    const uint8_t *code;
    const uint8_t *bits;
    uint8_t *wide;
    uint32_t *side;
    uint32_t *planes;
} hlq_run;

/* The first blocks (at most) of a place or run, which is left with the rest. Runs are taken in
   multiples of 8 blocks, so that wide bits stay in their bytes; only the last piece may be odd. */
hlq_place hlq_place_take(hlq_place *rest, size_t blocks);
hlq_run hlq_run_take(hlq_run *rest, size_t blocks);

/* Blocks of a run that decode to NaN. */
uint64_t hlq_run_nonfinite(const hlq_run *run);

struct hlq_hnlq_kernels;    /* hnlq.h */
struct hlq_look_up_kernels; /* look_up.h */

typedef struct hlq_kernels {
    const char *name;
    const struct hlq_hnlq_kernels *hnlq;       /* the quantizer's functions */
    const struct hlq_look_up_kernels *look_up; /* table look-ups */

    /* exponent[i] of every block of src (plus residual), or one of the two special values. */
    void (*exponents)(const hlq_place *place, const hlq_source *src, int16_t *exponent);

    /*
     * Fills wide, side and planes of run. Where src has a residual, it becomes what the codes do
     * not say: (data + residual) - decoded; zero for non-finite blocks. Returns how many blocks
     * had to go wide, or in modular form, had a vector out of range by itself.
     */
    uint64_t (*encode)(const hlq_run *run, const hlq_source *src);

    /*
     * The same within an error: chooses run->bits, written through bits, block by block: the least
     * (0, 2 … 12, or 32) for which no number is off by more than `allowed`, up to float32's
     * rounding. Not in modular form. Side words and planes need room for 32 bits of every block.
     */
    uint64_t (*encode_within)(const hlq_run *run, const hlq_source *src, double allowed,
                              uint8_t *bits);

    /*
     * Blocks of the tensor out (elems of dtype in all) from their codes, times factor. If failed is
     * not NULL (modular form), checks are made: a block whose check does not match is left
     * unwritten and its bit in failed (1 bit per block of the run, zeroed by the caller) is set.
     * Returns the number of such blocks.
     */
    uint64_t (*decode)(const hlq_run *run, float factor, hlq_dtype dtype, void *out, size_t elems,
                       uint8_t *failed);

    /*
     * Accumulators hold blocks in the rotated domain, 256 floats each, in units of 2^unit, which
     * keeps sums of huge numbers in range, below 2^100: no step overflows, which would give each
     * processor's own NaN. decode_add adds a coded run, rotate_add blocks of a
     * tensor that was not quantized; non-finite blocks add NaN (any NaN: its bits may differ
     * between variants, and never leave an accumulator). unrotate turns an accumulator into blocks
     * of the tensor out, times factor; blocks with NaN or Inf become NaN, and are counted.
     */
    void (*decode_add)(const hlq_run *run, int unit, float *acc);
    void (*rotate_add)(const hlq_place *place, const hlq_source *src, int unit, float *acc);
    uint64_t (*unrotate)(const hlq_place *place, const float *acc, int unit, float factor,
                         hlq_dtype dtype, void *out, size_t elems);

    /*
     * acc += in for two runs in modular form with equal code and bits: planes modulo 2^bits by
     * ripple carry, checks modulo 2^32. Exact and associative: any order gives the same bytes.
     */
    void (*planes_add)(const hlq_run *acc, const hlq_run *in);
} hlq_kernels;

/* One extern per line of variants.def. */
#define HLQ_VARIANT(symbol, features) extern const hlq_kernels hlq_kernels_##symbol;
#include "variants.def"
#undef HLQ_VARIANT

/*
 * The variant in use: the best this processor supports, or the one HLQ_KERNELS names; NULL if that
 * cannot be. Chosen once; thread safe.
 */
const hlq_kernels *hlq_kernels_get(void);

/* All compiled variants, best first: i = 0, 1, … until NULL; *supported tells if it runs here. */
const hlq_kernels *hlq_kernels_at(int i, int *supported);

#endif
