/*
 * How lanes of a warp part and come together again.
 */
#include "warp.h"

namespace ptx {

Warp::Warp(Block *of, unsigned number, uint8_t *registers)
    : block(of), index(number), file(registers), local(LANES * of->kernel->local_bytes, 0xa5), pc(),
      waiting(0), active(0), at(0), next(0), others(0), at_barrier(false), was_woken(false),
      used_last(), stamp(0)
{
    const Kernel &kernel = *of->kernel;
    const unsigned first = number * LANES, left = of->threads - first;
    alive = left >= LANES ? ALL_LANES : (1u << left) - 1;
    for (unsigned lane = 0; lane < LANES; lane++) {
        const uint32_t value[SPECIALS] = {first + lane, lane, of->index, of->threads,
                                          of->blocks,   1,    0};
        for (int s = 0; s < SPECIALS; s++) lanes<uint32_t>(kernel.special[s])[lane] = value[s];
        lanes<uint64_t>(kernel.parameter_base)[lane] = reinterpret_cast<uint64_t>(of->parameters);
    }
}

void Warp::fault(const Instruction &i, unsigned lane, const std::string &what) const
{
    throw Fault(block->kernel->name + ", block " + std::to_string(block->index) + ", thread " +
                std::to_string(index * LANES + lane) + ": " + what + ", in\n    " +
                block->kernel->text[i.line]);
}

/* Lanes at the lowest instruction become active. */
static bool choose_lanes(Warp *w)
{
    const uint32_t able = w->alive & ~w->waiting;
    uint32_t lowest = UINT32_MAX;
    w->active = 0;
    w->others = UINT32_MAX;
    for (uint32_t left = able; left; left &= left - 1) {
        const uint32_t at = w->pc[__builtin_ctz(left)];
        if (at < lowest) lowest = at;
    }
    for (uint32_t left = able; left; left &= left - 1) {
        const uint32_t lane = static_cast<uint32_t>(__builtin_ctz(left)), at = w->pc[lane];
        if (at == lowest) w->active |= 1u << lane;
        else if (at < w->others) w->others = at;
    }
    w->next = lowest;
    return able != 0;
}

/* Active lanes will go on at `pc`, when they are chosen. */
static void park(Warp *w, uint32_t pc)
{
    each_lane(*w, [&](unsigned lane) { w->pc[lane] = pc; });
    w->active = 0;
}

/* Lanes that wait, and for which nobody else can come any more, had to be here together. */
[[noreturn]] static void miss_each_other(const Warp &w)
{
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(w.waiting));
    w.fault(w.block->kernel->code[w.pc[lane]], lane,
            "waits for lanes that are not to come (they returned, or wait elsewhere)");
}

/* Longer than any kernel of a test takes: it hangs. */
static const uint64_t instructions_max = 1ull << 32;

void Warp::run()
{
    const std::vector<Instruction> &code = block->kernel->code;
    uint64_t done = 0;
    at_barrier = false;
    stamp = stamp_of(block->launch, block->index, index, block->phase);
    while (alive && !at_barrier) {
        if (!choose_lanes(this)) {
            if (was_woken) miss_each_other(*this);
            was_woken = true; /* some may have returned: a barrier does not wait for these */
            waiting = 0;
            continue;
        }
        while (active && next < others) {
            at = next++;
            code[at].step(*this, code[at]);
            if (++done == instructions_max) fault(code[at], 0, "does not end");
        }
        park(this, next);
    }
}

bool Warp::all_here(uint32_t mask, const Instruction &i)
{
    if ((mask & active) != active) {
        fault(i, static_cast<unsigned>(__builtin_ctz(active & ~mask)), "is not in its own mask");
    }
    uint32_t here = active;
    for (uint32_t left = waiting; left; left &= left - 1) {
        const uint32_t lane = static_cast<uint32_t>(__builtin_ctz(left));
        if (pc[lane] == at) here |= mask & 1u << lane;
    }
    if (here == mask) {
        waiting &= ~here;
        active = here;
        was_woken = false;
        return true;
    }
    waiting |= active;
    park(this, at);
    return false;
}

/* Branches ------------------------------------------------------------------------------------ */

void branch(Warp &w, const Instruction &i) { w.next = static_cast<uint32_t>(i.offset); }

void branch_if(Warp &w, const Instruction &i)
{
    uint32_t taken = w.predicate(i.operand[0]);
    if (i.negated) taken = ~taken;
    taken &= w.active;
    if (!taken) return;
    if (taken == w.active) {
        w.next = static_cast<uint32_t>(i.offset);
        return;
    }
    each_lane(w, [&](unsigned lane) {
        w.pc[lane] = taken >> lane & 1 ? static_cast<uint32_t>(i.offset) : w.next;
    });
    w.active = 0; /* run() chooses anew */
}

void leave(Warp &w, const Instruction &)
{
    w.alive &= ~w.active;
    w.active = 0;
}

void barrier(Warp &w, const Instruction &i)
{
    if (!w.all_here(w.alive, i)) return;
    w.at_barrier = true;
    park(&w, w.next);
}

} // namespace ptx
