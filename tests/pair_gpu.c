/*
 * nccl_pair.h with NCCL and CUDA; ranks share the GPUs that there are. Several on one take NCCL
 * 2.30.3 and NCCL_MULTI_RANK_GPU_ENABLE=1.
 */
#include "pair_cuda.h"

#include <hlqcomm/nccl.h>

#include <dlfcn.h>

/* As nccl.h has it. */
typedef struct {
    char internal[128];
} unique_id;

static void *nccl_function(const char *name)
{
    static void *library;
    if (!library) library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_GLOBAL);
    void *function = library ? dlsym(library, name) : NULL;
    if (!function) {
        fprintf(stderr, "no %s: %s\n", name, dlerror());
        exit(2);
    }
    return function;
}

static void *parent_of(test_rank *me)
{
    int (*get_unique_id)(unique_id *), (*init)(void **, int, unique_id, int);
    void *function[2] = {nccl_function("ncclGetUniqueId"), nccl_function("ncclCommInitRank")};
    void *comm = NULL;
    unique_id id, all[RANKS_MAX];
    memcpy(&get_unique_id, &function[0], sizeof get_unique_id);
    memcpy(&init, &function[1], sizeof init);
    memset(&id, 0, sizeof id);
    if (me->rank == 0) MUST(get_unique_id(&id) == 0);
    rank_gather(me, &id, sizeof id, all);
    MUST(init(&comm, me->size, all[0], me->rank) == 0);
    return comm;
}

void pair_open(test_rank *me, const hlq_options *options, int is_old, pair *p)
{
    int devices = 0;
    (void)is_old; /* NCCL is what it is */
    CUDA(cudaGetDeviceCount(&devices));
    CUDA(cudaSetDevice(me->rank % devices));
    *p = (pair){.me = me, .parent = parent_of(me)};
    CUDA(cudaStreamCreateWithFlags(&p->stream, cudaStreamNonBlocking));
    CUDA(cudaStreamCreateWithFlags(&p->other, cudaStreamNonBlocking));
    MUST(rank_create(me, options, &p->host) == HLQ_OK);
    MUST(hlq_comm_create_nccl(p->parent, options, &p->nccl) == HLQ_OK);
}

void pair_close(pair *p)
{
    int (*destroy)(void *);
    void *function = nccl_function("ncclCommDestroy");
    memcpy(&destroy, &function, sizeof destroy);
    hlq_comm_destroy(p->nccl);
    rank_destroy(p->me, p->host);
    rank_barrier(p->me);
    MUST(destroy(p->parent) == 0);
    CUDA(cudaStreamDestroy(p->stream));
    CUDA(cudaStreamDestroy(p->other));
}
