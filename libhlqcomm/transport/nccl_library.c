/*
 * NCCL as the process has it. A communicator can only be used with the library that made it; where
 * several lie about, that is the one which is loaded.
 */
#include "nccl_calls.h"

#include <hlqcomm/transport.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static hlq_nccl_calls calls;
static char failure[HLQ_ERROR_BYTES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* POSIX has it that a function's address fits into a pointer; C has no word for it. */
static int find(void *library, const char *name, void *function)
{
    void *address = dlsym(library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static void *open_library(void)
{
    static const char name[] = "libnccl.so.2";
    void *whole = dlopen(NULL, RTLD_NOW);
    if (whole && dlsym(whole, "ncclCommSplit")) return whole;
    void *loaded = dlopen(name, RTLD_NOW | RTLD_NOLOAD);
    return loaded ? loaded : dlopen(name, RTLD_NOW);
}

static void load(void)
{
    int version = 0;
    void *library = open_library();
    if (!library) {
        snprintf(failure, sizeof failure, "no NCCL was found: %.150s", dlerror());
        return;
    }
    if (!find(library, "ncclGetVersion", &calls.GetVersion) ||
        calls.GetVersion(&version) != HLQ_NCCL_SUCCESS || version < HLQ_NCCL_LEAST) {
        snprintf(failure, sizeof failure, "NCCL has version %d.%d; it must be 2.18 or newer",
                 version / 10000, version / 100 % 100);
        return;
    }
#define FIND(function)                                                                             \
    do {                                                                                           \
        if (!find(library, "nccl" #function, &calls.function)) {                                   \
            snprintf(failure, sizeof failure, "NCCL has no nccl" #function);                       \
            return;                                                                                \
        }                                                                                          \
    } while (0)
    FIND(GetErrorString);
    FIND(CommSplit);
    FIND(CommDestroy);
    FIND(CommAbort);
    FIND(CommGetAsyncError);
    FIND(CommCount);
    FIND(CommCuDevice);
    FIND(CommUserRank);
    FIND(GroupStart);
    FIND(GroupEnd);
    FIND(Send);
    FIND(Recv);
    FIND(AllGather);
    FIND(AllReduce);
    FIND(ReduceScatter);
#undef FIND
    find(library, "ncclAlltoAll", &calls.AlltoAll);
}

const hlq_nccl_calls *hlq_nccl_library(char *error)
{
    pthread_once(&once, load);
    if (!*failure) return &calls;
    snprintf(error, HLQ_ERROR_BYTES, "%s", failure);
    return NULL;
}
