/*
 * libhlqcomm: compressed collectives on nested-lattice codes.
 *
 * This header is the manual of the C interface. In order: status, types, options, communicators,
 * the collectives; hlqcomm/stats.h, which it includes: what a call will cost, what it did cost.
 *
 * A tensor is cut into blocks of 256 numbers. Each block is rotated, quantized to a lattice (E8
 * unless told otherwise) and travels as a few bits per number; more bits go to larger blocks, so
 * that the whole message meets a budget given in bits per number, every byte of it counted.
 *
 * Five calls make a program:
 *
 *     hlq_comm *comm;
 *     hlq_comm_create_mpi(MPI_COMM_WORLD, NULL, &comm);                        hlqcomm/mpi.h
 *     hlq_all_reduce(comm, grad, grad, count, HLQ_FLOAT32, HLQ_AVG, NULL, NULL);
 *     hlq_comm_stats(comm, &stats);
 *     hlq_comm_destroy(comm);
 *
 * Promises, of every collective:
 *  - All ranks end with the same bits in recv, or every rank is given an error: every code carries
 *    a checksum, and a collective ends when all ranks have said that they got through. (Plain
 *    numbers, sent by NATIVE, are as safe as the carrier.)
 *  - Results depend on inputs and options only; no kernel variant, transport or timing shows, but
 *    in what AUTO chooses (hlq_options.probe); with dither, on the call's number too.
 *  - A block of 256 with NaN or Inf on any rank is NaN on all ranks, all 256 of it. A block that
 *    is zero on all ranks is exactly zero. Blocks that hold only denormals count as zero.
 *  - send is never written to, unless it is recv.
 *
 * Thread safety: a communicator serves one thread at a time; different communicators are
 * independent. Collectives must be called in the same order on all ranks of a communicator.
 */
#ifndef HLQCOMM_HLQCOMM_H
#define HLQCOMM_HLQCOMM_H

#include <stddef.h>
#include <stdint.h>

#define HLQ_VERSION_MAJOR 0
#define HLQ_VERSION_MINOR 1
#define HLQ_VERSION_PATCH 0
#define HLQ_VERSION_STRING "0.1.0"
/* Version of the bytes on the wire; ranks of different versions refuse to work together. */
#define HLQ_WIRE_VERSION 2

#if defined(__GNUC__)
#define HLQ_API __attribute__((visibility("default")))
#define HLQ_MUST_USE __attribute__((warn_unused_result))
#else
#define HLQ_API
#define HLQ_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Status. One list yields the enumeration, the strings and the table in docs/. Values are stable.
 * X(name, value, sentence)
 */
#define HLQ_STATUS_LIST(X)                                                                         \
    X(HLQ_OK, 0, "success")                                                                        \
    X(HLQ_E_INVALID, 10, "an argument or option is not valid")                                     \
    X(HLQ_E_MISMATCH, 11, "ranks called with different arguments or options")                      \
    X(HLQ_E_UNSUPPORTED, 12, "the combination of arguments is not supported")                      \
    X(HLQ_E_WIRE, 20, "a message is damaged or of another version")                                \
    X(HLQ_E_NOMEM, 30, "out of memory")                                                            \
    X(HLQ_E_ISA, 40, "this processor cannot run the requested kernels")                            \
    X(HLQ_E_TRANSPORT, 50, "the transport failed")                                                 \
    X(HLQ_E_TIMEOUT, 51, "a rank did not answer within the timeout")                               \
    X(HLQ_E_REMOTE, 52, "another rank could not start the call")                                   \
    X(HLQ_E_BROKEN, 53, "the communicator failed earlier; destroy it")                             \
    X(HLQ_E_PENDING, 60, "the collective is still under way")

typedef enum hlq_status {
#define HLQ_STATUS_ENUM(name, value, sentence) name = value,
    HLQ_STATUS_LIST(HLQ_STATUS_ENUM)
#undef HLQ_STATUS_ENUM
} hlq_status;

/* The sentence of a status, e.g. "out of memory". Never NULL; static storage. */
HLQ_API const char *hlq_status_string(hlq_status status);

