/*
 * libhlqcomm: what a collective will cost, and what it did cost: as numbers, text and JSON. Comes
 * with hlqcomm/hlqcomm.h.
 *
 *     hlq_stats stats = {.struct_bytes = sizeof stats};
 *     char line[HLQ_STATS_TEXT_BYTES];
 *     hlq_comm_stats(comm, &stats);
 *     hlq_stats_text(&stats, line, sizeof line);
 *     puts(line);
 */
#ifndef HLQCOMM_STATS_H
#define HLQCOMM_STATS_H

#include <hlqcomm/hlqcomm.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a collective would cost on this rank. Local: talks to nobody. op is ignored where there is
 * nothing to reduce; all-to-all with counts for each rank is not asked for here.
 */
typedef struct hlq_plan_info {
    uint32_t struct_bytes;    /* set before the call: sizeof(hlq_plan_info) */
    hlq_operation operation;  /* set before the call: what is asked about; 0: all-reduce */
    hlq_algorithm algorithm;  /* what AUTO resolves to */
    uint64_t wire_bytes;      /* payload bytes this rank sends to others: exact for twoshot and
                                 oneshot, without repeats for modq, the usual ring's for native;
                                 the most there can be with target_nmse or max_error. What
                                 hlq_stats.control_bytes counts comes on top. */
    uint64_t workspace_bytes; /* memory the communicator keeps for a call of this size: codes out
                                 and in, at 4 bits about a quarter of a float32 tensor; bfloat16 and
                                 float16 need room for float32 sums besides */
    double bits_per_elem;     /* 8 × wire_bytes / the numbers sent, see hlq_options.bits */
} hlq_plan_info;

HLQ_API HLQ_MUST_USE hlq_status hlq_comm_plan(hlq_comm *comm, size_t count, hlq_dtype dtype,
                                              hlq_op op, const hlq_call *call, hlq_plan_info *info);

/*
 * What the last collective on this communicator did, on this rank. Zeros before the first.
 */
typedef struct hlq_stats {
    uint32_t struct_bytes;   /* set before the call: sizeof(hlq_stats) */
    hlq_operation operation; /* the collective, and the algorithm that ran */
    hlq_algorithm algorithm;
    uint64_t calls;      /* collectives since creation, this one included */
    uint64_t count;      /* as the call had it; with counts for each rank, the elements of send */
    uint64_t bytes_sent; /* payload to other ranks, repeats included */
    uint64_t bytes_received;
    uint64_t control_bytes; /* sent to compare arguments, sizes and outcomes across ranks */
    double bits;            /* the budget: given, or found by target mode; 0 for native, and in
                               bound mode */
    double bits_per_elem;   /* 8 × bytes_sent / the numbers sent, see hlq_options.bits */
    double seconds;         /* whole call, then its parts */
    double seconds_encode;
    double seconds_exchange;
    double seconds_reduce;
    double seconds_decode;
    double vnmse_estimate;     /* ‖result - exact‖² / ‖exact‖², predicted from scales and bits */
    double largest_scale;      /* largest lattice scale this rank used; no quantized vector is off
                                  by more than this times the lattice's covering radius (E8, D4: 1,
                                  Z: half the square root of 8) */
    uint64_t overloads;        /* blocks beyond the usual scales: sent coarser (twoshot, oneshot) or
                                  whose sum left the range and was sent again (modq) */
    uint64_t retries;          /* rounds of sending again (modq) */
    uint64_t nonfinite_blocks; /* blocks of the result that are NaN */
} hlq_stats;

HLQ_API HLQ_MUST_USE hlq_status hlq_comm_stats(const hlq_comm *comm, hlq_stats *stats);

/*
 * Both write what hlq_comm_stats() gave to buffer, which has room for `bytes`, and end it with a
 * zero byte; what does not fit is left out. They return, as snprintf() does, how many bytes the
 * whole text has, the zero not counted: it was cut if that is `bytes` or more. buffer may be NULL
 * if bytes is 0. Negative, and nothing is written but an empty text, if stats is NULL or its
 * struct_bytes wrong. Thread safe; the decimal point is a point in every locale.
 *
 * text: one line for a reader, with units, without a line feed at its end:
 *   all_reduce 7: twoshot, 1048576 elements, 2.31 ms (encode 0.61 ms, …), sent 768 KiB, …
 *
 * json: one object on one line. Its members are the fields of hlq_stats, by their names, all but
 * struct_bytes; operation and algorithm are their names as text. Reals have 17 digits, so that they
 * come back as they were; what JSON cannot say (NaN, Inf, a name that does not exist) is null.
 */
HLQ_API int hlq_stats_text(const hlq_stats *stats, char *buffer, size_t bytes);
HLQ_API int hlq_stats_json(const hlq_stats *stats, char *buffer, size_t bytes);

/* Room for any text, and any JSON. */
#define HLQ_STATS_TEXT_BYTES 1024

#ifdef __cplusplus
}
#endif
#endif
