/*
 * The plan of a segment, by one group of threads: exponents → base and codes (or the codes that
 * arrived), then bits, then where all lies. The bits are those of hlq_plan_bits(), which raises
 * blocks one after the other as long as the rest of its budget pays. Warps get there together:
 *
 *    price     72   32   32   72   72   72   32   32      of one level up; left is 250
 *    before     0   72  104  136  208  280  352  384      prices of all blocks before
 *    raised     ×    ×    ×    ×              ×           208 paid; then one for 32 of the rest, 42
 *
 * All blocks up to the first that what is left does not pay for are raised, as sums of prices tell.
 * The rest is less than its price. If that is the higher of the two prices that there are, the rest
 * may pay for blocks of the lower one, and so many of those that come next are raised, too.
 */
#ifndef HLQ_WIRE_CUDA_PLAN_CUH
#define HLQ_WIRE_CUDA_PLAN_CUH

#include "job.h"
#include "../layout.h"
#include "../levels.h"

#include <kernels/cuda/share.cuh>
#include <kernels/cuda/starts.cuh>

enum {
    SIDE_BYTES = HLQ_RAMP_WORDS * 4,
    FIRST_PRICE = SIDE_BYTES + 2 * HLQ_PLANE_BYTES, /* of a block that had no bits */
    MORE_PRICE = HLQ_PLANE_BYTES,
};

/* What the threads of the group tell each other, in memory that they share. */
typedef struct {
    int largest;          /* exponent */
    uint32_t blocks[256]; /* by code */
    hlq_histogram histogram;
    hlq_bounds in;
    size_t cost[LEVELS];
    hlq_levels levels;
    struct {
        uint32_t before; /* blocks of the lower price before the first that is not raised */
        size_t raised;   /* how many behind it are */
    } rest;
} hlq_board;

HLQ_BODY hlq_share share_of_lane(hlq_share warps)
{
    hlq_share threads = {32 * warps.first + (size_t)lane(), 32 * warps.step};
    return threads;
}

/* Of a warp's share of blocks, as hlq_base_of_exponents() looks for it. */
HLQ_BODY int largest_exponent(hlq_share warps, const int16_t *exponent, size_t blocks)
{
    const hlq_share threads = share_of_lane(warps);
    int largest = HLQ_EXPONENT_ZERO;
    for (size_t b = threads.first; b < blocks; b += threads.step) {
        if (exponent[b] != HLQ_EXPONENT_NONFINITE && exponent[b] > largest) largest = exponent[b];
    }
    return __reduce_max_sync(WHOLE_WARP, largest);
}

HLQ_BODY void clear_board(hlq_share threads, const hlq_segment_job *job, hlq_board *board)
{
    for (size_t c = threads.first; c < 256; c += threads.step) board->blocks[c] = 0;
    if (threads.first != 0) return;
    board->largest = HLQ_EXPONENT_ZERO;
    board->rest.before = 0;
    board->rest.raised = 0;
    job->notes.found->damaged = UINT32_MAX;
}

HLQ_BODY void write_header(const hlq_segment_job *job, int base)
{
    for (int i = 0; i < HLQ_HEADER_BYTES; i++) job->segment[i] = job->header[i];
    put(job->segment + BASE_AT, (uint64_t)base, 2);
}

/* Codes of exponents; or if there are none, those of the segment. */
HLQ_BODY void count_codes(hlq_share threads, const hlq_segment_job *job, const int16_t *exponent,
                          hlq_board *board)
{
    uint8_t *code = job->segment + HLQ_HEADER_BYTES;
    int base = base_of_largest(board->largest, job->base_limit);
    for (size_t b = threads.first; b < job->run.place.blocks; b += threads.step) {
        if (exponent) code[b] = code_of_exponent(exponent[b], base);
        atomicAdd(&board->blocks[code[b]], 1u);
    }
    if (exponent && threads.first == 0) write_header(job, base);
}

HLQ_BODY void close_histogram(hlq_share threads, const hlq_segment_job *job, hlq_board *board)
{
    for (size_t c = threads.first; c < 256; c += threads.step) {
        board->histogram.blocks[c] = board->blocks[c];
    }
    if (threads.first == 0) job->notes.found->nonfinite = board->blocks[HLQ_CODE_NONFINITE];
}

