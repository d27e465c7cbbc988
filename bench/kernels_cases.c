/*
 * The cases of hlq_kernels: how to prepare each kernel's input, and the call that is timed. To add
 * one: two functions and a line in the table below.
 */
#include "kernels_bench.h"

#include "wire/codec.h"
#include "wire/plan.h"

#include <string.h>

/* What hlq_run.spread is for 8 ranks of independent numbers: log2(sqrt(8)) in eighths. */
enum { SPREAD_OF_EIGHT_RANKS = 12 };

/* A run over the whole tensor with nothing coded yet, in ramp form. */
static void begin(kernels_bench *b)
{
    memset(b->bits_of_block, b->bits, kernels_blocks_max(b->size_bytes));
    b->source =
        (hlq_source){.data = b->tensor, .dtype = HLQ_FLOAT32, .elems = b->blocks * HLQ_BLOCK_ELEMS};
    b->run = (hlq_run){
        .place = {.blocks = b->blocks, .stride = 1},
        .lattice = HLQ_LATTICE_E8,
        .code = b->code,
        .bits = b->bits_of_block,
        .wide = b->mine.wide,
        .side = b->mine.side,
        .planes = b->mine.planes,
    };
    b->copied_bytes = b->size_bytes;
}

static void find_codes(kernels_bench *b)
{
    b->kernels->exponents(&b->run.place, &b->source, b->exponent);
    b->run.base = hlq_base_of_exponents(HLQ_FLOAT32, b->exponent, b->blocks);
    hlq_codes_from_exponents(b->exponent, b->blocks, b->run.base, b->code);
}

static void make_modular(kernels_bench *b)
{
    b->run.modular = 1;
    b->run.spread = SPREAD_OF_EIGHT_RANKS;
    b->run.wide = NULL;
}

static void prepare_encode(kernels_bench *b)
{
    begin(b);
    find_codes(b);
}

static void prepare_encode_dithered(kernels_bench *b)
{
    prepare_encode(b);
    b->run.dithered = 1;
}

static void prepare_encode_modular(kernels_bench *b)
{
    prepare_encode(b);
    make_modular(b);
}

static void prepare_decode(kernels_bench *b)
{
    prepare_encode(b);
    b->kernels->encode(&b->run, &b->source);
}

static void prepare_decode_dithered(kernels_bench *b)
{
    prepare_encode_dithered(b);
    b->kernels->encode(&b->run, &b->source);
}

static void prepare_decode_modular(kernels_bench *b)
{
    prepare_encode_modular(b);
    b->kernels->encode(&b->run, &b->source);
}

static void prepare_accumulator(kernels_bench *b)
{
    begin(b);
    b->kernels->rotate_add(&b->run.place, &b->source, 0, b->acc);
}

static void prepare_encode_rotated(kernels_bench *b)
{
    prepare_accumulator(b);
    b->source.data = b->acc;
    b->source.rotated = 1;
    find_codes(b);
}

/* Runs of any planes; as many blocks as make them as large as the tensor. */
static void prepare_planes_add(kernels_bench *b)
{
    begin(b);
    make_modular(b);
    b->run.place.blocks = b->size_bytes / ((size_t)b->bits * HLQ_PLANE_BYTES);
    b->copied_bytes = b->run.place.blocks * (size_t)b->bits * HLQ_PLANE_BYTES;
    memset(b->code, HLQ_CODE_TOP, b->run.place.blocks);
    memcpy(b->mine.planes, b->tensor, b->copied_bytes);
    memcpy(b->other.planes, b->tensor, b->copied_bytes);
}

static void run_exponents(kernels_bench *b)
{
    b->kernels->exponents(&b->run.place, &b->source, b->exponent);
}

static void run_encode(kernels_bench *b) { b->kernels->encode(&b->run, &b->source); }

static void run_decode(kernels_bench *b)
{
    b->kernels->decode(&b->run, 1.0f, HLQ_FLOAT32, b->out, b->source.elems, NULL);
}

