/*
 * Segments of a device on the emulated warp of warp.h: the flows and walks of wire/cuda/, with a
 * few warps one after the other in place of launches.
 */
#include "warp.h"

#include <kernels/kernels.h>
#include <kernels/lanes/cuda_i16.h>
#include <wire/cuda/walk.cuh>
#include <wire/cuda/plain.cuh>
#include <wire/cuda/flow.h>

#include "gpu_wire.h"
#include "warps.h"

/* call(lattice), which can use steps and dithered: a kernel is compiled for either. */
#define ON_WARPS(frame, call)                                                                      \
    do {                                                                                           \
        const gpu_arithmetic arithmetic;                                                           \
        const int dithered = (frame)->dithered;                                                    \
        hlq_steps steps[HLQ_BITS_MAX + 1];                                                         \
        steps_fill(steps, (frame)->lattice, 0, (frame)->spread, dithered);                         \
        FOR_LATTICE((frame)->lattice, call)                                                        \
    } while (0)

struct warp_queue {
    int error = 0;

    explicit warp_queue(hlq_stream) {}

    /* Each is one warp. */
    void tell(const hlq_told &told, uint64_t *to)
    {
        on_warps([&](hlq_share s) {
            if (s.first == 0) write_told(&told, to);
        });
    }
    void compare(const uint64_t *told, size_t words, int count, int own, hlq_device_report *report)
    {
        on_warps([=](hlq_share s) {
            if (s.first == 0) compare_told(told, words, count, own, report);
        });
    }
    void clear(void *p, size_t bytes) { memset(p, 0, bytes); }
    void exponents(const hlq_place *place, const hlq_source *src, int16_t *exponent)
    {
        const gpu_arithmetic arithmetic;
        on_warps([=](hlq_share s) { exponents_of_blocks(s, place, src, exponent); });
    }
    void plan(const hlq_segment_job *job, const int16_t *exponent)
    {
        hlq_board board;
        memset(&board, 0x5a, sizeof board);
        for (int phase = 0; phase < PLAN_PHASES; phase++) {
            on_warps([&](hlq_share s) { plan_phase(phase, s, job, exponent, &board); });
        }
    }
    void encode(const hlq_device_segment *segment, const hlq_source *source, const int32_t *unit,
                hlq_device_report *report)
    {
        const hlq_runs runs = runs_of(segment);
        const hlq_source src = source_in_unit(source, unit);
#define CALL(lattice)                                                                              \
    on_warps([&](hlq_share s) {                                                                    \
        encode_blocks(lattice, dithered, s, steps, &runs, &src, &report->overloads);               \
    })
        ON_WARPS(&segment->frame, CALL);
#undef CALL
    }
    void seal(const hlq_segment_job *job, size_t first, size_t last,
              const hlq_device_report *report)
    {
        on_warps([=](hlq_share s) { seal_parts(s, job, first, last, report); });
    }
    void check(const hlq_segment_job *job)
    {
        on_warps([=](hlq_share s) { check_parts(s, job); });
    }
    void verdict(const hlq_segment_job *job, hlq_device_report *report)
    {
        give_verdict(job, report);
    }
    void unit_of_terms(const hlq_sum_terms<hlq_runs> &terms, int limit, int32_t *unit)
    {
        ::unit_of_terms(&terms, limit, unit);
    }
    void unit_of_exponents(const int16_t *exponent, size_t blocks, int limit, int32_t *unit)
    {
        on_warps([=](hlq_share s) { ::unit_of_exponents(s, exponent, blocks, limit, unit); });
    }
    void sum(const hlq_frame *frame, const hlq_sum_terms<hlq_runs> &terms, const int32_t *unit)
    {
#define CALL(lattice)                                                                              \
    on_warps([&](hlq_share s) { sum_blocks(lattice, dithered, s, steps, &terms, *unit); })
        ON_WARPS(frame, CALL);
#undef CALL
    }
    void decode(const hlq_device_segment *segment, float factor, hlq_dtype dtype, void *out,
                size_t elems, hlq_device_report *report)
    {
        const hlq_runs runs = runs_of(segment);
        const hlq_found *found = notes_at(segment->scratch, segment->frame.place.blocks).found;
#define CALL(lattice)                                                                              \
    on_warps([&](hlq_share s) {                                                                    \
        decode_blocks(lattice, dithered, s, steps, &runs, factor, dtype, out, elems, NULL, NULL);  \
        report_nonfinite(s, found, report);                                                        \
    })
        ON_WARPS(&segment->frame, CALL);
#undef CALL
    }
    void unrotate(const hlq_place *place, const hlq_device_sums *sums, float factor,
                  hlq_dtype dtype, void *out, size_t elems, hlq_device_report *report)
    {
        const gpu_arithmetic arithmetic;
        on_warps([=](hlq_share s) {
            unrotate_blocks(s, place, sums->acc, *sums->unit, factor, dtype, out, elems,
                            &report->nonfinite);
        });
    }
    void add_plain(const hlq_device_plain *stretches, void *sums)
    {
        const gpu_arithmetic arithmetic;
        on_warps([=](hlq_share s) { add_plain_blocks(s, stretches, sums); });
    }
    void round_plain(const float *sums, hlq_dtype dtype, size_t elems, void *out)
    {
        const gpu_arithmetic arithmetic;
        on_warps([=](hlq_share s) { round_plain_blocks(s, sums, dtype, elems, out); });
    }
    void poison(const hlq_device_report *report, hlq_dtype dtype, void *out, size_t elems)
    {
        on_warps([=](hlq_share s) { poison_blocks(s, report, dtype, out, elems); });
    }
};

const hlq_device_wire hlq_wire_gpu = wire_of<warp_queue>("warp");

void *hlq_gpu_alloc(size_t bytes) { return aligned_alloc(64, (bytes + 63) / 64 * 64); }

void hlq_gpu_free(void *p) { free(p); }