/* "0.1.0". Static storage. */
HLQ_API const char *hlq_version(void);
/*
 * Name of the kernel variant in use ("avx512", "neon", "scalar" …), chosen once per process from
 * what the processor offers, or by the environment variable HLQ_KERNELS. NULL if HLQ_KERNELS names
 * a variant that does not exist or cannot run here; creating a communicator then fails with
 * HLQ_E_ISA. Thread safe.
 */
HLQ_API const char *hlq_kernel_variant(void);

/*
 * Element types. Floating point can be compressed; all compressed arithmetic is fp32 inside, in a
 * scale of each block's own, so that float64 neither overflows nor vanishes. Integers go native.
 */
typedef enum hlq_dtype {
    HLQ_FLOAT32 = 0,
    HLQ_BFLOAT16 = 1, /* upper half of a float32; results are rounded to nearest even */
    HLQ_FLOAT16 = 2,  /* IEEE 754 binary16; the same, and from 65520 on they are Inf */
    HLQ_FLOAT64 = 3,
    HLQ_INT8 = 4,
    HLQ_INT16 = 5,
    HLQ_INT32 = 6,
    HLQ_INT64 = 7,
    HLQ_UINT8 = 8,
} hlq_dtype;

/*
 * Reductions. HLQ_AVG is the sum divided by the number of ranks, floating point only. The others go
 * native: HLQ_MIN, HLQ_MAX (NaN wins) and HLQ_PRODUCT. Integer sums and products are modulo 2^bits.
 */
typedef enum hlq_op {
    HLQ_SUM = 0,
    HLQ_AVG = 1,
    HLQ_MIN = 2,
    HLQ_MAX = 3,
    HLQ_PRODUCT = 4,
} hlq_op;

typedef enum hlq_operation {
    HLQ_ALL_REDUCE = 0,
    HLQ_REDUCE_SCATTER = 1,
    HLQ_ALL_GATHER = 2,
    HLQ_ALL_TO_ALL = 3, /* hlq_all_to_all_v too */
} hlq_operation;

/*
 * Lattices a block can be quantized to. At equal bits E8 has the lowest error; Z is the integers
 * (plain rounding) and serves comparison.
 */
typedef enum hlq_lattice {
    HLQ_LATTICE_E8 = 0,
    HLQ_LATTICE_D4 = 1,
    HLQ_LATTICE_Z = 2,
} hlq_lattice;

/*
 * Algorithms; what each does and costs is told above its implementation in libhlqcomm/collective/.
 *  AUTO     native below min_bytes or where codes were measured not to pay (hlq_options.probe),
 *           else hierarchical where several ranks share each of several
 *           nodes, else oneshot for 2 ranks, else twoshot. Native for what cannot be compressed:
 *           integers, MIN, MAX, PRODUCT.
 *  TWOSHOT  each rank owns a part: codes to the owner, sum, codes of the sum to all. Lowest error.
 *  ONESHOT  codes of the whole tensor to all; one quantization, one hop. Best for 2 ranks.
 *  MODQ     integer sum of codes modulo 2^k: the same bits for any order of ranks or hops.
 *           Sums that do not fit are noticed and sent again with more bits.
 *  NATIVE   no compression: through MPI, or raw numbers combined in rank order.
 *  HIERARCHICAL  raw numbers within a node, twoshot between nodes; native if there is one node.
 *           HLQ_E_UNSUPPORTED if nodes have different numbers of ranks.
 * Reduce-scatter, all-gather and all-to-all have one hop: TWOSHOT and HIERARCHICAL are ONESHOT
 * there. MODQ makes sums, so all-gather and all-to-all have none: HLQ_E_UNSUPPORTED in hlq_call,
 * ONESHOT if it is the communicator's.
 */
typedef enum hlq_algorithm {
    HLQ_ALG_AUTO = 0,
    HLQ_ALG_TWOSHOT = 1,
    HLQ_ALG_ONESHOT = 2,
    HLQ_ALG_MODQ = 3,
    HLQ_ALG_NATIVE = 4,
    HLQ_ALG_HIERARCHICAL = 5,
} hlq_algorithm;

