/*
 * A warp at work: its registers, and which of its lanes are where.
 */
#ifndef HLQ_TEST_PTX_WARP_H
#define HLQ_TEST_PTX_WARP_H

#include "machine.h"

#include <unordered_map>

namespace ptx {

struct Block {
    const Kernel *kernel;
    unsigned index, blocks, threads;
    const uint8_t *parameters;
    std::vector<uint8_t> shared;
    std::vector<Marks> shared_marks;
    uint32_t launch, phase; /* barriers passed */
};

/*
 * Lanes that are at the lowest instruction go on, the others wait there for them: so branches come
 * together again. A lane that waits at an instruction for several lanes lets all others pass first.
 */
struct Warp {
    Block *block;
    unsigned index;
    uint8_t *file;
    std::vector<uint8_t> local; /* memory of each lane, one lane after the other */
    uint32_t pc[LANES];         /* of lanes that are not active */
    uint32_t alive;             /* have not returned */
    uint32_t waiting;           /* of those, wait at an instruction for several lanes */
    uint32_t active;            /* do this instruction */
    uint32_t at, next;          /* this instruction, and the next one */
    uint32_t others;            /* the lowest instruction that others will do */
    bool at_barrier;            /* all lanes; the rest of the block is to come */
    bool was_woken;             /* those that wait have all looked again, without success so far */
    Allocation used_last;       /* by an address */
    Stamp stamp;                /* of what it uses now */

    /* `registers` is as the kernel's file was when it was parsed, but for registers. */
    Warp(Block *of, unsigned number, uint8_t *registers);

    template <typename T> T *lanes(Place place) { return reinterpret_cast<T *>(file + place.at); }
    uint32_t &predicate(Place place) { return *lanes<uint32_t>(place); }
    void set_predicate(Place place, uint32_t value)
    {
        uint32_t &word = predicate(place);
        word = (word & ~active) | (value & active);
    }

    /* Until all lanes have returned, or are at a barrier. */
    void run();

    /* At an instruction for the lanes of `mask`: true if they are all here. Else those that are
       here wait, and will do it again. */
    bool all_here(uint32_t mask, const Instruction &i);

    [[noreturn]] void fault(const Instruction &i, unsigned lane, const std::string &what) const;
};

/* f(lane) for active lanes. */
template <typename F> inline void each_lane(const Warp &w, F f)
{
    if (w.active == ALL_LANES) {
        for (unsigned lane = 0; lane < LANES; lane++) f(lane);
        return;
    }
    for (uint32_t left = w.active; left; left &= left - 1) {
        f(static_cast<unsigned>(__builtin_ctz(left)));
    }
}

/* Steps by name, "add.s32"; NULL: unknown. */
using Steps = std::unordered_map<std::string, Step>;

inline Step step_in(const Steps &steps, const std::string &name)
{
    const auto found = steps.find(name);
    return found == steps.end() ? nullptr : found->second;
}

/* Steps that instruction.cpp chooses by itself. */
void branch(Warp &w, const Instruction &i);
void branch_if(Warp &w, const Instruction &i);
void leave(Warp &w, const Instruction &i);
void barrier(Warp &w, const Instruction &i);
void shuffle_xor(Warp &w, const Instruction &i);
void shuffle_up(Warp &w, const Instruction &i);
void shuffle_down(Warp &w, const Instruction &i);
void shuffle_from(Warp &w, const Instruction &i);
void ballot(Warp &w, const Instruction &i);
void vote_any(Warp &w, const Instruction &i);
void vote_all(Warp &w, const Instruction &i);
void sync_warp(Warp &w, const Instruction &i);

/* cross.cpp: "sync.add.u32", "sync.max.s32" …; NULL: unknown, here and below. */
Step reduce_step(const std::string &name);

/* access.cpp: "u32" …, "add.u64" …. */
Step load_step(const std::string &type);
Step store_step(const std::string &type);
Step atomic_step(const std::string &name);

/* convert.cpp: "rn.f32.s32" …. */
Step convert_step(const std::string &name);

} // namespace ptx

#endif
