/*
 * A segment: one message, the coded form of some blocks of a tensor. Its size is fixed before
 * anything is known of its content: the plan fills it, zeros pad it. But that of a BOUND segment
 * follows from its content, and no plan is made: it says itself how many bits blocks have.
 *
 *   header  40 bytes, little endian:
 *           magic "HLQC" 4 | version 1 | form 1 | lattice 1 | dither 1 | base 2 | spread 2 |
 *           call 4 | first block 8 | blocks 8 | checksum of all the rest 8
 *   code    1 byte per block, or 1 bit if FAILED             (form RAMP, EXPONENTS and FAILED)
 *   wide    1 bit per block                                  (form RAMP and BOUND)
 *   bits    4 bits per block                                 (form BOUND)
 *           zeros, to a multiple of 4 bytes                  (form RAMP and BOUND)
 *   side    4 (MODULAR) or 8 bytes per coded block           (form MODULAR, RAMP and BOUND)
 *   planes  32 bytes per bit of each coded block             (form RAMP, MODULAR, SUMS and BOUND)
 *
 * A RAMP segment of more than HLQ_PIECE_BLOCKS blocks is long. It comes in pieces, each of which
 * can be sent when it is written and read when it is there, whatever has become of the rest:
 *
 *   head    header and codes, zeros to a multiple of 4; the checksum is theirs alone
 *   piece   checksum 8 | wide, zeros to a multiple of 4 | side | planes, of HLQ_PIECE_BLOCKS blocks
 *   …
 *   piece   the last: of the blocks left; padding to the segment's end is its own
 *
 * This is the only code that reads bytes from other ranks; in memory of a GPU, cuda/ is. It trusts
 * none of them: lengths follow from what the reader asked for, and the plan is made again from the
 * codes.
 */
#ifndef HLQ_WIRE_SEGMENT_H
#define HLQ_WIRE_SEGMENT_H

#include <kernels/kernels.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hlq_form {
    HLQ_FORM_RAMP = 0,      /* codes with ramp: twoshot, oneshot */
    HLQ_FORM_MODULAR = 1,   /* side words and planes alone; codes were agreed before */
    HLQ_FORM_EXPONENTS = 2, /* codes alone */
    HLQ_FORM_SUMS = 3,      /* planes alone: modular sums that their owner has checked */
    HLQ_FORM_FAILED = 4,    /* 1 bit per block: its modular sum did not fit */
    HLQ_FORM_BOUND = 5,     /* as RAMP, with the bits that an error takes: bound mode */
} hlq_form;

enum {
    HLQ_HEADER_BYTES = 40,
    HLQ_PIECE_BLOCKS = 1024,
    HLQ_HALF_WHOLE = 15,  /* in BOUND's half a byte: all 32 bits of a block */
    HLQ_BASE_LIMIT = 160, /* largest |base| in octaves, with room for sums */
    HLQ_BASE_LIMIT_FLOAT64 = 1200,
};

/* What both ends of a message know without reading it. */
typedef struct hlq_frame {
    hlq_form form;
    hlq_lattice lattice;
    hlq_dtype dtype; /* of the tensor */
    hlq_place place;
    int spread;     /* MODULAR */
    double allowed; /* BOUND, when it is made: how far a number may be off */
    uint32_t call;  /* number of the collective on its communicator */
    size_t bytes;   /* of the whole segment; BOUND, when it is made: room for it */
    int dithered;   /* RAMP: 1 if points are dithered; keyed by the seed, the call and these: */
    int sender;     /* rank in the communicator */
    int leg;        /* 0, or 1 for a sum that was coded before */
} hlq_frame;

/* Largest |base| of a tensor's segments. */
int hlq_base_limit(hlq_dtype dtype);

/* Bytes that are neither side words nor planes nor padding; in a segment that is not long, those
   before the side words. */
size_t hlq_segment_overhead(hlq_form form, size_t blocks);

/* How many pieces a segment has: 1 unless it is long. */
size_t hlq_segment_pieces(hlq_form form, size_t blocks);

/* What has to be there before anything can be read: of a long segment its head, else all. */
size_t hlq_segment_head_bytes(const hlq_frame *frame);

/*
 * Size of a segment for a budget in bytes: as large as the budget allows, but not larger than 12
 * bits for every block need, nor too small for least_bits of every block. BOUND: the most it can
 * be.
 */
size_t hlq_segment_bytes(hlq_form form, size_t blocks, double budget_bytes, int least_bits);

/* Writes the header alone. */
void hlq_segment_header(const hlq_frame *frame, int base, uint8_t *segment);

/* Writes the header and zeroes what follows up to the side words, or the end of the head. Returns
   a run with everything but bits, side and planes; its code and wide, where there are any, point
   into segment (of a long one, there is no wide). */
hlq_run hlq_segment_begin(const hlq_frame *frame, int base, uint8_t *segment);

/* Points run->side and run->planes to where they lie, once it is known how many blocks are coded.
   Returns the end of the planes; the rest of the segment is padding, zero when sent. */
uint8_t *hlq_segment_lay_out(const hlq_frame *frame, hlq_run *run, size_t coded, size_t planes,
                             uint8_t *segment);

/* Where a BOUND segment says how many bits its blocks have: of two blocks in a byte, the first in
   the lower half; HLQ_HALF_WHOLE stands for HLQ_BITS_WHOLE. */
uint8_t *hlq_segment_bits(size_t blocks, uint8_t *segment);

/* The blocks of the next piece of a long segment, which leave *rest. */
hlq_run hlq_piece_take(hlq_run *rest);

/* Points a piece's wide, side and planes to where they lie from `at` on, once its code and bits are
   known. Returns its end, but for padding. */
uint8_t *hlq_piece_lay_out(hlq_run *piece, uint8_t *at);

/* Writes the checksum, when everything else is written: of the header before it, and with that as
   seed, of what follows. Of a long segment that is its head; pieces have their own, whose seed is
   the head's plus their number. */
void hlq_segment_seal(const hlq_frame *frame, uint8_t *segment);
void hlq_piece_seal(const uint8_t *segment, size_t number, uint8_t *at, const uint8_t *end);

/*
 * Reads and checks a whole segment, or the head of a long one. On success *run has everything but
 * bits, side and planes, and unless MODULAR or SUMS its code points into segment. Otherwise returns
 * HLQ_E_WIRE with a sentence in error.
 */
hlq_status hlq_segment_open(const hlq_frame *frame, uint8_t *segment, hlq_run *run, char *error);

/* What a header is checked for, by name, in that order; the last is the base. NULL beyond it. */
const char *hlq_segment_field(int i);

/* Whether a piece, which ends there, is as it was sealed; else HLQ_E_WIRE and a sentence. */
hlq_status hlq_piece_check(const uint8_t *segment, size_t number, const uint8_t *at,
                           const uint8_t *end, char *error);

/* What hlq_segment_begin() and hlq_segment_open() give, without a look at the segment; and the run
   of a segment that was opened before. */
hlq_run hlq_segment_run(const hlq_frame *frame, int base, uint8_t *segment);
hlq_run hlq_segment_view(const hlq_frame *frame, uint8_t *segment);

#ifdef __cplusplus
}
#endif

#endif
