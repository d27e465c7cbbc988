/*
 * Sums over lanes for GPUs, which the kernels alone would not test, on an emulated warp.
 */
#include "hlq_test.h"
#include "gpu_kernels.h"

#include <kernels/body/rows.h>
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

/* What body/rows.h says, written down. */
static double distance_of_lanes(const float *x, const float *y, size_t count)
{
    double sum[32] = {0};
    for (size_t i = 0; i < count; i++) {
        double difference = (double)x[i] - (double)y[i];
        sum[i % 32] += difference * difference;
    }
    for (int d = 16; d; d /= 2) {
        for (int l = 0; l < d; l++) sum[l] = sum[l] + sum[l + d];
    }
    return sum[0];
}

static void test_sums_over_rows_are_made_in_the_same_order(void)
{
    enum { MOST = 300 };
    hlq_rng rng = hlq_rng_new(2);
    float x[MOST], y[MOST];
    for (size_t count = 0; count <= MOST; count++) {
        hlq_rng_fill(&rng, hlq_rng_lognormal, x, count);
        hlq_rng_fill(&rng, hlq_rng_lognormal, y, count);
        hlq_test_case("rows of %zu", count);
        double want = distance_of_lanes(x, y, count);
        double by_host = squared_distance(x, y, count);
        double by_warp = hlq_warp_squared_distance(x, y, count);
        CHECK_BYTES(&by_host, &want, sizeof want);
        CHECK_BYTES(&by_warp, &want, sizeof want);
    }
}

int main(void)
{
    hlq_test_start("test_cuda_words");
    test_sums_over_rows_are_made_in_the_same_order();
    test_sums_over_lanes_are_made_in_the_same_tree();
    return hlq_test_end();
}
