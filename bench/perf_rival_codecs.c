/*
 * The formats of perf_rivals.h, written as plain loops over 256 numbers that a compiler turns into
 * vector instructions. Rounding is to nearest even throughout.
 */
#include "perf_rivals.h"

#include <float.h>
#include <math.h>
#include <string.h>

/*
 * The library picks kernels for the processor it runs on; so may its rivals. (Sanitizers cannot
 * follow the indirect functions that this makes.)
 */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) &&       \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RIVAL_KERNEL __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define RIVAL_KERNEL
#endif

enum { N = RIVAL_UNIT_ELEMS };

static const uint32_t sign_bit = 0x80000000u, infinity_bits = 0x7f800000u;

static inline uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* a where `first`, else b. Masks, since a choice between float operations is not vectorized. */
static inline uint32_t select_bits(int first, uint32_t a, uint32_t b)
{
    uint32_t mask = 0u - (uint32_t)first;
    return (a & mask) | (b & ~mask);
}

/* The largest |x| of n numbers, as bits: infinity_bits or more if one is not finite. */
static inline uint32_t largest_bits(const float *x, int n)
{
    uint32_t largest = 0;
    for (int i = 0; i < n; i++) {
        uint32_t magnitude = bits_of(x[i]) & ~sign_bit;
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

/* bf16: the upper half of a float32. 2 bytes each: 16 bits per number. */

RIVAL_KERNEL static void bf16_encode(const float *restrict x, uint8_t *restrict code)
{
    uint16_t half[N];
    for (int i = 0; i < N; i++) {
        uint32_t bits = bits_of(x[i]);
        uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        uint32_t nan = bits >> 16 | 0x40;
        half[i] = (uint16_t)((bits & ~sign_bit) > infinity_bits ? nan : rounded);
    }
    memcpy(code, half, sizeof half);
}

RIVAL_KERNEL static void bf16_decode(const uint8_t *restrict code, float *restrict x)
{
    uint16_t half[N];
    memcpy(half, code, sizeof half);
    for (int i = 0; i < N; i++) x[i] = float_of((uint32_t)half[i] << 16);
}

/*
 * fp8: a float32 scale, largest/448, then e4m3 codes (sign, 4 bits of exponent with bias 7, 3 of
 * mantissa; 448 is the largest, 2^-9 the smallest): 8.125 bits per number.
 */

enum { FP8_SCALE_BYTES = 4 };

RIVAL_KERNEL static void fp8_encode(const float *restrict x, uint8_t *restrict code)
{
    const float least_normal = 0x1p-6f;
    const float shifter = 0x1p14f; /* its last bit is worth 2^-9 */
    uint32_t largest = largest_bits(x, N);
    int finite = largest < infinity_bits;
    float scale = finite ? float_of(largest) / 448.0f : NAN;
    if (scale < FLT_MIN) scale = 0.0f;
    float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    memcpy(code, &scale, FP8_SCALE_BYTES);
    for (int i = 0; i < N; i++) {
        float v = x[i] * inverse;
        uint32_t sign = (bits_of(v) & sign_bit) >> 24;
        uint32_t magnitude = bits_of(v) & ~sign_bit;
        uint32_t normal = ((magnitude + 0x7ffff + (magnitude >> 20 & 1)) >> 20) - (120u << 3);
        uint32_t subnormal = bits_of(float_of(magnitude) + shifter) - bits_of(shifter);
        uint32_t q = select_bits(magnitude < bits_of(least_normal), subnormal, normal);
        code[FP8_SCALE_BYTES + i] = (uint8_t)(sign | (q < 0x7e ? q : 0x7e));
    }
}

RIVAL_KERNEL static void fp8_decode(const uint8_t *restrict code, float *restrict x)
{
    float scale;
    memcpy(&scale, code, FP8_SCALE_BYTES);
    for (int i = 0; i < N; i++) {
        uint32_t byte = code[FP8_SCALE_BYTES + i];
        uint32_t q = byte & 0x7f;
        uint32_t normal = (q << 20) + (120u << 23);
        uint32_t subnormal = bits_of((float)(int32_t)q * 0x1p-9f);
        x[i] = float_of(select_bits(q < 8, subnormal, normal) | (byte & 0x80) << 24) * scale;
    }
}

/*
 * int4, QuickReduce's Q4: of every 32 numbers a float16 scale such that the largest is -8, then
 * integers -8 … 7 stored plus 8, number i beside number i+16 in a byte: 4.5 bits per number.
 */

enum { INT4_GROUP = 32, INT4_GROUP_BYTES = 2 + INT4_GROUP / 2, INT4_GROUPS = N / INT4_GROUP };

static const uint16_t float16_nan = 0x7e00, float16_largest = 0x7bff;

/* To nearest even; beyond the largest, the largest. x is not NaN. */
static inline uint16_t float16_from_float(float x)
{
    uint32_t sign = (bits_of(x) & sign_bit) >> 16;
    uint32_t magnitude = bits_of(x) & ~sign_bit;
    uint32_t half;
    if (magnitude < bits_of(0x1p-14f)) /* subnormal: the last bit of 2^-1 is worth 2^-24 */
        half = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
    else half = ((magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13) - (112u << 10);
    return (uint16_t)(sign | (half < float16_largest ? half : float16_largest));
}

static inline float float_from_float16(uint16_t half)
{
    uint32_t q = half & 0x7fff;
    float magnitude = q < 0x400 ? (float)q * 0x1p-24f : float_of((q << 13) + (112u << 23));
    if (q > 0x7c00) magnitude = NAN;
    return half & 0x8000 ? -magnitude : magnitude;
}

/* Integers in the order of the floats they stand for; its own inverse. */
static inline int32_t ordered_bits(uint32_t bits)
{
    return (int32_t)(bits ^ ((0u - (bits >> 31)) & ~sign_bit));
}

static inline uint16_t int4_scale(const float *x)
{
    if (largest_bits(x, INT4_GROUP) >= infinity_bits) return float16_nan;
    int32_t least = 0, most = 0;
    for (int i = 0; i < INT4_GROUP; i++) {
        int32_t key = ordered_bits(bits_of(x[i]));
        least = key < least ? key : least;
        most = key > most ? key : most;
    }
    float negative = float_of((uint32_t)ordered_bits((uint32_t)least));
    float positive = float_of((uint32_t)ordered_bits((uint32_t)most));
    return float16_from_float((positive > -negative ? positive : negative) / -8.0f);
}

RIVAL_KERNEL static void int4_encode(const float *restrict x, uint8_t *restrict code)
{
    const float shifter = 0x1.8p23f; /* its last bit is worth 1 */
    for (int g = 0; g < INT4_GROUPS; g++, x += INT4_GROUP, code += INT4_GROUP_BYTES) {
        uint16_t scale16 = int4_scale(x);
        float scale = float_from_float16(scale16);
        float inverse = scale < 0.0f || scale > 0.0f ? 1.0f / scale : 0.0f;
        int32_t q[INT4_GROUP];
        for (int i = 0; i < INT4_GROUP; i++) {
            int32_t rounded = (int32_t)(bits_of(x[i] * inverse + shifter) - bits_of(shifter));
            rounded = rounded < -8 ? -8 : rounded;
            q[i] = (rounded > 7 ? 7 : rounded) + 8;
        }
        memcpy(code, &scale16, sizeof scale16);
        for (int i = 0; i < INT4_GROUP / 2; i++)
            code[2 + i] = (uint8_t)(q[i] | q[i + INT4_GROUP / 2] << 4);
    }
}

RIVAL_KERNEL static void int4_decode(const uint8_t *restrict code, float *restrict x)
{
    for (int g = 0; g < INT4_GROUPS; g++, x += INT4_GROUP, code += INT4_GROUP_BYTES) {
        uint16_t scale16;
        memcpy(&scale16, code, sizeof scale16);
        float scale = float_from_float16(scale16);
        for (int i = 0; i < INT4_GROUP / 2; i++) {
            x[i] = (float)((code[2 + i] & 15) - 8) * scale;
            x[i + INT4_GROUP / 2] = (float)((code[2 + i] >> 4) - 8) * scale;
        }
    }
}

static const rival_codec codecs[] = {
    {"bf16", 2 * N, bf16_encode, bf16_decode},
    {"fp8", FP8_SCALE_BYTES + N, fp8_encode, fp8_decode},
    {"int4", INT4_GROUPS * INT4_GROUP_BYTES, int4_encode, int4_decode},
};

const rival_codec *rival_codec_at(int i)
{
    return i < (int)(sizeof codecs / sizeof *codecs) ? &codecs[i] : NULL;
}
