/*
 * Segments in the memory of a device, written and read there by work on a stream: what writer.h
 * and reader.h do, but nobody looks at what was coded before the next step is begun. Lengths are
 * fixed beforehand (segment.h), so nobody needs to.
 *
 *   write   exponents → base, codes, plan → head, where each piece lies → planes → checksums
 *   open    checks of the head and of all pieces → plan → where each piece lies
 *   sum     opened segments of the same part, and what the rank has itself → accumulator, exponents
 *   decode  an opened segment → tensor
 *
 * Each call adds work to a stream and returns: it allocates nothing, waits for nothing, and can be
 * captured into a graph. Structures are the host's and are read before it returns; all that
 * pointers in them point to is in memory of the device, and so are all other pointers. It returns
 * 0, or the error code of the device's runtime (a cudaError_t).
 *
 * Bytes are those of writer.h and reader.h for the same tensor, bit by bit. RAMP segments only.
 */
#ifndef HLQ_WIRE_DEVICE_H
#define HLQ_WIRE_DEVICE_H

#include "segment.h"

#include <kernels/cuda/cuda_kernels.h> /* hlq_stream; it takes no CUDA */

#ifdef __cplusplus
extern "C" {
#endif

/* What may be wrong with a segment that arrived, in the order in which it is looked for, as
   hlq_segment_open() has it. */
typedef enum hlq_device_fault {
    HLQ_DEVICE_FINE = 0,
    HLQ_DEVICE_MAGIC,
    HLQ_DEVICE_VERSION,
    HLQ_DEVICE_FORM,
    HLQ_DEVICE_LATTICE,
    HLQ_DEVICE_DITHER,
    HLQ_DEVICE_SPREAD,
    HLQ_DEVICE_CALL,
    HLQ_DEVICE_FIRST,
    HLQ_DEVICE_BLOCKS,
    HLQ_DEVICE_BASE,
    HLQ_DEVICE_CHECKSUM,       /* of the head, or of a segment that is not long; got nothing */
    HLQ_DEVICE_PIECE_CHECKSUM, /* got: the first piece whose differs */
    HLQ_DEVICE_TERMS,          /* none of a segment: ranks were called with different things */
} hlq_device_fault;

/* What happened on the way: zeros when a collective begins. The first fault stays. */
typedef struct hlq_device_report {
    uint32_t fault; /* hlq_device_fault */
    int32_t sender; /* whose segment has it: hlq_frame.sender */
    int64_t got, expected;
    uint64_t overloads; /* blocks coded beyond the usual scales */
    uint64_t nonfinite; /* blocks of the result that became NaN */
} hlq_device_report;

/* A segment and what is found out about it. */
typedef struct hlq_device_segment {
    hlq_frame frame;  /* what both ends know; bytes of hlq_segment_bytes(), place.list NULL */
    uint8_t *segment; /* frame.bytes, at a multiple of 64 */
    void *scratch;    /* hlq_device_scratch_bytes(), at a multiple of 64 */
} hlq_device_segment;

/* Of a segment of so many blocks. */
size_t hlq_device_scratch_bytes(size_t blocks);

/* An accumulator of so many blocks: 256 floats each in the rotated domain, their exponents, and
   the unit that was found for them (one int). */
typedef struct hlq_device_sums {
    float *acc;
    int16_t *exponent;
    int32_t *unit;
} hlq_device_sums;

/* Numbers that are not coded, of several ranks: stretch i of `count` is at all + i times its bytes,
   but number own_at at own. Aligned to their elements. */
typedef struct hlq_device_plain {
    const void *all, *own;
    int count, own_at;
    hlq_dtype dtype;
    size_t elems; /* of a stretch */
} hlq_device_plain;

/* What tell() takes at most: it is handed to a kernel as it is. */
enum { HLQ_DEVICE_TOLD_BYTES = 512 };

typedef struct hlq_device_wire {
    const char *name;

    /* Brings so many bytes of the host, a multiple of 8, to memory of the device. */
    int (*tell)(const void *data, size_t bytes, void *to, hlq_stream stream);

    /* Of `count` things of so many bytes, one behind the other, all must equal number `own`, else
       the first that does not is a HLQ_DEVICE_TERMS of that sender. */
    int (*compare)(const void *told, size_t bytes, int count, int own, hlq_device_report *report,
                   hlq_stream stream);

    /*
     * Writes a segment of blocks of a tensor with its residual, or if sums is not NULL, of an
     * accumulator (source then says whose residual is written and how many elements the tensor
     * has; its data, dtype and unit do not count). If the report has a fault, the header is zeroed
     * instead, so that all who open the segment hear of it.
     */
    int (*write)(const hlq_device_segment *s, const hlq_source *source, const hlq_device_sums *sums,
                 hlq_device_report *report, hlq_stream stream);

    /* Checks a segment and gets it ready to be read. After a fault, it decodes to anything. */
    int (*open)(const hlq_device_segment *s, hlq_device_report *report, hlq_stream stream);

    /* Adds up opened segments terms[0] … terms[count-1], one or more, of the same blocks, in this
       order, and before terms[own_at] (own_at == count: at the end) the blocks of own itself, if
       it is not NULL. The unit is that of docs/wire-format.md, section 8. */
    int (*sum)(const hlq_device_segment *terms, int count, const hlq_source *own, int own_at,
               const hlq_device_sums *sums, hlq_stream stream);

    /* Blocks of the tensor out, times factor: of an opened segment; of sums. */
    int (*decode)(const hlq_device_segment *s, float factor, hlq_dtype dtype, void *out,
                  size_t elems, hlq_device_report *report, hlq_stream stream);
    int (*unrotate)(const hlq_place *place, const hlq_device_sums *sums, float factor,
                    hlq_dtype dtype, void *out, size_t elems, hlq_device_report *report,
                    hlq_stream stream);

    /* Adds up stretches in their order, in float32, or those of float64 in that; as elements.h of
       the host's walks. Such sums of bfloat16 and float16, rounded to nearest even. */
    int (*add_plain)(const hlq_device_plain *stretches, void *sums, hlq_stream stream);
    int (*round_plain)(const float *sums, hlq_dtype dtype, size_t elems, void *out,
                       hlq_stream stream);

    /* If the report has a fault, all elems of out become NaN: no wrong number looks like a right
       one. */
    int (*poison)(const hlq_device_report *report, hlq_dtype dtype, void *out, size_t elems,
                  hlq_stream stream);
} hlq_device_wire;

/* Segments on a GPU, by the kernels of wire/cuda/. */
extern const hlq_device_wire hlq_wire_cuda;

#ifdef __cplusplus
}
#endif

#endif
