/*
 * Error feedback in the collectives other than all-reduce: what a call fails to send stays in the
 * residual, and nothing else does. So after any call the ranks' (input + residual before - residual
 * after) are what came out: added up in a reduce-scatter, as they are in the others.
 */
#include "hlq_test.h"
#include "ranks.h"

#include <float.h>

enum { PART = 1500, CALLS = 8 };

typedef struct feedback {
    hlq_operation operation;
    hlq_algorithm algorithm;
    hlq_lattice lattice;
    double bits;
} feedback;

static hlq_status call_once(hlq_comm *comm, const feedback *f, const float *send, float *recv,
                            float *residual)
{
    hlq_call call = HLQ_CALL_INIT;
    call.algorithm = f->algorithm;
    call.bits = f->bits;
    call.residual = residual;
    if (f->operation == HLQ_ALL_GATHER) {
        return hlq_all_gather(comm, send, recv, PART, HLQ_FLOAT32, &call, NULL);
    }
    if (f->operation == HLQ_ALL_TO_ALL) {
        return hlq_all_to_all(comm, send, recv, PART, HLQ_FLOAT32, &call, NULL);
    }
    return hlq_reduce_scatter(comm, send, recv, PART, HLQ_FLOAT32, HLQ_SUM, &call, NULL);
}

/* What element i of this rank's result is made of, out of what every rank has sent. */
static double expected(const test_rank *me, const feedback *f, const double *sent, size_t i)
{
    size_t row = (size_t)me->size * PART, own = (size_t)me->rank * PART;
    double sum = 0;
    if (f->operation == HLQ_ALL_GATHER) return sent[i / PART * row + i % PART];
    if (f->operation == HLQ_ALL_TO_ALL) return sent[i / PART * row + own + i % PART];
    for (size_t p = 0; p < (size_t)me->size; p++) sum += sent[p * row + own + i];
    return sum;
}

/*
 * What the identity allows is rounding: of fp32 numbers no larger than the inputs and residuals, in
 * the rotations (32 steps) and in the sum.
 */
static void check_call(test_rank *me, const feedback *f, const double *mine, const float *recv)
{
    size_t row = (size_t)me->size * PART;
    size_t count = f->operation == HLQ_REDUCE_SCATTER ? PART : row;
    double *sent = malloc((size_t)me->size * row * sizeof *sent), missing = 0, size = 0;
    rank_gather(me, mine, row * sizeof *sent, sent);
    for (size_t i = 0; i < count; i++) {
        double want = expected(me, f, sent, i), off = recv[i] - want;
        missing += off * off;
    }
    for (size_t i = 0; i < (size_t)me->size * row; i++) size += sent[i] * sent[i];
    CHECK_AT_MOST(sqrt(missing), (32 + me->size) * FLT_EPSILON * sqrt(size));
    free(sent);
}

/* Whether a rank's own part is told exactly, and what stays of it. */
static void check_own_part(const test_rank *me, const feedback *f, const float *residual)
{
    size_t kept = 0, own = (size_t)me->rank * PART;
    if (f->operation == HLQ_ALL_GATHER || f->algorithm == HLQ_ALG_MODQ) return;
    for (size_t i = own; i < own + PART; i++) kept += residual[i] != 0;
    CHECK_EQ(kept, 0);
}

static void check_feedback(test_rank *me, hlq_comm *comm, const feedback *f)
{
    size_t row = (size_t)me->size * PART;
    size_t send_elems = f->operation == HLQ_ALL_GATHER ? PART : row, lost = 0;
    float *x = calloc(row, sizeof *x), *recv = calloc(row, sizeof *recv);
    float *residual = calloc(row, sizeof *residual);
    double *mine = calloc(row, sizeof *mine);
    hlq_rng rng = hlq_rng_new((uint64_t)me->rank + 1);
    for (int k = 0; k < CALLS; k++) {
        hlq_rng_fill(&rng, hlq_rng_laplace, x, send_elems);
        for (size_t i = 0; i < send_elems; i++) mine[i] = (double)x[i] + residual[i];
        CHECK_EQ(call_once(comm, f, x, recv, residual), HLQ_OK);
        for (size_t i = 0; i < send_elems; i++) mine[i] -= residual[i];
        for (size_t i = 0; i < send_elems; i++) lost += residual[i] != 0;
        check_call(me, f, mine, recv);
        check_own_part(me, f, residual);
    }
    CHECK(lost > 0);
    free(x);
    free(recv);
    free(residual);
    free(mine);
}

static void check_all(test_rank *me, void *argument)
{
    static const double bits[] = {3, 4, 6};
    (void)argument;
    for (int i = 0; i < 16; i++) {
        hlq_rng rng = hlq_rng_new((uint64_t)(50 * me->size + i));
        feedback f = {
            .operation = (hlq_operation)(1 + i % 3),
            .algorithm = i % 3 == 0 && i % 2 ? HLQ_ALG_MODQ : HLQ_ALG_ONESHOT,
            .lattice = (hlq_lattice)hlq_rng_below(&rng, 3),
            .bits = bits[hlq_rng_below(&rng, 3)],
        };
        hlq_options options = HLQ_OPTIONS_INIT;
        hlq_comm *comm = NULL;
        options.lattice = f.lattice;
        hlq_test_case("%d ranks, %s, %s, %s, %g bits", me->size, hlq_operation_name(f.operation),
                      hlq_algorithm_name(f.algorithm), hlq_lattice_name(f.lattice), f.bits);
        if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) check_feedback(me, comm, &f);
        rank_destroy(me, comm);
    }
}

int main(void)
{
    static const int ranks[] = {2, 3, 5, 8};
    hlq_test_start("test_feedback_collectives");
    for (int i = 0; i < 4; i++) ranks_as_threads(ranks[i], check_all, NULL);
    return hlq_test_end();
}