HLQ_BODY size_t budget_of(const hlq_segment_job *job) { return job->bytes - job->overhead; }

/* Of all levels, each by a thread. */
HLQ_BODY void find_costs(hlq_share threads, const hlq_segment_job *job, hlq_board *board)
{
    hlq_bounds in = {job->least_bits, HLQ_BITS_MAX};
    in = bounds_paid(&board->histogram, in, SIDE_BYTES, budget_of(job));
    for (size_t i = threads.first; i < LEVELS; i += threads.step) {
        board->cost[i] = cost_at(&board->histogram, LOWEST_LEVEL + (int)i, in, SIDE_BYTES);
    }
    if (threads.first == 0) board->in = in;
}

/* Of the lowest level that the budget pays for: costs fall as levels rise. */
HLQ_BODY void fill_levels(hlq_share threads, const hlq_segment_job *job, hlq_board *board)
{
    const size_t budget = budget_of(job);
    uint32_t over = 0;
    for (int i = lane(); i < LEVELS; i += 32) over += board->cost[i] > budget;
    over = __reduce_add_sync(WHOLE_WARP, over);
    for (size_t c = threads.first; c < 256; c += threads.step) {
        levels_fill(&board->levels, (int)c, LOWEST_LEVEL + (int)over, board->in, SIDE_BYTES);
    }
    if (threads.first == 0) board->levels.left = budget - board->cost[over];
}

HLQ_BODY hlq_part blocks_of_piece(const hlq_segment_job *job, size_t p)
{
    const size_t blocks = job->run.place.blocks, end = (p + 1) * HLQ_PIECE_BLOCKS;
    hlq_part part = {p * HLQ_PIECE_BLOCKS, end < blocks ? end : blocks};
    return part;
}

HLQ_BODY size_t sum_of_prices(hlq_prices n)
{
    return (size_t)n.first * FIRST_PRICE + (size_t)n.more * MORE_PRICE;
}

/* visit(b, price, before) for each block of a piece, by its lane; before: the prices of the blocks
   from `at` on. Returns those of all. */
template <typename Visit>
HLQ_BODY hlq_prices walk_prices(const hlq_segment_job *job, const hlq_board *board, size_t p,
                                hlq_prices at, Visit visit)
{
    const hlq_part part = blocks_of_piece(job, p);
    const uint32_t below = (1u << lane()) - 1;
    for (size_t first = part.first; first < part.last; first += 32) {
        size_t b = first + (size_t)lane(), price = 0;
        if (b < part.last) price = board->levels.price[job->run.code[b]];
        uint32_t firsts = __ballot_sync(WHOLE_WARP, price == FIRST_PRICE);
        uint32_t mores = __ballot_sync(WHOLE_WARP, price == MORE_PRICE);
        hlq_prices before = at;
        before.first += (uint32_t)__builtin_popcount(firsts & below);
        before.more += (uint32_t)__builtin_popcount(mores & below);
        if (b < part.last) visit(b, price, before);
        at.first += (uint32_t)__builtin_popcount(firsts);
        at.more += (uint32_t)__builtin_popcount(mores);
    }
    return at;
}

HLQ_BODY void count_prices(const hlq_segment_job *job, const hlq_board *board, size_t p)
{
    const hlq_prices none = {0, 0};
    hlq_prices all = walk_prices(job, board, p, none, [](size_t, size_t, hlq_prices) {});
    if (lane() == 0) job->notes.price[p] = all;
}

HLQ_BODY hlq_prices prices_before(const hlq_segment_job *job, size_t p)
{
    hlq_prices sum = {0, 0};
    for (size_t q = (size_t)lane(); q < p; q += 32) {
        sum.first += job->notes.price[q].first;
        sum.more += job->notes.price[q].more;
    }
    sum.first = __reduce_add_sync(WHOLE_WARP, sum.first);
    sum.more = __reduce_add_sync(WHOLE_WARP, sum.more);
    return sum;
}

