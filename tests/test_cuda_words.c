/*
 * A lane word for GPUs that the kernels alone would not test, on an emulated warp.
 */
#include "hlq_test.h"
#include "gpu_kernels.h"

#include <kernels/lanes/scalar_i16.h>

/* Exponents seldom show a sum's last bit. */
static void test_sums_over_lanes_are_made_in_the_same_tree(void)
{
    hlq_rng rng = hlq_rng_new(1);
    hlq_test_case("sums over lanes");
    for (int choice = 0; choice < 100; choice++) {
        F x;
        hlq_rng_fill(&rng, hlq_rng_gauss, x.v, 32);
        float want = f_sum_lanes(x), got = hlq_warp_sum_lanes(x.v);
        CHECK_BYTES(&got, &want, sizeof got);
    }
}

int main(void)
{
    hlq_test_start("test_cuda_words");
    test_sums_over_lanes_are_made_in_the_same_tree();
    return hlq_test_end();
}
