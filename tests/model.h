/*
 * What an all-reduce should give, in fp64 and in the plainest way, and how far a result may be off.
 * Knows lattices by their covering radius alone.
 */
#ifndef HLQ_TEST_MODEL_H
#define HLQ_TEST_MODEL_H

#include <hlqcomm/hlqcomm.h>

enum { MODEL_BLOCK = 256 };

typedef struct model {
    int ranks;
    size_t count, blocks;
    double *sum;   /* over ranks, per element */
    double *sizes; /* per block: Σ over ranks of the l2 norm of its numbers */
    double factor; /* from the sum to the result: 1, or 1 / ranks */
} model;

model model_new(size_t count, int ranks, hlq_op op);
void model_free(model *m);
/* One rank's tensor. */
void model_add(model *m, const float *x);
void model_add_wide(model *m, const double *x);

/* What element i should be. */
double model_exact(const model *m, size_t i);
/* ‖result - exact‖² / ‖exact‖²; 0 if both are zero. */
double model_vnmse(const model *m, const float *result);

/*
 * Bound on the l2 error of one block of the result. Quantizing a vector is off by at most the
 * covering radius times the scale (hlq_stats.largest_scale); the rotation keeps l2 norms; a block
 * has 32 vectors of E8 with radius 1, 64 of D4 with radius 1, or 32 of Z^8 with radius √2:
 *
 *     one quantization of a block ≤ √32 scale (E8), √64 scale (D4, Z)
 *
 * Errors add up over the quantizations that a number goes through, `scales` = Σ of their scales:
 *   oneshot  Σ_p scale_p                 every rank's contribution once
 *   twoshot  Σ_p scale_p + max_p scale_p   the same, and the owner's of the sum
 *   modq     ranks × scale               one scale for all
 *   native   0
 *   hierarchical  at most twoshot's: one rank of each node quantizes its node's sum
 * To which come: points rounded in 1/8192 of a lattice unit (1 part in 1000 is generous); fp32
 * rounding of rotations (16 steps), scales and the sum over ranks; rounding to the type of the
 * tensor, where that is a short one; and blocks of denormals, which count as zero.
 */
typedef struct model_bound {
    hlq_lattice lattice;
    hlq_dtype dtype;
    double scales;
} model_bound;

/* l2 error of one block quantized once. */
double model_quantized(hlq_lattice lattice, double scale);
double model_block_bound(const model *m, const model_bound *bound, size_t block);
/* The largest ratio of error to bound over all blocks: at most 1 if the result is right. NaN if any
   number of the result is NaN. */
double model_worst(const model *m, const model_bound *bound, const float *result);
double model_worst_wide(const model *m, const model_bound *bound, const double *result);

/* Σ of the scales a number is quantized with, from every rank's hlq_stats.largest_scale. */
double model_scales(hlq_algorithm algorithm, const double *largest_scale, int ranks);

#endif
