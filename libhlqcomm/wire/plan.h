/*
 * The plan: how many bits each block gets. Integer arithmetic on exponent codes alone, so sender
 * and receiver make the same plan and it need not travel.
 */
#ifndef HLQ_WIRE_PLAN_H
#define HLQ_WIRE_PLAN_H

#include <kernels/kernels.h>

typedef struct hlq_plan {
    size_t coded;  /* blocks that get any bits */
    size_t planes; /* sum of bits */
} hlq_plan;

/* Bytes of one plane. */
enum { HLQ_PLANE_BYTES = HLQ_PLANE_WORDS * 4 };

/* What dither demands: a block without bits would be 0 on every call, whatever it holds; and the
   budget, in bits per number, that pays for them in parts of 13 blocks and more: 72 + 9/8 bytes a
   block, 47 a message. Smaller parts' messages are as long as it takes. */
enum { HLQ_DITHER_BITS = 2 };
#define HLQ_DITHER_BUDGET 2.4

/*
 * Fills bits[0 … blocks-1] (0, or 2 … most_bits) such that Σ over coded blocks of side_bytes + 32
 * bits is at most budget_bytes, and no block could be given another bit in its turn. least_bits: 0,
 * or what every block that is neither zero nor non-finite is to have; the budget must pay for it,
 * else there is no least.
 */
hlq_plan hlq_plan_bits(const uint8_t *code, size_t blocks, int least_bits, int most_bits,
                       size_t side_bytes, size_t budget_bytes, uint8_t *bits);

/* What blocks of these bits take. */
hlq_plan hlq_count_bits(const uint8_t *bits, size_t blocks);

/* Blocks by exponent code: all that a plan depends on. */
typedef struct hlq_histogram {
    size_t blocks[256];
} hlq_histogram;

/* Squared error to expect of a plan for blocks of these codes, in units of 256 × the energy per
   number of a block of code HLQ_CODE_TOP. With dither, of a plan that gives it its bits. */
double hlq_plan_error(const hlq_histogram *histogram, hlq_lattice lattice, int dithered,
                      int most_bits, size_t side_bytes, size_t budget_bytes);
/* Their energy, in the same units. */
double hlq_histogram_energy(const hlq_histogram *histogram);

/* Expected squared error of a block coded with `bits`, relative to its energy; 1 for none. */
double hlq_plan_distortion(hlq_lattice lattice, int dithered, int bits);

#endif
