/*
 * MPI for a Python process. The only file of the adapter that sees mpi.h; knows nothing of tensors.
 */
#include "mpi_world.h"

#include "comm.h"
#include "status.h"

#ifdef HLQTORCH_WITH_MPI
#include <hlqcomm/mpi_cuda.h>

#include <dlfcn.h>
#endif

#include <algorithm>
#include <mutex>

namespace hlqtorch {

namespace {

std::mutex living_comms_mutex;
std::vector<Comm *> living_comms;

} // namespace

void mpi_remember(Comm *comm)
{
    std::lock_guard<std::mutex> lock(living_comms_mutex);
    living_comms.push_back(comm);
}

void mpi_forget(Comm *comm)
{
    std::lock_guard<std::mutex> lock(living_comms_mutex);
    living_comms.erase(std::remove(living_comms.begin(), living_comms.end(), comm),
                       living_comms.end());
}

#ifdef HLQTORCH_WITH_MPI

namespace {

bool started_here = false;

using Create = decltype(&hlq_comm_create_mpi);

/* hlq_comm_create_mpi_cuda(), if its library is beside this module. */
Create create_of_cuda()
{
    static const auto found = [] {
        void *handle = dlopen("libhlqcomm_mpi_cuda.so." HLQTORCH_SOVERSION, RTLD_NOW | RTLD_LOCAL);
        void *create = handle ? dlsym(handle, "hlq_comm_create_mpi_cuda") : nullptr;
        return reinterpret_cast<Create>(create);
    }();
    return found;
}

void start_mpi()
{
    int initialized = 0, finalized = 0, level = MPI_THREAD_SINGLE;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (finalized) {
        throw invalid("MPI_Finalize was called already; MPI cannot be started twice");
    }
    if (!initialized) {
        if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &level) != MPI_SUCCESS) {
            throw Failure(HLQ_E_TRANSPORT, "MPI_Init_thread failed");
        }
        started_here = true;
    }
    MPI_Query_thread(&level);
    if (level < MPI_THREAD_SERIALIZED) {
        throw Failure(HLQ_E_UNSUPPORTED,
                      "MPI was initialized without MPI_THREAD_SERIALIZED; collectives run on a "
                      "thread of their own and need it");
    }
}

/* A communicator of some ranks of the world; collective over those ranks only. */
MPI_Comm part_of_world(const std::vector<int> &ranks, int tag)
{
    MPI_Group world, part;
    MPI_Comm comm = MPI_COMM_NULL;
    int size = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int rank : ranks) {
        if (rank < 0 || rank >= size) {
            throw invalid("rank " + std::to_string(rank) + " is not in MPI_COMM_WORLD, which has " +
                          std::to_string(size) + " ranks");
        }
    }
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_incl(world, static_cast<int>(ranks.size()), ranks.data(), &part);
    MPI_Comm_create_group(MPI_COMM_WORLD, part, tag, &comm);
    MPI_Group_free(&part);
    MPI_Group_free(&world);
    if (comm == MPI_COMM_NULL) {
        throw invalid("this rank is not among the ranks of the communicator it makes");
    }
    return comm;
}

} // namespace

bool mpi_start()
{
    start_mpi();
    int level = MPI_THREAD_SINGLE;
    MPI_Query_thread(&level);
    return level == MPI_THREAD_MULTIPLE;
}

bool mpi_is_running()
{
    int initialized = 0, finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    return initialized && !finalized;
}

bool mpi_has_cuda() { return create_of_cuda() != nullptr; }

hlq_comm *comm_over_mpi(const std::vector<int> &ranks, int tag, bool of_cuda,
                        const hlq_options &options)
{
    const Create create = of_cuda ? create_of_cuda() : hlq_comm_create_mpi;
    if (create == nullptr) {
        throw Failure(HLQ_E_UNSUPPORTED, "libhlqcomm has no MPI for tensors on CUDA devices here "
                                         "(built without CUDA, or it does not load)");
    }
    start_mpi();
    hlq_comm *comm = nullptr;
    MPI_Comm part = ranks.empty() ? MPI_COMM_WORLD : part_of_world(ranks, tag);
    const hlq_status status = create(part, &options, &comm);
    const std::string sentence = status == HLQ_OK ? "" : hlq_create_error();
    if (part != MPI_COMM_WORLD) {
        MPI_Comm_free(&part);
    }
    if (status != HLQ_OK) {
        throw Failure(status, sentence);
    }
    return comm;
}

void mpi_finish()
{
    for (;;) {
        Comm *oldest = nullptr;
        {
            std::lock_guard<std::mutex> lock(living_comms_mutex);
            oldest = living_comms.empty() ? nullptr : living_comms.front();
        }
        if (oldest == nullptr) {
            break;
        }
        oldest->close();
    }
    if (started_here && mpi_is_running()) {
        MPI_Finalize();
    }
}

std::string mpi_library() { return hlq_mpi_library(); }

#else

bool mpi_start() { return false; }

bool mpi_is_running() { return false; }

bool mpi_has_cuda() { return false; }

hlq_comm *comm_over_mpi(const std::vector<int> &, int, bool, const hlq_options &)
{
    throw Failure(HLQ_E_UNSUPPORTED,
                  "hlqtorch was built without MPI; build libhlqcomm with MPI, then hlqtorch again");
}

void mpi_finish() {}

std::string mpi_library() { return ""; }

#endif

} // namespace hlqtorch
