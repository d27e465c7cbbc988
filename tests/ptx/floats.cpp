/*
 * Floats as the PTX ISA reference defines them: the host's, where both round to nearest; but a NaN
 * that fp32 arithmetic gives is 0x7fffffff, and minima and maxima pass over NaN.
 */
#include "lanewise.h"

#include <cmath>
#include <cstring>

namespace ptx {

namespace {

template <typename T> T settled(T x) { return x; }
float settled(float x)
{
    const uint32_t nan = 0x7fffffff;
    if (x != x) std::memcpy(&x, &nan, sizeof x);
    return x;
}

#define ROUNDED(Name, expression)                                                                  \
    struct Name {                                                                                  \
        template <typename T> T operator()(T a, T b) const { return settled(expression); }         \
    };
ROUNDED(Plus, a + b)
ROUNDED(Minus, a - b)
ROUNDED(Times, a *b)
ROUNDED(Over, a / b)
ROUNDED(Least, std::fmin(a, b))
ROUNDED(Most, std::fmax(a, b))
#undef ROUNDED
struct Root {
    template <typename T> T operator()(T a) const { return settled(std::sqrt(a)); }
};
struct Reciprocal {
    template <typename T> T operator()(T a) const { return settled(T(1) / a); }
};
struct Fused {
    template <typename T> T operator()(T a, T b, T c) const { return settled(std::fma(a, b, c)); }
};
struct Magnitude {
    template <typename T> T operator()(T a) const { return std::copysign(a, T(1)); }
};
struct Opposite {
    template <typename T> T operator()(T a) const { return -a; }
};

/* setp.OPu: also true where one is NaN. setp.ne, ordered, is false then, unlike C's. */
template <typename T> void add_float_comparisons(Steps &steps, const std::string &type)
{
    struct Ordered_unequal {
        bool operator()(T a, T b) const { return a < b || a > b; }
    };
#define UNORDERED(Name, op)                                                                        \
    struct Name {                                                                                  \
        bool operator()(T a, T b) const { return !(a op b); }                                      \
    };
    UNORDERED(Not_unequal, <)
    struct Equal_or_not {
        bool operator()(T a, T b) const { return !(a < b || a > b); }
    };
    UNORDERED(Not_at_least, >=)
    UNORDERED(Not_above, >)
    UNORDERED(Not_at_most, <=)
#undef UNORDERED
    struct Unordered {
        bool operator()(T a, T b) const { return std::isunordered(a, b); }
    };
    struct Numbers {
        bool operator()(T a, T b) const { return !std::isunordered(a, b); }
    };
    add_comparisons<T>(steps, type);
    steps["setp.ne" + type] = compare<T, Ordered_unequal>;
    steps["setp.equ" + type] = compare<T, Equal_or_not>;
    steps["setp.neu" + type] = compare<T, std::not_equal_to<T>>;
    steps["setp.ltu" + type] = compare<T, Not_at_least>;
    steps["setp.leu" + type] = compare<T, Not_above>;
    steps["setp.gtu" + type] = compare<T, Not_at_most>;
    steps["setp.geu" + type] = compare<T, Not_unequal>;
    steps["setp.nan" + type] = compare<T, Unordered>;
    steps["setp.num" + type] = compare<T, Numbers>;
}

template <typename T> void add_floats(Steps &steps, const std::string &type)
{
    steps["add.rn" + type] = binary<T, Plus>;
    steps["sub.rn" + type] = binary<T, Minus>;
    steps["mul.rn" + type] = binary<T, Times>;
    steps["div.rn" + type] = binary<T, Over>;
    steps["fma.rn" + type] = ternary<T, Fused>;
    steps["sqrt.rn" + type] = unary<T, Root>;
    steps["rcp.rn" + type] = unary<T, Reciprocal>;
    steps["min" + type] = binary<T, Least>;
    steps["max" + type] = binary<T, Most>;
    steps["abs" + type] = unary<T, Magnitude>;
    steps["neg" + type] = unary<T, Opposite>;
    steps["mov" + type] = unary<T, Same>;
    steps["selp" + type] = select<T>;
    add_float_comparisons<T>(steps, type);
}

} // namespace

void add_all_floats(Steps &steps)
{
    add_floats<float>(steps, ".f32");
    add_floats<double>(steps, ".f64");
}

} // namespace ptx