/* At the first block that is not raised, if it is in this piece. */
HLQ_BODY void find_rest(const hlq_segment_job *job, hlq_board *board, size_t p)
{
    const size_t left = board->levels.left;
    walk_prices(job, board, p, prices_before(job, p), [=](size_t, size_t price, hlq_prices before) {
        size_t paid = sum_of_prices(before);
        if (paid > left || paid + price <= left) return;
        board->rest.before = before.more;
        board->rest.raised = (left - paid) / MORE_PRICE;
    });
}

HLQ_BODY void write_bits(const hlq_segment_job *job, const hlq_board *board, size_t p)
{
    const hlq_levels *levels = &board->levels;
    walk_prices(job, board, p, prices_before(job, p),
                [=](size_t b, size_t price, hlq_prices before) {
                    int code = job->run.code[b];
                    bool is_paid = sum_of_prices(before) + price <= levels->left;
                    if (price == MORE_PRICE && before.more >= board->rest.before) {
                        is_paid |= before.more - board->rest.before < board->rest.raised;
                    }
                    job->notes.bits[b] = is_paid ? levels->raised[code] : levels->now[code];
                });
}

HLQ_BODY void write_starts(const hlq_segment_job *job, size_t p)
{
    const hlq_part part = blocks_of_piece(job, p), own = {0, part.last - part.first};
    const uint8_t *bits = job->notes.bits + part.first;
    job->notes.total[p] = starts_total(bits, own);
    starts_write(bits, own, NULL, 0, job->notes.start + part.first);
}

/* Where a piece of a long segment begins; that of another would, if it had a checksum there. */
HLQ_BODY size_t begin_of_piece(const hlq_segment_job *job, size_t p)
{
    hlq_start sum = {0, 0};
    for (size_t q = (size_t)lane(); q < p; q += 32) {
        sum.coded += job->notes.total[q].coded;
        sum.planes += job->notes.total[q].planes;
    }
    sum.coded = __reduce_add_sync(WHOLE_WARP, sum.coded);
    sum.planes = __reduce_add_sync(WHOLE_WARP, sum.planes);
    return job->head_bytes + p * piece_overhead(HLQ_PIECE_BLOCKS) + (size_t)sum.coded * SIDE_BYTES +
           (size_t)sum.planes * HLQ_PLANE_BYTES;
}

HLQ_BODY void lay_out_piece(const hlq_segment_job *job, size_t p)
{
    const hlq_part part = blocks_of_piece(job, p);
    hlq_cuda_run piece = {job->run, job->notes.start};
    uint8_t *side = job->segment + job->overhead;
    if (job->pieces > 1) {
        size_t begin = begin_of_piece(job, p);
        side = job->segment + begin + piece_overhead(part.last - part.first);
        piece.run.wide = job->segment + begin + SUM_BYTES - part.first / 8; /* codes are longer */
        job->notes.at[p] = begin;
    }
    piece.run.base = get_signed16(job->segment + BASE_AT);
    piece.run.side = (uint32_t *)side;
    piece.run.planes = (uint32_t *)(side + (size_t)job->notes.total[p].coded * SIDE_BYTES);
    if (lane() == 0) job->notes.run[p] = piece;
}

/* Phase by phase, with all threads in step before the next. exponent: NULL, if codes are there. */
enum { PLAN_PHASES = 11 };

HLQ_BODY void plan_phase(int phase, hlq_share warps, const hlq_segment_job *job,
                         const int16_t *exponent, hlq_board *board)
{
    const hlq_share threads = share_of_lane(warps);
    if (phase == 0) clear_board(threads, job, board);
    if (phase == 1 && exponent) {
        int largest = largest_exponent(warps, exponent, job->run.place.blocks);
        if (lane() == 0) atomicMax(&board->largest, largest);
    }
    if (phase == 2) count_codes(threads, job, exponent, board);
    if (phase == 3) close_histogram(threads, job, board);
    if (phase == 4) find_costs(threads, job, board);
    if (phase == 5) fill_levels(threads, job, board);
    for (size_t p = warps.first; p < job->pieces; p += warps.step) {
        if (phase == 6) count_prices(job, board, p);
        if (phase == 7) find_rest(job, board, p);
        if (phase == 8) write_bits(job, board, p);
        if (phase == 9) write_starts(job, p);
        if (phase == 10) lay_out_piece(job, p);
    }
}

#endif
