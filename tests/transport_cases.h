/*
 * What every transport promises (hlqcomm/transport.h), for test_transport and test_transport_mpi.
 */
#ifndef HLQ_TEST_TRANSPORT_CASES_H
#define HLQ_TEST_TRANSPORT_CASES_H

#include "hlq_test.h"
#include "ranks.h"

#include <hlqcomm/transport.h>
#include <transport/transport_internal.h>
#if defined(HLQ_HAVE_MPI)
#include <transport/mpi_transport.h>
#endif

/* A thread group all ranks know. */
static inline hlq_thread_group *share_group(test_rank *me)
{
    hlq_thread_group *group = NULL, *all[RANKS_MAX];
    if (me->rank == 0 && hlq_thread_group_create(me->size, &group) != HLQ_OK) exit(2);
    rank_gather(me, &group, sizeof group, all);
    return all[0];
}

static inline void unshare_group(test_rank *me, hlq_thread_group *group)
{
    rank_barrier(me);
    if (me->rank == 0) hlq_thread_group_destroy(group);
}

/* A transport over all ranks; *group is NULL for MPI. */
static inline hlq_transport open_transport(test_rank *me, hlq_thread_group **group)
{
    hlq_transport t = {0};
    char error[HLQ_ERROR_BYTES] = "";
    *group = NULL;
    if (me->board) {
        *group = share_group(me);
        CHECK_EQ(hlq_transport_threads(*group, me->rank, &t, error), HLQ_OK);
    } else {
#if defined(HLQ_HAVE_MPI)
        CHECK_EQ(hlq_transport_mpi(MPI_COMM_WORLD, 20, &t, error), HLQ_OK);
#endif
    }
    CHECK_EQ(t.struct_bytes, sizeof t);
    CHECK(t.name && *t.name);
    CHECK_EQ(t.rank, me->rank);
    CHECK_EQ(t.size, me->size);
    return t;
}

static inline void close_transport(test_rank *me, hlq_transport *t, hlq_thread_group *group)
{
    rank_barrier(me);
    t->destroy(t->self);
    if (group) unshare_group(me, group);
}

enum { MESSAGE_MOST = 70000 };

/* Length and content of the message from rank p to rank q in a round: from nothing to much. */
static inline size_t message_bytes(int round, int p, int q)
{
    static const size_t bytes[] = {0, 1, 7, 300, 4096, MESSAGE_MOST};
    return bytes[(size_t)(5 * round + 3 * p + q) % 6];
}

static inline uint8_t message_byte(int round, int p, int q, size_t i)
{
    return (uint8_t)(i * 7 + (size_t)(round * 31 + p * 5 + q));
}

/* Buffers of one rank, one message for or from each other rank. */
typedef struct mailbox {
    uint8_t out[4][MESSAGE_MOST], in[4][MESSAGE_MOST + 1];
    hlq_message send[4], recv[4];
} mailbox;

static inline void messages_arrive(test_rank *me)
{
    static _Thread_local mailbox box;
    hlq_thread_group *group;
    char error[HLQ_ERROR_BYTES] = "";
    hlq_transport t = open_transport(me, &group);
    for (int round = 0; round < 12; round++) {
        hlq_test_case("round %d on rank %d of %d", round, me->rank, me->size);
        for (int p = 0; p < me->size; p++) {
            size_t bytes = message_bytes(round, me->rank, p);
            for (size_t i = 0; i < bytes; i++) {
                box.out[p][i] = message_byte(round, me->rank, p, i);
            }
            memset(box.in[p], 0xee, sizeof box.in[p]);
            box.send[p] = (hlq_message){box.out[p], bytes};
            box.recv[p] = (hlq_message){box.in[p], message_bytes(round, p, me->rank)};
        }
        /* The own entry is ignored, whatever it says. */
        box.send[me->rank] = box.recv[me->rank] = (hlq_message){NULL, SIZE_MAX};
        hlq_exchange x = {.number = (uint32_t)round, .send = box.send, .recv = box.recv};
        if (!CHECK_EQ(hlq_transport_run(&t, &x, 20, error), HLQ_OK)) break;
        for (int p = 0; p < me->size; p++) {
            size_t bytes = p == me->rank ? 0 : message_bytes(round, p, me->rank), wrong = 0;
            for (size_t i = 0; i < bytes; i++) {
                wrong += box.in[p][i] != message_byte(round, p, me->rank, i);
            }
            CHECK_EQ(wrong, 0);
            CHECK_EQ(box.in[p][bytes], 0xee);
        }
    }
    close_transport(me, &t, group);
}

/* Rank 1 sends rank 0 `sent` bytes where 100 are expected. */
static inline void a_wrong_size_is_noticed(test_rank *me, size_t sent)
{
    static _Thread_local uint8_t out[200], in[4][200];
    hlq_thread_group *group;
    hlq_message send[4] = {{NULL, 0}}, recv[4] = {{NULL, 0}};
    char error[HLQ_ERROR_BYTES] = "";
    hlq_test_case("%zu bytes for 100, on rank %d", sent, me->rank);
    hlq_transport t = open_transport(me, &group);
    memset(in, 0xee, sizeof in);
    if (me->rank == 1) send[0] = (hlq_message){out, sent};
    if (me->rank == 0) recv[1] = (hlq_message){in[1], 100};
    hlq_exchange x = {.send = send, .recv = recv};
    hlq_status status = hlq_transport_run(&t, &x, 20, error);
    if (me->rank == 0) {
        CHECK_EQ(status, HLQ_E_WIRE);
        CHECK(strstr(error, "rank 1 "));
        CHECK_EQ(in[1][100], 0xee);
    }
    close_transport(me, &t, group);
}

/* Rank 1 takes no part. */
static inline void a_missing_rank_times_out(test_rank *me)
{
    static _Thread_local uint8_t out[4][8], in[4][8];
    hlq_thread_group *group;
    hlq_message send[4], recv[4];
    char error[HLQ_ERROR_BYTES] = "";
    hlq_test_case("a missing rank, on rank %d", me->rank);
    hlq_transport t = open_transport(me, &group);
    for (int p = 0; p < me->size; p++) {
        send[p] = (hlq_message){out[p], 8};
        recv[p] = (hlq_message){in[p], 8};
    }
    if (me->rank != 1) {
        hlq_exchange x = {.send = send, .recv = recv};
        CHECK_EQ(hlq_transport_run(&t, &x, 0.5, error), HLQ_E_TIMEOUT);
        CHECK(strstr(error, "rank 1 "));
    }
    close_transport(me, &t, group);
}

static inline void transport_promises(test_rank *me, void *argument)
{
    (void)argument;
    messages_arrive(me);
    if (me->size < 2) return;
    a_wrong_size_is_noticed(me, 99);
    a_wrong_size_is_noticed(me, 150);
    a_missing_rank_times_out(me);
}

#endif
