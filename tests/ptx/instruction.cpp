/*
 * From a statement to an instruction: which step does it, and where its operands lie.
 */
#include "parse.h"

#include <cstdlib>
#include <cstring>
#include <set>

namespace ptx {

Place Builder::constant(uint32_t bytes, uint64_t value)
{
    if (bytes && bytes < 8) value &= (UINT64_C(1) << (8 * bytes)) - 1;
    const auto key = std::make_pair(bytes, value);
    const auto found = constants.find(key);
    if (found != constants.end()) return found->second;
    return constants[key] = room(bytes);
}

static bool is_number(const std::string &text)
{
    return !text.empty() && (std::isdigit(text[0]) || (text[0] == '-' && text.size() > 1));
}

/* Integers, 0f3F800000, 0d3FF0000000000000. */
static uint64_t number(const std::string &text)
{
    if (text.rfind("0f", 0) == 0 || text.rfind("0F", 0) == 0 || text.rfind("0d", 0) == 0 ||
        text.rfind("0D", 0) == 0) {
        return std::strtoull(text.c_str() + 2, nullptr, 16);
    }
    if (text[0] == '-') return static_cast<uint64_t>(std::strtoll(text.c_str(), nullptr, 0));
    return std::strtoull(text.c_str(), nullptr, 0);
}

/* Grids have one dimension. */
static int special_of(const std::string &text)
{
    static const std::map<std::string, int> specials = {
        {"%tid.x", TID_X},       {"%laneid", LANE}, {"%ctaid.x", CTAID_X}, {"%ntid.x", NTID_X},
        {"%nctaid.x", NCTAID_X}, {"%tid.y", ZERO},  {"%tid.z", ZERO},      {"%ctaid.y", ZERO},
        {"%ctaid.z", ZERO},      {"%ntid.y", ONE},  {"%ntid.z", ONE},      {"%nctaid.y", ONE},
        {"%nctaid.z", ONE},
    };
    const auto found = specials.find(text);
    return found == specials.end() ? -1 : found->second;
}

Place Builder::operand(const std::string &text, uint32_t bytes)
{
    const auto found = registers.find(text);
    if (found != registers.end()) return found->second;
    const int special = special_of(text);
    if (special >= 0) return kernel->special[special];
    if (is_number(text)) {
        if (!bytes) return constant(0, number(text) ? ALL_LANES : 0);
        return constant(bytes, number(text));
    }
    throw Fault(kernel->name + ": what is " + text + "?");
}

Place Builder::exactly(const std::string &text, uint32_t bytes)
{
    const Place place = operand(text, bytes);
    if (place.bytes != bytes) {
        throw Fault(kernel->name + ": " + text + " is not " + std::to_string(bytes) +
                    " bytes wide");
    }
    return place;
}

/* "[%rd1+16]", "[name+8]", "[name]". */
void Builder::address(const std::string &text, Instruction *i, int at)
{
    std::string base = trimmed(text.substr(1, text.size() - 2));
    const size_t plus = base.find('+');
    i->offset = 0;
    if (plus != std::string::npos) {
        i->offset = std::strtoll(base.c_str() + plus + 1, nullptr, 0);
        base = trimmed(base.substr(0, plus));
    }
    if (parameters.count(base)) {
        i->operand[at] = kernel->parameter_base;
        i->offset += static_cast<int64_t>(parameters[base]);
    } else if (shared.count(base)) {
        i->operand[at] = constant(4, shared[base]);
    } else if (local.count(base)) {
        i->operand[at] = constant(8, local[base]);
    } else if (globals->count(base)) {
        i->operand[at] = constant(8, reinterpret_cast<uint64_t>(globals->at(base)));
    } else {
        i->operand[at] = operand(base, 8);
    }
}

/* Kinds of instructions ----------------------------------------------------------------------- */

static std::string joined(const std::vector<std::string> &parts, size_t first)
{
    std::string text;
    for (size_t n = first; n < parts.size(); n++) text += (n > first ? "." : "") + parts[n];
    return text;
}

/* Of "%r1" or "{%r1, %r2}". */
static std::vector<std::string> elements(const std::string &text)
{
    if (text[0] != '{') return {text};
    return split(text.substr(1, text.size() - 2), ',');
}

/* "@%p1 bra $L1", "bra.uni $L1", "ret", "bar.sync 0", "bar.warp.sync m". */
void Builder::control(const std::vector<std::string> &name, const std::string &rest, Instruction *i)
{
    if (name[0] == "bra") {
        i->step = i->operand[0].at ? branch_if : branch;
        jumps.emplace_back(kernel->code.size(), rest);
    } else if (name[0] == "ret" || name[0] == "exit") {
        i->step = leave;
    } else if (joined(name, 0) == "bar.warp.sync") {
        i->step = sync_warp;
        i->operand[0] = exactly(rest, 4);
    } else if (joined(name, 0) == "bar.sync" && rest == "0") {
        i->step = barrier;
    }
}

/* ld, st, atom, red, with words of order and of caches, which mean nothing here. */
void Builder::memory(const std::vector<std::string> &name, const std::vector<std::string> &operands,
                     Instruction *i)
{
    static const std::map<std::string, Space> spaces = {{"global", Space::global},
                                                        {"shared", Space::shared},
                                                        {"local", Space::local},
                                                        {"param", Space::param}};
    static const std::set<std::string> ignored = {
        "nc", "volatile", "relaxed", "acquire", "release", "acq_rel", "gpu", "cta", "sys"};
    std::string rest;
    i->count = 1;
    for (size_t n = 1; n < name.size(); n++) {
        if (name[n] == "v2" || name[n] == "v4") i->count = name[n] == "v2" ? 2 : 4;
        else if (spaces.count(name[n])) i->space = spaces.at(name[n]);
        else if (!ignored.count(name[n])) rest += (rest.empty() ? "" : ".") + name[n];
    }
    i->step = name[0] == "ld"   ? load_step(rest)
              : name[0] == "st" ? store_step(rest)
                                : atomic_step(rest);
    if (!i->step) return;
    if (name[0] == "ld") {
        const std::vector<std::string> to = elements(operands[0]);
        for (size_t n = 0; n < to.size(); n++) i->operand[n] = operand(to[n], 8);
        address(operands[1], i, i->count);
    } else if (name[0] == "st") {
        const std::vector<std::string> from = elements(operands[1]);
        const auto bytes = static_cast<uint32_t>(bytes_of_type(rest));
        address(operands[0], i, 0);
        for (size_t n = 0; n < from.size(); n++) i->operand[1 + n] = operand(from[n], bytes);
    } else {
        const size_t first = name[0] == "atom" ? 1 : 0;
        const auto bytes = static_cast<uint32_t>(bytes_of_type(name.back()));
        if (first && operands[0] != "_") i->operand[0] = exactly(operands[0], bytes);
        address(operands[first], i, 1);
        for (size_t n = first + 1; n < operands.size(); n++) {
            i->operand[1 + n - first] = exactly(operands[n], bytes);
        }
    }
}

/* shfl.sync, vote.sync, redux.sync. */
void Builder::crossing(const std::vector<std::string> &name,
                       const std::vector<std::string> &operands, Instruction *i)
{
    static const Steps steps = {
        {"shfl.sync.bfly.b32", shuffle_xor},  {"shfl.sync.up.b32", shuffle_up},
        {"shfl.sync.down.b32", shuffle_down}, {"shfl.sync.idx.b32", shuffle_from},
        {"vote.sync.ballot.b32", ballot},     {"vote.sync.any.pred", vote_any},
        {"vote.sync.all.pred", vote_all},
    };
    const bool reduces = name[0] == "redux";
    i->step = reduces ? reduce_step(joined(name, 1)) : step_in(steps, joined(name, 0));
    if (!i->step) return;
    if (name[0] == "shfl") {
        const std::vector<std::string> to = split(operands[0], '|');
        i->operand[0] = exactly(to[0], 4);
        if (to.size() > 1) i->operand[1] = exactly(to[1], 0);
        for (size_t n = 1; n < operands.size(); n++) i->operand[1 + n] = exactly(operands[n], 4);
        return;
    }
    const uint32_t predicate = 0;
    i->operand[0] = exactly(operands[0], name.back() == "pred" ? predicate : 4);
    i->operand[1] = exactly(operands[1], reduces ? 4 : predicate);
    i->operand[2] = exactly(operands[2], 4);
}

/* A cast between spaces is none here: global addresses are the host's. That of a lane's own memory
   is made, but nvcc uses the one before the cast; the other would not be found. */
void Builder::conversion(const std::vector<std::string> &name,
                         const std::vector<std::string> &operands, Instruction *i)
{
    if (name[0] == "cvta") {
        const std::string from = joined(name, 1);
        if (from == "to.global.u64" || from == "global.u64" || from == "local.u64") {
            move("b64", operands, i);
        }
        return;
    }
    i->step = convert_step(joined(name, 1));
    if (!i->step) return;
    i->operand[0] = operand(operands[0], 0);
    i->operand[1] = operand(operands[1], static_cast<uint32_t>(bytes_of_type(name.back())));
}

/* d = {a0, a1}, or {d0, d1} = a: the first is the low part. */
static void pack(Warp &w, const Instruction &i)
{
    const Place whole = i.operand[0];
    each_lane(w, [&](unsigned k) {
        for (int n = 1; n <= i.count; n++) {
            const Place part = i.operand[n];
            std::memcpy(w.file + whole.at + k * whole.bytes +
                            static_cast<uint32_t>(n - 1) * part.bytes,
                        w.file + part.at + k * part.bytes, part.bytes);
        }
    });
}

static void unpack(Warp &w, const Instruction &i)
{
    const Place whole = i.operand[0];
    each_lane(w, [&](unsigned k) {
        for (int n = 1; n <= i.count; n++) {
            const Place part = i.operand[n];
            std::memcpy(w.file + part.at + k * part.bytes,
                        w.file + whole.at + k * whole.bytes +
                            static_cast<uint32_t>(n - 1) * part.bytes,
                        part.bytes);
        }
    });
}

void Builder::move(const std::string &type, const std::vector<std::string> &operands,
                   Instruction *i)
{
    const bool packs = operands[1][0] == '{', unpacks = operands[0][0] == '{';
    if (packs || unpacks) {
        const std::vector<std::string> parts = elements(operands[packs ? 1 : 0]);
        const auto whole = static_cast<uint32_t>(bytes_of_type(type));
        i->step = packs ? pack : unpack;
        i->count = static_cast<uint8_t>(parts.size());
        i->operand[0] = exactly(operands[packs ? 0 : 1], whole);
        for (size_t n = 0; n < parts.size(); n++) {
            i->operand[1 + n] = exactly(parts[n], whole / static_cast<uint32_t>(parts.size()));
        }
        return;
    }
    const auto bytes = static_cast<uint32_t>(type == "pred" ? 0 : bytes_of_type(type));
    i->operand[0] = exactly(operands[0], bytes);
    i->step = arithmetic_step("mov." + type);
    if (parameters.count(operands[1])) {
        i->step = arithmetic_step("add.u64");
        i->operand[1] = kernel->parameter_base;
        i->operand[2] = constant(8, parameters[operands[1]]);
    } else if (shared.count(operands[1]) && bytes == 4) {
        i->operand[1] = constant(4, shared[operands[1]]);
    } else if (local.count(operands[1])) {
        i->operand[1] = constant(8, local[operands[1]]);
    } else if (globals->count(operands[1])) {
        i->operand[1] = constant(8, reinterpret_cast<uint64_t>(globals->at(operands[1])));
    } else {
        i->operand[1] = exactly(operands[1], bytes);
    }
}

void Builder::arithmetic(const std::vector<std::string> &name,
                         const std::vector<std::string> &operands, Instruction *i)
{
    i->step = arithmetic_step(joined(name, 0));
    if (!i->step) return;
    const std::string &type = name.back(), &base = name[0];
    const auto bytes = static_cast<uint32_t>(type == "pred" ? 0 : bytes_of_type(type));
    const bool is_wide = name[1] == "wide";
    for (size_t n = 0; n < operands.size() && n < OPERANDS_MAX; n++) {
        uint32_t width = bytes;
        if (is_wide && (n == 0 || n == 3)) width = 2 * bytes;
        if (base == "setp" && n == 0) width = 0;
        if (base == "selp" && n == 3) width = 0;
        if ((base == "shl" || base == "shr" || base == "bfe") && n >= 2) width = 4;
        if (base == "bfi" && n >= 3) width = 4;
        i->operand[n] = exactly(operands[n], width);
    }
}

Instruction Builder::instruction(const std::string &text)
{
    Instruction i = {};
    std::string rest = text;
    i.line = static_cast<uint32_t>(kernel->text.size() - 1);
    const size_t guard = rest[0] == '@' ? rest.find_first_of(" \t") : 0;
    if (guard) {
        i.negated = rest[1] == '!';
        i.operand[0] = exactly(rest.substr(i.negated ? 2 : 1, guard - (i.negated ? 2 : 1)), 0);
        rest = trimmed(rest.substr(guard));
    }
    const size_t end = rest.find_first_of(" \t");
    const std::vector<std::string> name = split(rest.substr(0, end), '.');
    rest = end == std::string::npos ? "" : trimmed(rest.substr(end));
    const std::vector<std::string> operands = split(rest, ',');
    const std::string &base = name[0];
    if (base == "bra" || (!guard && (base == "ret" || base == "exit" || base == "bar"))) {
        control(name, rest, &i);
    } else if (guard) {
        /* nvcc gives predicates to branches only */
    } else if (base == "ld" || base == "st" || base == "atom" || base == "red") {
        memory(name, operands, &i);
    } else if (base == "shfl" || base == "vote" || base == "redux") {
        crossing(name, operands, &i);
    } else if (base == "cvt" || base == "cvta") {
        conversion(name, operands, &i);
    } else if (base == "mov") {
        move(name.back(), operands, &i);
    } else {
        arithmetic(name, operands, &i);
    }
    if (!i.step) throw Fault(kernel->name + ": this machine does not know\n    " + text);
    return i;
}

} // namespace ptx