/* Who sends to whom in MODQ's large exchanges. The result is the same, bit by bit. */
typedef enum hlq_topology {
    HLQ_TOPOLOGY_AUTO = 0,       /* all-to-all */
    HLQ_TOPOLOGY_ALL_TO_ALL = 1, /* to the owner of each part, and from it to all, at once */
    HLQ_TOPOLOGY_RING = 2,       /* to the next rank only, n - 1 times each way */
} hlq_topology;

/* "twoshot", "E8", … ; NULL for a value that does not exist. Static storage. */
HLQ_API const char *hlq_algorithm_name(hlq_algorithm algorithm);
HLQ_API const char *hlq_topology_name(hlq_topology topology);
HLQ_API const char *hlq_lattice_name(hlq_lattice lattice);
HLQ_API const char *hlq_operation_name(hlq_operation operation);
HLQ_API const char *hlq_op_name(hlq_op op);
HLQ_API const char *hlq_dtype_name(hlq_dtype dtype);
/* Size of one element in bytes; 0 for a type that does not exist. */
HLQ_API size_t hlq_dtype_bytes(hlq_dtype dtype);
/* Whether it is floating point, which can be compressed. */
HLQ_API int hlq_dtype_is_float(hlq_dtype dtype);

/* Stream of device work: the type of cudaStream_t. Host tensors: NULL. */
typedef struct CUstream_st *hlq_stream;

/*
 * Whether AUTO measures, within the first blocking call that it would compress: plain and coded
 * all-reduces of 16, 64, 256 and 2048 KiB. The choice is the same on all ranks, but not on every
 * run, nor then are the bits of results. With OFF, or a named algorithm, they are.
 */
typedef enum hlq_probing {
    HLQ_PROBE_DEFAULT = 0,
    HLQ_PROBE_ON = 1,
    HLQ_PROBE_OFF = 2,
} hlq_probing;

/*
 * Options of a communicator. Start from HLQ_OPTIONS_INIT, or pass NULL for exactly that. All ranks
 * must pass the same values (timeout_s, threads and log_… may differ); creation checks it.
 */
typedef struct hlq_options {
    uint32_t struct_bytes;   /* sizeof(hlq_options): lets the structure grow */
    hlq_lattice lattice;     /* default HLQ_LATTICE_E8 */
    hlq_algorithm algorithm; /* default HLQ_ALG_AUTO */
    double bits;      /* budget on the wire, bits per number, everything counted; 1 … 12, default 4.
                         Bytes sent per rank ≤ bits / 8 × the numbers that go to others without
                         compression, for every algorithm but native: 2 (n-1)/n × count in an
                         all-reduce, (n-1) × count in the others. modq may exceed it by what it
                         sends again, and tensors below 16384 elements by their headers. */
    uint64_t seed;    /* of the rotation's sign flips; default 0 */
    size_t min_bytes; /* HLQ_ALG_AUTO: tensors smaller than this go native; HLQ_MIN_BYTES_DEFAULT:
                         16 KiB, or 64 KiB where AUTO does not measure */
    double timeout_s; /* longest wait for another rank, seconds; default 300 */
    double target_nmse; /* 0, or the error to aim at in place of bits; see hlq_call */
    double max_error;   /* 0, or the largest error in place of bits; see hlq_call */
    int dither; /* 1: what is coded is moved by random amounts, which decoding takes back, so that
                   the error of every number has mean 0 over calls and does not depend on what is
                   sent; seed and the call's number choose the amounts. (NaN, Inf, zero blocks and
                   rounding to short types are as without.) It takes 2 bits for every block: bits
                   of 2.4 and more, times n/2 for an all-reduce by ONESHOT; parts below 13 blocks
                   exceed budgets that are less. At equal bits the squared error is larger: at 4
                   bits 1.5 times where blocks are alike, 3 times where their sizes vary by 3
                   octaves; at 8 bits 1.04 times. HLQ_E_UNSUPPORTED with MODQ. Default 0 */
    int group;  /* ranks of the same group are a node to HIERARCHICAL; may differ between ranks;
                   0: the machine is, where the transport can tell */
    hlq_probing probe; /* whether AUTO measures what pays; default: as HLQ_PROBE=on|off says, else
                          on */
    hlq_topology topology; /* of MODQ; default all-to-all */
    int threads;   /* on which this rank codes and decodes, 1 … 256, where there is OpenMP; 0: as
                      HLQ_THREADS says, else 1. Any number gives the same bits; ranks may differ in
                      it. Bound mode codes on one */
    int log_level; /* hlq_log_level, see hlqcomm/log.h; 0: what HLQ_LOG says, else none */
    void (*log_sink)(void *user, int level, const char *line); /* NULL: lines go to stderr */
    void *log_user;                                            /* for log_sink */
} hlq_options;

