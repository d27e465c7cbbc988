/*
 * Instructions that do in each active lane what the others do: shapes of operands, for any
 * operation on them. Operands are the destination, then the sources.
 */
#ifndef HLQ_TEST_PTX_LANEWISE_H
#define HLQ_TEST_PTX_LANEWISE_H

#include "warp.h"

#include <functional>

namespace ptx {

template <typename T, typename Op> void unary(Warp &w, const Instruction &i)
{
    T *d = w.lanes<T>(i.operand[0]);
    const T *a = w.lanes<T>(i.operand[1]);
    each_lane(w, [&](unsigned k) { d[k] = Op()(a[k]); });
}

template <typename T, typename Op> void binary(Warp &w, const Instruction &i)
{
    T *d = w.lanes<T>(i.operand[0]);
    const T *a = w.lanes<T>(i.operand[1]), *b = w.lanes<T>(i.operand[2]);
    each_lane(w, [&](unsigned k) { d[k] = Op()(a[k], b[k]); });
}

template <typename T, typename Op> void ternary(Warp &w, const Instruction &i)
{
    T *d = w.lanes<T>(i.operand[0]);
    const T *a = w.lanes<T>(i.operand[1]), *b = w.lanes<T>(i.operand[2]);
    const T *c = w.lanes<T>(i.operand[3]);
    each_lane(w, [&](unsigned k) { d[k] = Op()(a[k], b[k], c[k]); });
}

template <typename T> void select(Warp &w, const Instruction &i)
{
    T *d = w.lanes<T>(i.operand[0]);
    const T *a = w.lanes<T>(i.operand[1]), *b = w.lanes<T>(i.operand[2]);
    const uint32_t p = w.predicate(i.operand[3]);
    each_lane(w, [&](unsigned k) { d[k] = p >> k & 1 ? a[k] : b[k]; });
}

template <typename T, typename Op> void compare(Warp &w, const Instruction &i)
{
    const T *a = w.lanes<T>(i.operand[1]), *b = w.lanes<T>(i.operand[2]);
    uint32_t p = 0;
    for (unsigned k = 0; k < LANES; k++) p |= static_cast<uint32_t>(Op()(a[k], b[k])) << k;
    w.set_predicate(i.operand[0], p);
}

struct Same {
    template <typename T> T operator()(T a) const { return a; }
};
template <typename T> void add_comparisons(Steps &steps, const std::string &type)
{
    steps["setp.eq" + type] = compare<T, std::equal_to<T>>;
    steps["setp.ne" + type] = compare<T, std::not_equal_to<T>>;
    steps["setp.lt" + type] = compare<T, std::less<T>>;
    steps["setp.le" + type] = compare<T, std::less_equal<T>>;
    steps["setp.gt" + type] = compare<T, std::greater<T>>;
    steps["setp.ge" + type] = compare<T, std::greater_equal<T>>;
}

/* floats.cpp */
void add_all_floats(Steps &steps);

} // namespace ptx

#endif