/* With checks, as the owner of a sum decodes it. */
static void run_decode_modular(kernels_bench *b)
{
    b->kernels->decode(&b->run, 1.0f, HLQ_FLOAT32, b->out, b->source.elems, b->failed);
}

static void run_decode_add(kernels_bench *b) { b->kernels->decode_add(&b->run, 0, b->acc); }

static void run_rotate_add(kernels_bench *b)
{
    b->kernels->rotate_add(&b->run.place, &b->source, 0, b->acc);
}

static void run_unrotate(kernels_bench *b)
{
    b->kernels->unrotate(&b->run.place, b->acc, 0, 1.0f, HLQ_FLOAT32, b->out, b->source.elems);
}

static void run_planes_add(kernels_bench *b)
{
    hlq_run in = b->run;
    in.side = b->other.side;
    in.planes = b->other.planes;
    b->kernels->planes_add(&b->run, &in);
}

/*
 * The quantizer at q = 4, depth 2 and one scale at which nothing overloads: 4 bits per number, a
 * byte for each of two digits.
 */
static void prepare_hnlq(kernels_bench *b, hlq_lattice lattice, int dim)
{
    begin(b);
    b->hnlq = (hlq_hnlq){
        .lattice = lattice,
        .dim = dim,
        .q = 4,
        .depth = 2,
        .q_log2 = 2,
        .tries = 1,
        .scale = {1},
        .inverse = {1},
    };
}

static void run_hnlq_encode(kernels_bench *b)
{
    size_t vectors = b->source.elems / (size_t)b->hnlq.dim;
    b->kernels->hnlq->encode(&b->hnlq, b->tensor, vectors, (hlq_dither_at){NULL, 0}, b->acc, NULL,
                             NULL);
}

static void run_hnlq_decode(kernels_bench *b)
{
    size_t vectors = b->source.elems / (size_t)b->hnlq.dim;
    b->kernels->hnlq->decode(&b->hnlq, b->acc, NULL, vectors, (hlq_dither_at){NULL, 0},
                             b->hnlq.depth, b->out);
}

static void prepare_hnlq_d4(kernels_bench *b) { prepare_hnlq(b, HLQ_LATTICE_D4, 4); }
static void prepare_hnlq_e8(kernels_bench *b) { prepare_hnlq(b, HLQ_LATTICE_E8, 8); }

static void prepare_hnlq_decode_d4(kernels_bench *b)
{
    prepare_hnlq_d4(b);
    run_hnlq_encode(b);
}

static void prepare_hnlq_decode_e8(kernels_bench *b)
{
    prepare_hnlq_e8(b);
    run_hnlq_encode(b);
}

static const kernels_case cases[] = {
    {"exponents", 0, begin, run_exponents},
    {"encode", 1, prepare_encode, run_encode},
    {"decode", 1, prepare_decode, run_decode},
    {"decode_add", 1, prepare_decode, run_decode_add},
    {"encode_dithered", 1, prepare_encode_dithered, run_encode},
    {"decode_dithered", 1, prepare_decode_dithered, run_decode},
    {"decode_add_dithered", 1, prepare_decode_dithered, run_decode_add},
    {"encode_rotated", 1, prepare_encode_rotated, run_encode},
    {"rotate_add", 0, begin, run_rotate_add},
    {"unrotate", 0, prepare_accumulator, run_unrotate},
    {"encode_modular", 1, prepare_encode_modular, run_encode},
    {"decode_modular", 1, prepare_decode_modular, run_decode_modular},
    {"planes_add", 1, prepare_planes_add, run_planes_add},
    {"hnlq_encode_d4", 0, prepare_hnlq_d4, run_hnlq_encode},
    {"hnlq_decode_d4", 0, prepare_hnlq_decode_d4, run_hnlq_decode},
    {"hnlq_encode_e8", 0, prepare_hnlq_e8, run_hnlq_encode},
    {"hnlq_decode_e8", 0, prepare_hnlq_decode_e8, run_hnlq_decode},
};

const kernels_case *kernels_case_at(int i)
{
    return i < (int)(sizeof cases / sizeof *cases) ? &cases[i] : NULL;
}