#define HLQ_MIN_BYTES_DEFAULT SIZE_MAX

#define HLQ_OPTIONS_INIT                                                                           \
    {sizeof(hlq_options),                                                                          \
     HLQ_LATTICE_E8,                                                                               \
     HLQ_ALG_AUTO,                                                                                 \
     4.0,                                                                                          \
     0,                                                                                            \
     HLQ_MIN_BYTES_DEFAULT,                                                                        \
     300.0,                                                                                        \
     0.0,                                                                                          \
     0.0,                                                                                          \
     0,                                                                                            \
     0,                                                                                            \
     HLQ_PROBE_DEFAULT,                                                                            \
     HLQ_TOPOLOGY_AUTO,                                                                            \
     0,                                                                                            \
     0,                                                                                            \
     NULL,                                                                                         \
     NULL}

/* Elements start … start + count - 1 of a tensor. */
typedef struct hlq_range {
    size_t start, count;
} hlq_range;

/*
 * Per-call options. Start from HLQ_CALL_INIT, or pass NULL for exactly that.
 */
typedef struct hlq_call {
    uint32_t struct_bytes;   /* sizeof(hlq_call) */
    hlq_algorithm algorithm; /* HLQ_ALG_AUTO: the communicator's */
    double bits;             /* 0: the communicator's */
    float *residual;    /* error feedback: a float for every element of send, or NULL. Read: what
                           earlier calls failed to send; it is added to send. Written: what this
                           call failed to send. Start it with zeros. Blocks that hold NaN or Inf
                           leave zeros in it. Kept on the rank; must not overlap send or recv.
                           Unchanged if the call fails before it starts; undefined if it fails
                           later. Untouched by native; all-to-all does not read it for what a rank
                           sends to itself. Not for float64. With modq, too few bits for the number
                           of ranks (2 for 8, 3 for 16) let it grow without end. */
    double target_nmse; /* 0, or an error ‖result - exact‖² / ‖exact‖² to aim at: all ranks measure
                           their tensors first and agree on the bits that it takes, 1 … 12, or on
                           NATIVE if 12 are not enough. hlq_stats.bits has them. An estimate, good
                           to about a quarter either way where ranks' blocks are of like sizes; else
                           the error may be that of blocks of one size at those bits, many times as
                           large. A sum that nearly cancels out costs more bits. Not with modq. */
    double max_error;   /* 0, or bound mode: no number of the result is off by more (in the result's
                           unit, after averaging) than this and float32's rounding, a millionth of
                           the largest number in its block of 256 of any rank. Every block gets the
                           bits that this takes, none or up to 32; messages are as long as
                           that turns out. Give one of bits, target_nmse and max_error. Not with
                           modq. */
    const hlq_range *exempt; /* all-reduce: elements that are summed without loss, in the same call;
                                ascending, apart. They cost their plain size on top of the bits of
                                the rest. Equal on all ranks. */
    size_t exempt_ranges;
} hlq_call;

#define HLQ_CALL_INIT {sizeof(hlq_call), HLQ_ALG_AUTO, 0.0, NULL, 0.0, 0.0, NULL, 0}

/* A communicator: this rank's end of a group of ranks. Opaque. */
typedef struct hlq_comm hlq_comm;

