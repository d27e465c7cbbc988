/*
 * What goes wrong in collectives on a device, whatever carries them: told in a sentence on every
 * rank, and no wrong number that looks like a right one.
 */
#ifndef HLQ_TEST_NCCL_FAULT_CASES_H
#define HLQ_TEST_NCCL_FAULT_CASES_H

#include "nccl_pair.h"
#include "stand_in.h"

#include <math.h>
#include <sched.h>

enum { FAULT_COUNT = 70000 };

/* What a rank got of one call that went wrong somewhere. */
typedef struct {
    hlq_status status;
    char sentence[256];
} outcome;

typedef struct {
    int rank; /* the one that does something else; -1: none */
    const char *what;
    hlq_algorithm algorithm;
    stand_in_tamper *tamper;
    int damaged; /* the rank whose messages are damaged on the way to the next */
    hlq_status status[2];
    const char *sentence[2]; /* of that rank, or who got its damaged message; of the others */
    int is_fine_elsewhere;   /* others have their result */
    int is_late;             /* others find out when their time is over */
} fault_case;

static inline hlq_status start_call(pair *p, const fault_case *f, const float *send, float *recv,
                                    hlq_request **request)
{
    int differs = p->me->rank == f->rank;
    hlq_call call = HLQ_CALL_INIT;
    size_t count = FAULT_COUNT;
    float host[1];
    call.algorithm = f->algorithm;
    if (differs && strcmp(f->what, "count") == 0) count--;
    if (differs && strcmp(f->what, "bits") == 0) call.bits = 3;
    if (differs && strcmp(f->what, "memory") == 0) send = host;
    if (differs && strcmp(f->what, "modq") == 0) call.algorithm = HLQ_ALG_MODQ;
    if (differs && strcmp(f->what, "target") == 0) call.target_nmse = 0.1;
    if (differs && strcmp(f->what, "aligned") == 0) recv = (float *)(void *)((char *)recv + 1);
    if (differs && strcmp(f->what, "operation") == 0) {
        return hlq_all_gather_start(p->nccl, send, recv, count / 4, HLQ_FLOAT32, &call, p->stream,
                                    request);
    }
    return hlq_all_reduce_start(p->nccl, send, recv, count, HLQ_FLOAT32, HLQ_SUM, &call, p->stream,
                                request);
}

static inline int result_elems(const test_rank *me, const fault_case *f)
{
    if (me->rank != f->rank) return FAULT_COUNT;
    if (strcmp(f->what, "operation") == 0) return FAULT_COUNT / 4 * me->size;
    return strcmp(f->what, "count") == 0 ? FAULT_COUNT - 1 : FAULT_COUNT;
}

static inline outcome one_call(pair *p, const fault_case *f, const float *send, float *recv)
{
    outcome o = {.status = HLQ_OK};
    hlq_request *request = NULL;
    int is_silent = p->me->rank == f->rank && strcmp(f->what, "silence") == 0;
    if (is_silent) return o;
    o.status = start_call(p, f, send, recv, &request);
    if (o.status == HLQ_OK) o.status = hlq_wait(request, HLQ_FOREVER);
    snprintf(o.sentence, sizeof o.sentence, "%s", hlq_comm_last_error(p->nccl));
    rank_barrier(p->me); /* those who did not call leave, too */
    return o;
}

