/*
 * Checksums by a warp: four lanes have the four sums of XXH64. Each is a chain of an addition, a
 * rotation and a multiplication of 64 bits per stripe of 32 bytes, whoever computes it; at some 30
 * cycles, which is a guess, 140 KB take 80 µs: a piece at 4 bits. Pieces have a warp each, so a
 * long segment takes as long as its head and one of them.
 */
#ifndef HLQ_WIRE_CUDA_CHECKSUM_CUH
#define HLQ_WIRE_CUDA_CHECKSUM_CUH

#include "job.h"
#include "../checksum_steps.h"
#include "../layout.h"

#include <kernels/cuda/share.cuh>

/* Stripes that are on their way from memory while as many are stirred in. */
enum { STRIPES_AHEAD = 8 };

/* Words of a lane; stripes from `left` on are not there. Aligned to 4 bytes. */
HLQ_BODY void load_stripes(const uint8_t *at, size_t left, uint64_t word[STRIPES_AHEAD])
{
    const uint32_t *half = (const uint32_t *)at + 2 * (lane() % CHECKSUM_SUMS);
    HLQ_UNROLL
    for (int i = 0; i < STRIPES_AHEAD; i++, half += CHECKSUM_STRIPE / 4) {
        word[i] = (size_t)i < left ? half[0] | (uint64_t)half[1] << 32 : 0;
    }
}

HLQ_BODY uint64_t sum_of_lane(uint64_t x, int from)
{
    uint64_t low = __shfl_sync(WHOLE_WARP, (uint32_t)x, from);
    return low | (uint64_t)__shfl_sync(WHOLE_WARP, (uint32_t)(x >> 32), from) << 32;
}

/* hlq_checksum() of data aligned to 4 bytes. */
HLQ_BODY uint64_t checksum_of(const uint8_t *data, size_t bytes, uint64_t seed)
{
    const size_t stripes = bytes / CHECKSUM_STRIPE;
    const uint8_t *rest = data + stripes * CHECKSUM_STRIPE, *end = data + bytes;
    uint64_t sum = first_sum(lane() % CHECKSUM_SUMS, seed), word[STRIPES_AHEAD];
    if (!stripes) return finish(without_stripes(seed), bytes, rest, end);
    load_stripes(data, stripes, word);
    for (size_t left = stripes; left;) {
        size_t here = left < STRIPES_AHEAD ? left : (size_t)STRIPES_AHEAD;
        uint64_t next[STRIPES_AHEAD];
        data += here * CHECKSUM_STRIPE;
        left -= here;
        load_stripes(data, left, next);
        HLQ_UNROLL
        for (int i = 0; i < STRIPES_AHEAD; i++) {
            if ((size_t)i < here) sum = stir(sum, word[i]);
            word[i] = next[i];
        }
    }
    uint64_t sums[CHECKSUM_SUMS];
    HLQ_UNROLL
    for (int i = 0; i < CHECKSUM_SUMS; i++) sums[i] = sum_of_lane(sum, i);
    return finish(merge_sums(sums), bytes, rest, end);
}

/* Of part 0, the head, or part 1 + p, piece p. */
HLQ_BODY uint8_t *checksum_at(const hlq_segment_job *job, size_t part)
{
    return job->segment + (part ? job->notes.at[part - 1] : (size_t)CHECKSUM_AT);
}

HLQ_BODY uint64_t checksum_of_part(const hlq_segment_job *job, size_t part)
{
    const uint8_t *at = checksum_at(job, part);
    if (!part) {
        uint64_t header = checksum_of(job->segment, CHECKSUM_AT, 0);
        return checksum_of(at + SUM_BYTES, job->head_bytes - HLQ_HEADER_BYTES, header);
    }
    const uint8_t *end = job->segment + (part < job->pieces ? job->notes.at[part] : job->bytes);
    uint64_t seed = get(job->segment + CHECKSUM_AT, 8) + (part - 1);
    return checksum_of(at + SUM_BYTES, (size_t)(end - at) - SUM_BYTES, seed);
}

/* Parts first … last-1, of pieces after the head. After a fault the header is zeros. */
HLQ_BODY void seal_parts(hlq_share share, const hlq_segment_job *job, size_t first, size_t last,
                         const hlq_device_report *report)
{
    for (size_t part = first + share.first; part < last; part += share.step) {
        uint64_t sum = checksum_of_part(job, part);
        if (lane() != 0) continue;
        put(checksum_at(job, part), sum, SUM_BYTES);
        if (part || !report->fault) continue;
        for (int i = 0; i < HLQ_HEADER_BYTES; i++) job->segment[i] = 0;
    }
}

HLQ_BODY void check_parts(hlq_share share, const hlq_segment_job *job)
{
    for (size_t part = share.first; part < job->parts; part += share.step) {
        uint64_t sum = checksum_of_part(job, part);
        if (lane() == 0 && sum != get(checksum_at(job, part), SUM_BYTES)) {
            atomicMin(&job->notes.found->damaged, (uint32_t)part);
        }
    }
}

/* The first fault stays, whoever else finds one. */
HLQ_BODY void report_fault(hlq_device_report *report, int sender, int fault, int64_t got,
                           int64_t expected)
{
    if (atomicCAS(&report->fault, (uint32_t)HLQ_DEVICE_FINE, (uint32_t)fault)) return;
    report->sender = sender;
    report->got = got;
    report->expected = expected;
}

/* What hlq_segment_open() and hlq_piece_check() say, by one thread, after check_parts(). */
HLQ_BODY void give_verdict(const hlq_segment_job *job, hlq_device_report *report)
{
    const uint32_t damaged = job->notes.found->damaged;
    const int base = get_signed16(job->segment + BASE_AT);
    for (int i = 0; i < KNOWN_FIELDS; i++) {
        int64_t got = known_field(job->segment, i), expected = known_field(job->header, i);
        if (got == expected) continue;
        report_fault(report, job->sender, HLQ_DEVICE_MAGIC + i, got, expected);
        return;
    }
    if (base < -job->base_limit || base > job->base_limit) {
        report_fault(report, job->sender, HLQ_DEVICE_BASE, base, 0);
    } else if (damaged == 0) {
        report_fault(report, job->sender, HLQ_DEVICE_CHECKSUM, 0, 0);
    } else if (damaged != UINT32_MAX) {
        report_fault(report, job->sender, HLQ_DEVICE_PIECE_CHECKSUM, (int64_t)damaged - 1, 0);
    }
}

#endif