/*
 * Ranks as threads of one process: for tests, measurement, and programs that drive several devices
 * from one process. Create one group, hand it to `size` threads, each of which creates its own
 * communicator with its own rank 0 … size-1 (a collective call), and destroy the group last.
 */
typedef struct hlq_thread_group hlq_thread_group;
HLQ_API HLQ_MUST_USE hlq_status hlq_thread_group_create(int size, hlq_thread_group **group);
HLQ_API void hlq_thread_group_destroy(hlq_thread_group *group); /* NULL is fine */
HLQ_API HLQ_MUST_USE hlq_status hlq_comm_create_threads(hlq_thread_group *group, int rank,
                                                        const hlq_options *options,
                                                        hlq_comm **comm);

/*
 * Over MPI: hlqcomm/mpi.h. Over any other carrier of bytes: hlqcomm/transport.h.
 *
 * Creation is collective: all ranks call it, and all get the same answer. On failure *comm is NULL
 * and hlq_create_error() has a sentence. Destroying is local, frees everything, accepts NULL.
 */
HLQ_API void hlq_comm_destroy(hlq_comm *comm);
HLQ_API int hlq_comm_rank(const hlq_comm *comm);
HLQ_API int hlq_comm_size(const hlq_comm *comm);

/*
 * One sentence on the last failure of this communicator, naming the rank at fault where it is
 * known: "rank 2: recv is NULL". Empty if nothing failed. Valid until the next call on comm.
 */
HLQ_API const char *hlq_comm_last_error(const hlq_comm *comm);
/* HLQ_OK unless something has broken the communicator by now: then HLQ_E_BROKEN, with a sentence as
   above. For calls on streams, which return before they are done. Looks, and does not wait. */
HLQ_API HLQ_MUST_USE hlq_status hlq_comm_async_error(hlq_comm *comm);
/* The same for the last failed creation in this thread. Never NULL. */
HLQ_API const char *hlq_create_error(void);