static inline void fault_body(test_rank *me, void *argument)
{
    const fault_case *f = argument;
    hlq_options options = HLQ_OPTIONS_INIT;
    pair p;
    options.timeout_s = f->is_late ? 0.3 : 20;
    float *send = pair_memory((FAULT_COUNT + 1) * sizeof *send),
          *recv = pair_memory((FAULT_COUNT + 1) * sizeof *recv);
    pair_open(me, &options, 0, &p);
    pair_rounds(&p, 1);
    for (int i = 0; i < FAULT_COUNT; i++) send[i] = (float)sin(i + me->rank);
    for (int i = 0; i < FAULT_COUNT; i++) recv[i] = 1;
    rank_barrier(me);
    if (me->rank == 0) stand_in_set_tamper(f->tamper);
    rank_barrier(me);
    hlq_test_case("%s by rank %d", f->what, f->rank);
    outcome o = one_call(&p, f, send, recv);
    int is_silent = me->rank == f->rank && strcmp(f->what, "silence") == 0;
    if (is_silent) rank_barrier(me);
    if (me->rank == 0) stand_in_set_tamper(NULL);
    pair_synchronize(&p);
    int is_source = f->tamper ? me->rank == (f->damaged + 1) % me->size : me->rank == f->rank;
    int is_told = !is_silent && !(f->is_fine_elsewhere && !is_source);
    /* Who is late may hear why before. */
    if (!(f->is_late && o.status == HLQ_E_WIRE)) {
        CHECK_EQ(o.status, is_silent ? HLQ_OK : f->status[is_source ? 0 : 1]);
    }
    if (is_told && !CHECK(strstr(o.sentence, f->sentence[is_source ? 0 : 1]) != NULL)) {
        fprintf(stderr, "  it says: %s\n", o.sentence);
    }
    int nans = 0;
    for (int i = 0; i < FAULT_COUNT; i++) nans += isnan(recv[i]) != 0;
    int is_refused = is_source && !f->tamper && o.status != HLQ_E_MISMATCH;
    if (is_refused || is_silent) CHECK_EQ(nans, 0);
    else if (is_told) CHECK_EQ(nans, result_elems(me, f));
    if (is_told) {
        hlq_status again =
            hlq_all_reduce(p.nccl, send, recv, FAULT_COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, p.stream);
        CHECK_EQ(again, HLQ_E_BROKEN);
        CHECK_EQ(hlq_comm_async_error(p.nccl), HLQ_E_BROKEN);
    }
    rank_barrier(me);
    pair_close(&p);
    pair_free(send), pair_free(recv);
}

static int damaged_rank, least_bytes, at_byte;

static inline void flip_a_bit(int from, int to, void *data, size_t bytes)
{
    if (from != damaged_rank || to != from + 1 || bytes < (size_t)least_bytes) return;
    ((unsigned char *)data)[at_byte < 0 ? bytes - (size_t)-at_byte : (size_t)at_byte] ^= 4;
    least_bytes = 1 << 30; /* once */
}

/* One rank calls something else. Returns case i, whether there is one. */
static inline int different_call(size_t i, fault_case *f)
{
    static const fault_case cases[] = {
        {.rank = 1,
         .what = "count",
         .status = {HLQ_E_MISMATCH, HLQ_E_MISMATCH},
         .sentence = {"rank 0 called with count 70000, rank 1 with count 69999", "count 69999"}},
        {.rank = 0,
         .what = "bits",
         .status = {HLQ_E_MISMATCH, HLQ_E_MISMATCH},
         .sentence = {"rank 0 called with bits 3, rank 1 with bits 4", "bits 3"}},
        {.rank = 1,
         .what = "operation",
         .algorithm = HLQ_ALG_ONESHOT,
         .status = {HLQ_E_MISMATCH, HLQ_E_MISMATCH},
         .sentence = {"hlq_all_gather", "hlq_all_gather"}},
        {.rank = 1,
         .what = "memory",
         .status = {HLQ_E_INVALID, HLQ_E_REMOTE},
         .sentence = {"send is not memory of the communicator's device", "rank 1: send is not"}},
        {.rank = 1,
         .what = "aligned",
         .status = {HLQ_E_INVALID, HLQ_E_REMOTE},
         .sentence = {"not aligned", "rank 1: a tensor of the device is not aligned"}},
        {.rank = 0,
         .what = "modq",
         .status = {HLQ_E_UNSUPPORTED, HLQ_E_REMOTE},
         .sentence = {"modq is for host tensors", "rank 0: modq is for host tensors"}},
        {.rank = 0,
         .what = "target",
         .status = {HLQ_E_UNSUPPORTED, HLQ_E_REMOTE},
         .sentence = {"target mode", "rank 0: target mode is for host tensors"}},
        {.rank = 1,
         .what = "silence",
         .is_late = 1,
         .status = {HLQ_OK, HLQ_E_TIMEOUT},
         .sentence = {"", "did not answer within 0.3 s"}},
    };
    if (i >= sizeof cases / sizeof *cases) return 0;
    *f = cases[i];
    if (!f->algorithm) f->algorithm = HLQ_ALG_TWOSHOT;
    return 1;
}

