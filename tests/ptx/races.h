/*
 * Who used which byte: what of a launch is not in order must not touch the same memory, unless all
 * of it reads, or is atomic. Order is by barriers of a block, and within a warp.
 */
#ifndef HLQ_TEST_PTX_RACES_H
#define HLQ_TEST_PTX_RACES_H

#include <cstddef>
#include <cstdint>

namespace ptx {

enum class Use : uint8_t { read, write, atomic };

/*
 * A use, in one word: by which warp of which launch, and how many barriers its block had passed.
 *
 *     launch 23 | atomic 1 | block 20 | warp 6 | phase 14
 */
using Stamp = uint64_t;

Stamp stamp_of(uint32_t launch, uint32_t block, uint32_t warp, uint32_t phase);

/* Of one byte, the last uses of each kind. */
struct Marks {
    Stamp written, read;
};

/* Notes a use of `bytes` bytes. Returns false if it is not in order with an earlier one. */
bool note_use(Marks *marks, size_t bytes, Use use, Stamp now);

} // namespace ptx

#endif
