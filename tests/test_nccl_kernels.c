/*
 * The same as test_nccl, by the GPU's kernels: all that is done on a GPU, but for NCCL and CUDA. On
 * the emulated warp, without the launches; and as nvcc compiled them, on the machine of ptx/.
 */
#include "gpu_wire.h"
#include "nccl_cases.h"
#include "stand_in.h"

static void kernels_body(test_rank *me, void *argument)
{
    static const hlq_dtype types[] = {HLQ_FLOAT32, HLQ_BFLOAT16, HLQ_FLOAT16, HLQ_FLOAT64};
    pair p;
    pair_open(me, argument, 0, &p);
    const int fewer = FEWER_CASES || hlq_test_stride() > 1;
    for (int t = 0; t < (fewer ? 1 : 4); t++) {
        every_call(&p, types[t], t || fewer ? 700 : 20000, (uint64_t)t);
    }
    call_case c = {HLQ_ALL_REDUCE, HLQ_ALG_TWOSHOT, HLQ_FLOAT32, HLQ_AVG, 2100 * 256 + 3, 1, 1};
    if (!fewer && !argument) compare_call(&p, &c, 9); /* long messages */
    pair_close(&p);
}

/* Two levels: two nodes of two. */
static void levels_body(test_rank *me, void *argument)
{
    static const hlq_dtype types[] = {HLQ_FLOAT32, HLQ_BFLOAT16, HLQ_FLOAT16, HLQ_FLOAT64};
    hlq_options options = HLQ_OPTIONS_INIT;
    pair p;
    (void)argument;
    options.group = 1 + me->rank % 2;
    pair_open(me, &options, 0, &p);
    for (int t = 0; t < 4; t++) {
        call_case c = {HLQ_ALL_REDUCE, HLQ_ALG_HIERARCHICAL, types[t], HLQ_AVG, 3001, t % 2, t < 3};
        compare_call(&p, &c, 80 + (uint64_t)t);
    }
    pair_close(&p);
}

int main(void)
{
    hlq_options dithered = HLQ_OPTIONS_INIT;
    hlq_test_start("test_nccl_kernels");
    dithered.dither = 1;
    stand_in_wire_by(&hlq_wire_gpu, 1); /* there is one GPU */
    stand_in_memory_by(hlq_gpu_alloc, hlq_gpu_free);
    ranks_as_threads(2, kernels_body, NULL);
    ranks_as_threads(3, kernels_body, &dithered);
    ranks_as_threads(4, levels_body, NULL);
    return hlq_test_end();
}