/*
 * THE COLLECTIVES, on n ranks. In all of them:
 *
 * send, recv  elements of dtype in host memory, any alignment; on communicators of hlqcomm/nccl.h
 *             and mpi_cuda.h also in memory of a GPU, see there. In place works where a rank's own
 *             part stays where it is, as told below; other overlaps do not. Counts may be 0 (the
 *             pointers may then be NULL) and exceed 2^31.
 * call        per-call options, or NULL.
 * stream      NULL for host tensors; for those of a GPU, where their work goes.
 *
 * They return HLQ_OK on all ranks or an error on all. Arguments are compared across ranks first:
 * wrong or differing ones give HLQ_E_INVALID, HLQ_E_UNSUPPORTED, HLQ_E_MISMATCH or HLQ_E_REMOTE
 * everywhere, recv is then untouched and the communicator works on. After any other error recv is
 * undefined and the communicator answers HLQ_E_BROKEN.
 *
 * The first call of a size allocates workspace (hlq_comm_plan tells how much); later calls do not.
 *
 * Source: nested-lattice quantization after Kaplan and Ordentlich (arXiv 2505.13164); algorithms
 * and bytes are described in docs/.
 *
 * All-reduce: recv[i] = sum (average, …) over ranks of send[i], on every rank. Both hold count
 * elements; in place: recv == send.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_all_reduce(hlq_comm *comm, const void *send, void *recv,
                                               size_t count, hlq_dtype dtype, hlq_op op,
                                               const hlq_call *call, hlq_stream stream);

/*
 * Reduce-scatter: the same sums, but rank p gets those of part p alone: elements p × count … of
 * send, which holds n × count; recv holds count. In place: recv == send + rank × count.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_reduce_scatter(hlq_comm *comm, const void *send, void *recv,
                                                   size_t count, hlq_dtype dtype, hlq_op op,
                                                   const hlq_call *call, hlq_stream stream);

/*
 * All-gather: every rank gets every rank's count elements, in rank order; recv holds n × count. In
 * place: send == recv + rank × count. Compressed, a rank's own numbers are rounded as everybody
 * else sees them, so that all ranks end with the same bits.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_all_gather(hlq_comm *comm, const void *send, void *recv,
                                               size_t count, hlq_dtype dtype, const hlq_call *call,
                                               hlq_stream stream);

/*
 * All-to-all: part p of send goes to rank p and becomes part `rank` of its recv. Parts have count
 * elements, send and recv n × count; in place: recv == send. What a rank sends to itself is copied.
 *
 * With a count for each rank: send_counts[p] elements go to rank p, recv_counts[p] come from it,
 * one part behind the other. recv_counts[p] must be what rank p has in send_counts for this rank,
 * else all get HLQ_E_MISMATCH. In place if the two lists are equal. AUTO is never native here.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_all_to_all(hlq_comm *comm, const void *send, void *recv,
                                               size_t count, hlq_dtype dtype, const hlq_call *call,
                                               hlq_stream stream);
HLQ_API HLQ_MUST_USE hlq_status hlq_all_to_all_v(hlq_comm *comm, const void *send,
                                                 const size_t *send_counts, void *recv,
                                                 const size_t *recv_counts, hlq_dtype dtype,
                                                 const hlq_call *call, hlq_stream stream);

/*
 * The same, begun and left to themselves: hlq_X_start() returns at once, with a request that
 * hlq_test() or hlq_wait() ends. send, recv, the residual and what call points to stay untouched
 * until then; the lists of counts may go. Any number may be under way, and be ended in any order,
 * which may differ from rank to rank; they are started in the same order on all.
 *
 * There are no threads: collectives move on inside calls on their communicator. hlq_test() looks,
 * does what can be done without waiting (which includes coding and decoding), and says if the
 * request has ended; hlq_wait() does so until then, or for timeout_s seconds (HLQ_FOREVER: the
 * options' timeout ends it at last), after which it returns HLQ_E_PENDING and the request lives on.
 * When one has ended, they return its status, and the request is gone. Wrong arguments are that
 * status, too: start itself fails only for a NULL or broken communicator or lack of memory, and
 * then *request is NULL. Destroying the communicator ends what is under way.
 */
typedef struct hlq_request hlq_request;
#define HLQ_FOREVER 1e30

HLQ_API HLQ_MUST_USE hlq_status hlq_test(hlq_request *request, int *done);
HLQ_API HLQ_MUST_USE hlq_status hlq_wait(hlq_request *request, double timeout_s);

HLQ_API HLQ_MUST_USE hlq_status hlq_all_reduce_start(hlq_comm *comm, const void *send, void *recv,
                                                     size_t count, hlq_dtype dtype, hlq_op op,
                                                     const hlq_call *call, hlq_stream stream,
                                                     hlq_request **request);
HLQ_API HLQ_MUST_USE hlq_status hlq_reduce_scatter_start(hlq_comm *comm, const void *send,
                                                         void *recv, size_t count, hlq_dtype dtype,
                                                         hlq_op op, const hlq_call *call,
                                                         hlq_stream stream, hlq_request **request);
HLQ_API HLQ_MUST_USE hlq_status hlq_all_gather_start(hlq_comm *comm, const void *send, void *recv,
                                                     size_t count, hlq_dtype dtype,
                                                     const hlq_call *call, hlq_stream stream,
                                                     hlq_request **request);
HLQ_API HLQ_MUST_USE hlq_status hlq_all_to_all_start(hlq_comm *comm, const void *send, void *recv,
                                                     size_t count, hlq_dtype dtype,
                                                     const hlq_call *call, hlq_stream stream,
                                                     hlq_request **request);
HLQ_API HLQ_MUST_USE hlq_status hlq_all_to_all_v_start(hlq_comm *comm, const void *send,
                                                       const size_t *send_counts, void *recv,
                                                       const size_t *recv_counts, hlq_dtype dtype,
                                                       const hlq_call *call, hlq_stream stream,
                                                       hlq_request **request);

#ifdef __cplusplus
}
#endif

#include <hlqcomm/stats.h>

#endif
