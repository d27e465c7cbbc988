/*
 * A machine for PTX, the code that nvcc gives: what a GPU's kernels do as compiled, without a GPU.
 *
 *     fat binary ─ fatbin.cpp ─▶ text ─ parse.cpp ─▶ module: kernels, each a list of instructions
 *     launch ─ grid.cpp ─▶ blocks, one after the other ─▶ warps, in turn from barrier to barrier
 *     warp.cpp ─▶ each instruction for all lanes that are active ─▶ alu.cpp, floats.cpp …
 *
 * What a GPU leaves undefined, or would not survive, ends a launch with a sentence: an address
 * outside of what is allocated, or not aligned; lanes that miss at an instruction for all of them;
 * a shuffle from a lane that takes no part; uses of the same memory that no barrier puts in order;
 * an instruction that this machine does not know.
 */
#ifndef HLQ_TEST_PTX_MACHINE_H
#define HLQ_TEST_PTX_MACHINE_H

#include "races.h"

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace ptx {

enum { LANES = 32, OPERANDS_MAX = 8 };
constexpr uint32_t ALL_LANES = UINT32_MAX;

struct Warp;
struct Instruction;
using Step = void (*)(Warp &, const Instruction &);

/* An error of a launch. */
struct Fault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/*
 * Where an operand lies in a warp's register file: `bytes` for each lane, one lane after the other.
 * A predicate is one word, a bit for each lane (bytes is 0). Constants have places, too. Nothing
 * lies at 0: such an operand is missing.
 */
struct Place {
    uint32_t at, bytes;
};

enum class Space : uint8_t { generic, global, shared, local, param };

struct Instruction {
    Step step;
    Place operand[OPERANDS_MAX]; /* destinations first, then sources */
    int64_t offset; /* of an address; where a branch goes, as an instruction's number */
    uint32_t line;  /* of the text */
    uint8_t count;  /* of a vector's elements */
    Space space;
    bool negated; /* predicate of a branch */
};

struct Parameter {
    size_t at, bytes;
};

/* Registers that the machine sets. Grids have one dimension: y and z are 0 of 1. */
enum Special { TID_X, LANE, CTAID_X, NTID_X, NCTAID_X, ONE, ZERO, SPECIALS };

struct Kernel {
    std::string name;
    std::vector<Parameter> parameters;
    size_t parameter_bytes = 0, threads_max = 1024;
    size_t shared_bytes = 0, local_bytes = 0; /* of a block, of a lane */
    std::vector<Instruction> code;
    std::vector<uint8_t> file; /* a register file at the start */
    size_t constants_at = 0;   /* from here on there are constants; before, only registers */
    Place special[SPECIALS] = {}, parameter_base = {}; /* parameters' address, in 64 bits */
    std::vector<std::string> text;                     /* its lines, for sentences */
};

/* A kernel's text, not yet read. */
struct Source {
    std::string head, body;
    const std::map<std::string, void *> *globals;
};

/* All kernels of a text by name; memory of its variables lives as long as the program. */
std::map<std::string, Source> split_module(const std::string &text);
Kernel parse_kernel(const std::string &name, const Source &source);

/* The step for an instruction such as "add.s32"; NULL: unknown. */
Step arithmetic_step(const std::string &name);

/* Memory that kernels may use, and whose it is ------------------------------------------------ */

enum class Owner : uint8_t { device, host };
struct Allocation {
    uint8_t *base;
    size_t bytes;
    Owner owner;
    Marks *marks; /* of each byte */
};

void *allocate(size_t bytes, Owner owner);
bool release(void *p, Owner owner);
/* What [p, p + bytes) lies in; base is NULL if in nothing. */
Allocation find(const void *p, size_t bytes);

/* Runs a grid, one at a time. Throws Fault. */
void run_grid(const Kernel &kernel, unsigned blocks, unsigned threads, const void *parameters);

} // namespace ptx

#endif
