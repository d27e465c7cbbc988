/*
 * NCCL for ranks that are threads of one process: communicators, groups of messages, gathers. Who
 * moves the messages is another file's: stand_in_nccl.c, without a GPU; thread_nccl.c, within one.
 */
#ifndef HLQ_TEST_NCCL_RANKS_H
#define HLQ_TEST_NCCL_RANKS_H

#include <transport/nccl_calls.h>

#include <pthread.h>
#include <string.h>

enum { NCCL_RANKS = 16, NCCL_MESSAGES = 2 * NCCL_RANKS, NCCL_FAILED = 3 /* ncclInternalError */ };

/* What one rank has for another. ready, taken: the mover's own. */
enum { NCCL_EMPTY, NCCL_SENT, NCCL_TAKEN };
typedef struct {
    int state;
    const void *data;
    size_t bytes;
    void *ready, *taken;
} nccl_mail;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int size, left; /* ranks that have not destroyed theirs */
    nccl_mail box[NCCL_RANKS][NCCL_RANKS];
    int arrived, splits; /* ranks that wait for one; how many there were */
    ncclComm_t child[NCCL_RANKS];
} nccl_world;

struct ncclComm {
    nccl_world *world;
    int rank, is_aborted;
    void *own;       /* the mover's */
    ncclComm_t next; /* of those that were aborted */
};

/* One of send and recv is NULL. */
typedef struct {
    const void *send;
    void *recv;
    size_t bytes;
    int peer;
} nccl_message;

/* A communicator for each of `size` ranks. */
void nccl_ranks_make(int size, ncclComm_t *comm);

/* The mover: a group of messages, which go at the same time, and a copy, in the order of a stream.
   They return a ncclResult_t. Then, what goes before a communicator's end. */
typedef int nccl_carry(ncclComm_t comm, const nccl_message *m, int count, hlq_stream stream);
extern nccl_carry *const nccl_ranks_carry;
int nccl_ranks_copy(void *to, const void *from, size_t bytes, hlq_stream stream);
void nccl_ranks_end(ncclComm_t comm);

/* Waits until a box is in that state; whether it is, or the communicator was aborted before. Then,
   sets it. The world's lock is held. */
int nccl_wait(ncclComm_t comm, const nccl_mail *box, int state);
void nccl_set(ncclComm_t comm, nccl_mail *box, int state);

/* Waits for what fits into m; one of another length never does, as in NCCL. */
int nccl_wait_fitting(ncclComm_t comm, const nccl_mail *box, size_t bytes);

/* What a table of calls has in any case, and all-to-all, which NCCL has from 2.28 on. */
int nccl_split(ncclComm_t comm, int color, int key, ncclComm_t *result, void *config);
int nccl_destroy(ncclComm_t comm);
int nccl_abort(ncclComm_t comm);
int nccl_async_error(ncclComm_t comm, int *result);
int nccl_count(ncclComm_t comm, int *count);
int nccl_device(ncclComm_t comm, int *device);
int nccl_rank(ncclComm_t comm, int *rank);
int nccl_version(int *version);
const char *nccl_error_string(int result);
int nccl_group_start(void);
int nccl_group_end(void);
int nccl_send(const void *data, size_t count, int type, int peer, ncclComm_t comm,
              hlq_stream stream);
int nccl_recv(void *data, size_t count, int type, int peer, ncclComm_t comm, hlq_stream stream);
int nccl_all_gather(const void *own, void *all, size_t bytes, int type, ncclComm_t comm,
                    hlq_stream stream);
int nccl_all_to_all(const void *from, void *to, size_t bytes, int type, ncclComm_t comm,
                    hlq_stream stream);

#define NCCL_RANKS_CALLS                                                                           \
    .GetErrorString = nccl_error_string, .GetVersion = nccl_version, .CommSplit = nccl_split,      \
    .CommDestroy = nccl_destroy, .CommAbort = nccl_abort, .CommGetAsyncError = nccl_async_error,   \
    .CommCount = nccl_count, .CommCuDevice = nccl_device, .CommUserRank = nccl_rank,               \
    .GroupStart = nccl_group_start, .GroupEnd = nccl_group_end, .Send = nccl_send,                 \
    .Recv = nccl_recv, .AllGather = nccl_all_gather

#endif
