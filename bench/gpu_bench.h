/*
 * What hlq_gpu measures: the steps of a collective on one GPU, each as a case, on a tensor of
 * normal numbers in its memory, beside a copy of that tensor within that memory.
 */
#ifndef HLQ_BENCH_GPU_BENCH_H
#define HLQ_BENCH_GPU_BENCH_H

#include <kernels/cuda/cuda_hnlq.h>
#include <kernels/cuda/cuda_look_up.h>
#include <wire/device.h>

enum { GPU_RANKS_MAX = 8, GPU_CALLS_MAX = 1000, GPU_MEMORIES_MAX = 64, GPU_EXIT_WRONG = 1 };

/* The tensor, what the cases share, and the case that is being set up. All pointers are to memory
   of the GPU. */
typedef struct gpu_bench {
    hlq_dtype dtype;
    hlq_lattice lattice;
    int bits;
    size_t elems, bytes; /* of the tensor */
    void *tensor, *out;
    hlq_device_report *report;
    hlq_stream stream;
    hlq_source source; /* the tensor */

    int ranks; /* of the case; this GPU is that of rank 0 */
    hlq_device_segment sent[GPU_RANKS_MAX], came[GPU_RANKS_MAX], result[GPU_RANKS_MAX];
    hlq_device_sums sums;
    hlq_cuda_run run;
    hlq_cuda_vectors vectors;
    hlq_cuda_strips strips;
    hlq_cuda_products products;
    float *x; /* of a product */
    hlq_points *points;
    int8_t *tables;
    int64_t *totals;
    hlq_encoded *counts; /* of overloads and such, which nobody reads */

    int used;
    void *memory[GPU_MEMORIES_MAX]; /* of the case */
} gpu_bench;

typedef struct gpu_case {
    const char *name;
    int ranks;   /* 1: it is no matter of ranks */
    int decodes; /* whether it leaves the tensor, coded and decoded, in out */
    int float32; /* whether it takes this type alone */
    void (*prepare)(gpu_bench *bench);
    int (*run)(gpu_bench *bench); /* adds work to the stream; 0, or an error of CUDA */
} gpu_case;

/* All cases: i = 0, 1, … until NULL. */
const gpu_case *gpu_case_at(int i);

/* The message of rank `sender` on part number `part` of `parts`, a share of the tensor's blocks. */
hlq_frame gpu_frame(const gpu_bench *bench, int part, int parts, int sender, int leg);

/* What one case measured. */
typedef struct gpu_figure {
    double seconds;   /* median over calls */
    double gbps;      /* bytes of the tensor per second */
    double copy_gbps; /* the same of the copy, which reads and writes them */
    double ratio;     /* median over calls of one by the other */
    double spread;    /* of ratio: (90 % quantile - 10 % quantile) / median */
    double error;     /* ‖out - tensor‖² / ‖tensor‖² of a case that decodes, else 0 */
} gpu_figure;

/* bench has dtype, lattice and bits; the tensor gets so many bytes, or a few more for whole blocks.
   If CUDA fails, here and in all that follows, the program ends with a sentence and
   GPU_EXIT_WRONG. */
void gpu_bench_create(gpu_bench *bench, size_t bytes);
void gpu_bench_destroy(gpu_bench *bench);

/* Memory until the case is over, zeroed. */
void *gpu_new(gpu_bench *bench, size_t bytes);
void gpu_check(int error);

gpu_figure gpu_bench_run(gpu_bench *bench, const gpu_case *c, int calls);

/* Whether two segments written of the tensor have the same bytes. */
int gpu_writes_alike(gpu_bench *bench);

#endif
