/*
 * Memory, and grids: blocks one after the other, their warps in turn from barrier to barrier. Each
 * launch has another order: nothing may depend on it.
 */
#include "warp.h"

#include <algorithm>
#include <cfenv>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <random>
#include <shared_mutex>

namespace ptx {

namespace {

struct Memory {
    std::shared_mutex lock;
    std::map<uint64_t, Allocation> allocations; /* by where they start */
};

Memory &memory()
{
    static Memory *all = new Memory; /* modules come before constructors, and end after */
    return *all;
}

} // namespace

enum { ALIGNED = 256 /* as cudaMalloc() has it */ };

void *allocate(size_t bytes, Owner owner)
{
    const size_t whole = (bytes / ALIGNED + 1) * ALIGNED;
    void *p = std::aligned_alloc(ALIGNED, whole);
    auto *marks = static_cast<Marks *>(std::calloc(bytes + 1, sizeof(Marks)));
    if (!p || !marks) {
        std::free(p);
        std::free(marks);
        return nullptr;
    }
    std::memset(p, 0xa5, whole); /* nobody may count on zeros */
    std::lock_guard<std::shared_mutex> guard(memory().lock);
    memory().allocations[reinterpret_cast<uint64_t>(p)] = {static_cast<uint8_t *>(p), bytes, owner,
                                                           marks};
    return p;
}

bool release(void *p, Owner owner)
{
    std::lock_guard<std::shared_mutex> guard(memory().lock);
    const auto found = memory().allocations.find(reinterpret_cast<uint64_t>(p));
    if (found == memory().allocations.end() || found->second.owner != owner) return false;
    std::free(found->second.marks);
    memory().allocations.erase(found);
    std::free(p);
    return true;
}

Allocation find(const void *p, size_t bytes)
{
    const auto at = reinterpret_cast<uint64_t>(p);
    std::shared_lock<std::shared_mutex> guard(memory().lock);
    auto next = memory().allocations.upper_bound(at);
    if (next == memory().allocations.begin()) return {};
    const Allocation &found = std::prev(next)->second;
    const uint64_t offset = at - std::prev(next)->first;
    return offset <= found.bytes && found.bytes - offset >= bytes ? found : Allocation{};
}

/* 0 … count - 1 in some order. */
static std::vector<unsigned> shuffled(unsigned count, std::mt19937 *random)
{
    std::vector<unsigned> order(count);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), *random);
    return order;
}

using Files = std::vector<std::vector<uint8_t>>;

/* Registers of a block's warps; nobody may count on what they hold. */
static void make_files(const Kernel &kernel, size_t warps, Files *files)
{
    if (files->size() < warps) files->resize(warps);
    for (size_t n = 0; n < warps; n++) {
        std::vector<uint8_t> &file = (*files)[n];
        if (file.size() < kernel.file.size()) file.resize(kernel.file.size());
        std::copy(kernel.file.begin() + static_cast<ptrdiff_t>(kernel.constants_at),
                  kernel.file.end(), file.begin() + static_cast<ptrdiff_t>(kernel.constants_at));
    }
}

static void run_block(Block *block, Files *files, std::mt19937 *random)
{
    const unsigned count = (block->threads + LANES - 1) / LANES;
    std::vector<Warp> warps;
    warps.reserve(count);
    for (unsigned n = 0; n < count; n++) warps.emplace_back(block, n, (*files)[n].data());
    for (unsigned running = count; running;) {
        running = 0;
        block->phase++;
        for (const unsigned n : shuffled(count, random)) {
            warps[n].run();
            running += warps[n].alive != 0;
        }
    }
}

/* A GPU's arithmetic has no modes, and leaves no flags. */
struct Arithmetic {
    std::fenv_t saved;
    Arithmetic()
    {
        std::fegetenv(&saved);
        std::fesetenv(FE_DFL_ENV);
    }
    ~Arithmetic() { std::fesetenv(&saved); }
    Arithmetic(const Arithmetic &) = delete;
    Arithmetic &operator=(const Arithmetic &) = delete;
};

void run_grid(const Kernel &kernel, unsigned blocks, unsigned threads, const void *parameters)
{
    static std::mutex one_at_a_time;
    static uint32_t launches = 0;
    static Files files;
    std::lock_guard<std::mutex> guard(one_at_a_time);
    std::mt19937 random(++launches);
    const Arithmetic arithmetic;
    if (threads > kernel.threads_max) throw Fault(kernel.name + ": too many threads in a block");
    const std::vector<uint8_t> copy(static_cast<const uint8_t *>(parameters),
                                    static_cast<const uint8_t *>(parameters) +
                                        kernel.parameter_bytes);
    make_files(kernel, (threads + LANES - 1) / LANES, &files);
    for (const unsigned index : shuffled(blocks, &random)) {
        Block block = {&kernel, index, blocks, threads, copy.data(), {}, {}, launches, 0};
        block.shared.assign(kernel.shared_bytes, 0xa5);
        block.shared_marks.resize(kernel.shared_bytes);
        run_block(&block, &files, &random);
    }
}

} // namespace ptx
