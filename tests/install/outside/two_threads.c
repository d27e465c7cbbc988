/*
 * An outside program: two ranks, as threads of one process, add up 1 and 2 everywhere. Uses nothing
 * but the public header.
 */
#include <hlqcomm/hlqcomm.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { RANKS = 2, COUNT = 1000 };

typedef struct worker {
    hlq_thread_group *group;
    int rank;
    int good;
} worker;

static void *work(void *argument)
{
    worker *self = argument;
    float x[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = (float)(self->rank + 1);

    hlq_comm *comm;
    if (hlq_comm_create_threads(self->group, self->rank, NULL, &comm)) {
        fprintf(stderr, "%s\n", hlq_create_error());
        return NULL;
    }
    if (hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, NULL)) {
        fprintf(stderr, "%s\n", hlq_comm_last_error(comm));
    } else {
        self->good = x[0] == 3.0f && x[COUNT - 1] == 3.0f;
    }
    hlq_comm_destroy(comm);
    return NULL;
}

int main(void)
{
    if (strcmp(hlq_version(), HLQ_VERSION_STRING) != 0) {
        fprintf(stderr, "header %s, library %s\n", HLQ_VERSION_STRING, hlq_version());
        return 1;
    }
    hlq_thread_group *group;
    if (hlq_thread_group_create(RANKS, &group)) return 1;
    worker workers[RANKS];
    pthread_t threads[RANKS];
    for (int rank = 0; rank < RANKS; rank++) {
        workers[rank] = (worker){group, rank, 0};
        if (pthread_create(&threads[rank], NULL, work, &workers[rank])) return 1;
    }
    int good = 0;
    for (int rank = 0; rank < RANKS; rank++) {
        pthread_join(threads[rank], NULL);
        good += workers[rank].good;
    }
    hlq_thread_group_destroy(group);
    return good == RANKS ? 0 : 1;
}