static inline void test_ranks_that_call_something_else(void)
{
    fault_case f;
    for (size_t i = 0; different_call(i, &f); i++) {
        for (int n = 2; n <= 3; n++) ranks_as_threads(n, fault_body, &f);
    }
}

static inline void damage_once(int ranks, int bytes, int at, fault_case *f)
{
    damaged_rank = f->damaged;
    least_bytes = bytes;
    at_byte = at;
    ranks_as_threads(ranks, fault_body, f);
}

/* Of twoshot's first leg all ranks hear: the owner's sum says so. Of its second, and of oneshot,
   the others have their result. */
static inline void test_messages_that_are_damaged(void)
{
    enum { SEGMENT = 400, TERMS = 264 };
    static const struct {
        int at;
        const char *sentence;
    } damage[] = {{0, "magic number"}, {60, "checksum"}, {-5, "checksum"}};
    for (int d = 0; d < 3; d++) {
        fault_case f = {
            .rank = -1,
            .what = "damage",
            .algorithm = HLQ_ALG_TWOSHOT,
            .tamper = flip_a_bit,
            .status = {HLQ_E_WIRE, HLQ_E_WIRE},
            .sentence = {damage[d].sentence, "from rank 1: a message has magic number"},
        };
        for (int n = 2; n <= 3; n++) damage_once(n, SEGMENT, damage[d].at, &f);
        f.algorithm = HLQ_ALG_ONESHOT;
        f.status[1] = HLQ_OK;
        f.is_fine_elsewhere = 1;
        damage_once(2, SEGMENT, damage[d].at, &f);
    }
    fault_case terms = {
        .rank = -1,
        .what = "damaged terms",
        .algorithm = HLQ_ALG_TWOSHOT,
        .tamper = flip_a_bit,
        .is_late = 1,
        .status = {HLQ_E_WIRE, HLQ_E_TIMEOUT},
        .sentence = {"from rank 0: what it called with is damaged", ""},
    };
    damage_once(2, TERMS, 20, &terms);
}

/* Two nodes of two ranks; codes of the first half of the tensor go from rank 0 to rank 2. */
static inline void flip_on_rail(int from, int to, void *data, size_t bytes)
{
    if (from == 0 && to == 2 && bytes > FAULT_COUNT / 8) ((unsigned char *)data)[bytes - 5] ^= 4;
}

/* Whoever reads them knows; its peer, who gets its numbers plain, gets NaN; all else is right. */
static inline void rail_body(test_rank *me, void *argument)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    const fault_case f = {.rank = -1, .what = "a rail", .algorithm = HLQ_ALG_HIERARCHICAL};
    float *send = pair_memory(FAULT_COUNT * sizeof *send),
          *recv = pair_memory(FAULT_COUNT * sizeof *recv);
    pair p;
    (void)argument;
    options.group = 1 + me->rank / 2;
    pair_open(me, &options, 0, &p);
    for (int i = 0; i < FAULT_COUNT; i++) send[i] = (float)sin(i + me->rank);
    rank_barrier(me);
    if (me->rank == 0) stand_in_set_tamper(flip_on_rail);
    rank_barrier(me);
    hlq_test_case("damage on a rail");
    outcome o = one_call(&p, &f, send, recv);
    if (me->rank == 0) stand_in_set_tamper(NULL);
    pair_synchronize(&p);
    CHECK_EQ(o.status, me->rank == 2 ? HLQ_E_WIRE : HLQ_OK);
    if (me->rank == 2) CHECK(strstr(o.sentence, "from rank 0: ") != NULL);
    int nans[2] = {0, 0}, half = FAULT_COUNT / 2 / 256 * 256;
    for (int i = 0; i < FAULT_COUNT; i++) nans[i >= half + 256] += isnan(recv[i]) != 0;
    CHECK_EQ(nans[0] >= half, me->rank >= 2);
    CHECK_EQ(nans[1] > 0, me->rank == 2);
    CHECK_EQ(nans[0] + nans[1] > 0, me->rank >= 2);
    rank_barrier(me);
    pair_close(&p);
    pair_free(send), pair_free(recv);
}

#endif
