/*
 * The functions of device.h, kernel by kernel, for any queue of kernels: launch.cu has one of
 * launches on a stream, tests/warp_wire.cpp one of emulated warps. Included after the walks.
 * A queue keeps its first error.
 */
#ifndef HLQ_WIRE_CUDA_FLOW_H
#define HLQ_WIRE_CUDA_FLOW_H

#include "job.h"

#include <kernels/cuda/terms.cuh>

#include <string.h>

/* The accumulator's blocks, with the residual of source. */
static inline hlq_source source_of_sums(const hlq_source *source, const hlq_device_sums *sums)
{
    hlq_source src = *source;
    src.data = sums->acc;
    src.dtype = HLQ_FLOAT32;
    src.rotated = 1;
    src.room = 0;
    src.last = NULL;
    return src;
}

template <typename Queue>
static int tell(const void *data, size_t bytes, void *to, hlq_stream stream)
{
    hlq_told told = {};
    Queue queue(stream);
    told.words = bytes / 8;
    memcpy(told.word, data, bytes);
    queue.tell(told, static_cast<uint64_t *>(to));
    return queue.error;
}

template <typename Queue>
static int compare(const void *told, size_t bytes, int count, int own, hlq_device_report *report,
                   hlq_stream stream)
{
    Queue queue(stream);
    queue.compare(static_cast<const uint64_t *>(told), bytes / 8, count, own, report);
    return queue.error;
}

/* Most of a segment is written anyway; but where its padding lies, the host does not know. */
template <typename Queue>
static int write_segment(const hlq_device_segment *s, const hlq_source *source,
                         const hlq_device_sums *sums, hlq_device_report *report, hlq_stream stream)
{
    const hlq_segment_job job = job_of(s);
    const hlq_source src = sums ? source_of_sums(source, sums) : *source;
    Queue queue(stream);
    if (!s->frame.place.blocks) return queue.error;
    queue.clear(s->segment, s->frame.bytes);
    if (!sums) queue.exponents(&s->frame.place, &src, job.notes.exponent);
    queue.plan(&job, sums ? sums->exponent : job.notes.exponent);
    queue.encode(s, &src, sums ? sums->unit : NULL, report);
    queue.seal(&job, 0, 1, report);
    if (job.parts > 1) queue.seal(&job, 1, job.parts, report);
    return queue.error;
}

template <typename Queue>
static int open_segment(const hlq_device_segment *s, hlq_device_report *report, hlq_stream stream)
{
    const hlq_segment_job job = job_of(s);
    Queue queue(stream);
    if (!s->frame.place.blocks) return queue.error;
    queue.plan(&job, NULL);
    queue.check(&job);
    queue.verdict(&job, report);
    return queue.error;
}

/* Runs of terms, as terms_from() wants them. */
struct hlq_term_list {
    const hlq_device_segment *term;
    hlq_runs operator[](int t) const { return runs_of(&term[t]); }
};

/* Until sums have exponents, those of own are in their place: its base counts for the unit. */
template <typename Queue>
static int sum_segments(const hlq_device_segment *terms, int count, const hlq_source *own,
                        int own_at, const hlq_device_sums *sums, hlq_stream stream)
{
    const hlq_frame *frame = &terms->frame;
    const hlq_term_list list = {terms};
    int limit = frame->dtype == HLQ_FLOAT64 ? HLQ_UNIT_LIMIT_FLOAT64 : HLQ_UNIT_LIMIT;
    hlq_cuda_sum sum = {};
    Queue queue(stream);
    sum.place = frame->place;
    sum.count = count;
    sum.own = own;
    sum.own_at = own_at;
    sum.acc = sums->acc;
    sum.exponent = sums->exponent;
    if (!sum.place.blocks) return queue.error;
    for (int t = 0; t < count; t += HLQ_CUDA_TERMS) {
        queue.unit_of_terms(terms_from<hlq_runs>(&sum, list, t), limit, sums->unit);
    }
    if (own) {
        queue.exponents(&sum.place, own, sums->exponent);
        queue.unit_of_exponents(sums->exponent, sum.place.blocks, limit, sums->unit);
    }
    for (int t = 0; t < count; t += HLQ_CUDA_TERMS) {
        queue.sum(frame, terms_from<hlq_runs>(&sum, list, t), sums->unit);
    }
    return queue.error;
}

template <typename Queue>
static int decode_segment(const hlq_device_segment *s, float factor, hlq_dtype dtype, void *out,
                          size_t elems, hlq_device_report *report, hlq_stream stream)
{
    Queue queue(stream);
    if (s->frame.place.blocks) queue.decode(s, factor, dtype, out, elems, report);
    return queue.error;
}

template <typename Queue>
static int unrotate_sums(const hlq_place *place, const hlq_device_sums *sums, float factor,
                         hlq_dtype dtype, void *out, size_t elems, hlq_device_report *report,
                         hlq_stream stream)
{
    Queue queue(stream);
    if (place->blocks) queue.unrotate(place, sums, factor, dtype, out, elems, report);
    return queue.error;
}

template <typename Queue>
static int add_plain(const hlq_device_plain *stretches, void *sums, hlq_stream stream)
{
    Queue queue(stream);
    if (stretches->elems) queue.add_plain(stretches, sums);
    return queue.error;
}

template <typename Queue>
static int round_plain(const float *sums, hlq_dtype dtype, size_t elems, void *out,
                       hlq_stream stream)
{
    Queue queue(stream);
    if (elems) queue.round_plain(sums, dtype, elems, out);
    return queue.error;
}

template <typename Queue>
static int poison(const hlq_device_report *report, hlq_dtype dtype, void *out, size_t elems,
                  hlq_stream stream)
{
    Queue queue(stream);
    if (elems) queue.poison(report, dtype, out, elems);
    return queue.error;
}

template <typename Queue> static constexpr hlq_device_wire wire_of(const char *name)
{
    return {name,
            tell<Queue>,
            compare<Queue>,
            write_segment<Queue>,
            open_segment<Queue>,
            sum_segments<Queue>,
            decode_segment<Queue>,
            unrotate_sums<Queue>,
            add_plain<Queue>,
            round_plain<Queue>,
            poison<Queue>};
}

#endif
