#include "races.h"

namespace ptx {

namespace {

constexpr Stamp field(int bits, int at) { return ((UINT64_C(1) << bits) - 1) << at; }
constexpr Stamp LAUNCH = field(23, 41), ATOMIC = field(1, 40), BLOCK = field(20, 20),
                WARP = field(6, 14), PHASE = field(14, 0);

/* All bits of a block or a warp: several, so that none is the same. */
bool in_order(Stamp earlier, Stamp now)
{
    const Stamp differs = earlier ^ now;
    if (differs & LAUNCH) return true;
    if ((differs & BLOCK) || (earlier & BLOCK) == BLOCK) return false;
    return (differs & PHASE) || (!(differs & WARP) && (earlier & WARP) != WARP);
}

/* One stamp for both. */
Stamp merged(Stamp earlier, Stamp now)
{
    const Stamp differs = earlier ^ now;
    if (differs & LAUNCH) return now;
    if (differs & BLOCK) return now | BLOCK;
    return !(differs & PHASE) && (differs & WARP) ? now | WARP : now;
}

} // namespace

/* The last block and warp that there can be are those that stand for several. */
Stamp stamp_of(uint32_t launch, uint32_t block, uint32_t warp, uint32_t phase)
{
    return (static_cast<Stamp>(launch) << 41 & LAUNCH) | (static_cast<Stamp>(block) << 20 & BLOCK) |
           (static_cast<Stamp>(warp) << 14 & WARP) | (phase & PHASE);
}

bool note_use(Marks *marks, size_t bytes, Use use, Stamp now)
{
    if (use == Use::atomic) now |= ATOMIC;
    for (Marks *m = marks; m < marks + bytes; m++) {
        if ((use == Use::read ? m->read : m->written) == now) continue; /* as noted before */
        const bool both_atomic = (m->written & now & ATOMIC) != 0;
        if (!both_atomic && !in_order(m->written, now)) return false;
        if (use == Use::read) {
            m->read = merged(m->read, now);
            continue;
        }
        if (!in_order(m->read, now)) return false;
        m->written = both_atomic ? merged(m->written, now) : now;
    }
    return true;
}

} // namespace ptx
