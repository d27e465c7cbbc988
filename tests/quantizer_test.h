/*
 * What the tests of the quantizer share: quantizers of a code of hnlq_model.h, digits in guarded
 * memory, and checks that a call was refused with a sentence that says why.
 */
#ifndef HLQ_TEST_QUANTIZER_TEST_H
#define HLQ_TEST_QUANTIZER_TEST_H

#include "hnlq_model.h"

/* Codes ---------------------------------------------------------------------------------------- */

/* Codes up to q = 8 and M = 4 on all lattices, a few more, and digits of two bytes. */
static const int bases[] = {2, 3, 4, 5, 7, 8};
enum { BASES = sizeof bases / sizeof *bases };

typedef void code_test(const hnlq_code *code);

static inline void for_each_code(code_test *test)
{
    static const hnlq_code others[] = {
        {HLQ_LATTICE_D4, 4, 2, 16},   {HLQ_LATTICE_E8, 8, 3, 10},    {HLQ_LATTICE_E8, 8, 16, 4},
        {HLQ_LATTICE_D4, 4, 255, 2},  {HLQ_LATTICE_E8, 8, 256, 2},   {HLQ_LATTICE_Z, 2, 257, 1},
        {HLQ_LATTICE_D4, 4, 4096, 1}, {HLQ_LATTICE_E8, 8, 32768, 1}, {HLQ_LATTICE_E8, 8, 6561, 1},
    };
    for (int l = 0; l < LATTICES; l++) {
        for (int b = 0; b < BASES; b++) {
            for (int depth = 1; depth <= 4; depth++) {
                const hnlq_code code = {lattice_of[l].lattice, lattice_of[l].dim, bases[b], depth};
                test(&code);
            }
        }
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) test(&others[i]);
}

static inline void name_case(const hnlq_code *code, const char *what)
{
    hlq_test_case("%s, dim %d, q %d, depth %d%s%s", hlq_lattice_name(code->lattice), code->dim,
                  code->q, code->depth, *what ? ", " : "", what);
}

/* q^n, or 0 beyond 2^20. */
static inline uint64_t few(int q, int n)
{
    uint64_t count = 1;
    for (int i = 0; i < n; i++) {
        if ((count *= (uint64_t)q) > UINT64_C(1) << 20) return 0;
    }
    return count;
}

/* Quantizers and digits ------------------------------------------------------------------------ */

/* β = 1, no retries, not centred. */
static inline hlq_quantizer_params params_of(const hnlq_code *code)
{
    hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    params.lattice = code->lattice;
    params.dim = code->dim;
    params.q = code->q;
    params.depth = code->depth;
    return params;
}

static inline hlq_quantizer *quantizer_with(const hlq_quantizer_params *params)
{
    hlq_quantizer *quantizer;
    if (hlq_quantizer_create(params, &quantizer) == HLQ_OK) return quantizer;
    fprintf(stderr, "%s: no quantizer: %s\n", test_name, hlq_quantizer_error());
    exit(2);
}

static inline hlq_quantizer *quantizer_of(const hnlq_code *code)
{
    hlq_quantizer_params params = params_of(code);
    return quantizer_with(&params);
}

static inline hlq_quantizer_info info_of(const hlq_quantizer *quantizer)
{
    hlq_quantizer_info info = {.struct_bytes = sizeof info};
    CHECK_EQ(hlq_quantizer_describe(quantizer, &info), HLQ_OK);
    return info;
}

static inline hlq_lut *two_sided_table_of(const hlq_quantizer *quantizer)
{
    hlq_lut *lut;
    if (hlq_lut_build_two_sided(quantizer, &lut) == HLQ_OK) return lut;
    fprintf(stderr, "%s: no table: %s\n", test_name, hlq_quantizer_error());
    exit(2);
}

static inline size_t digit_bytes_of(int q) { return q > 256 ? 2 : 1; }

/* Bytes of one vector's digits. */
static inline size_t digits_bytes(const hnlq_code *code)
{
    return (size_t)(code->depth * code->dim) * digit_bytes_of(code->q);
}

static inline int digit_at(int q, const void *digits, size_t i)
{
    int16_t digit;
    if (q <= 256) return ((const uint8_t *)digits)[i];
    memcpy(&digit, (const char *)digits + 2 * i, sizeof digit);
    return digit;
}

static inline void set_digit(int q, void *digits, size_t i, int digit)
{
    int16_t wide = (int16_t)digit;
    if (q <= 256) ((uint8_t *)digits)[i] = (uint8_t)digit;
    else memcpy((char *)digits + 2 * i, &wide, sizeof wide);
}

static inline void random_digits(hlq_rng *rng, int q, void *digits, size_t count)
{
    for (size_t i = 0; i < count; i++) set_digit(q, digits, i, hlq_rng_between(rng, 0, q - 1));
}

/* One vector's digits for the model. */
static inline hnlq_digits load_digits(const hnlq_code *code, const void *digits, size_t vector)
{
    hnlq_digits d = {{{0}}};
    const char *from = (const char *)digits + vector * digits_bytes(code);
    for (int i = 0; i < code->depth * code->dim; i++) {
        d.digit[i / code->dim][i % code->dim] = digit_at(code->q, from, (size_t)i);
    }
    return d;
}

static inline void hlq_check_refused(hlq_status got, hlq_status want, const char *part,
                                     const char *file, int line, const char *call)
{
    test_checks += 2;
    if (got != want) {
        hlq_test_fail(file, line, "%s gives \"%s\", not \"%s\"", call, hlq_status_string(got),
                      hlq_status_string(want));
    } else if (!strstr(hlq_quantizer_error(), part)) {
        hlq_test_fail(file, line, "%s says \"%s\", without \"%s\"", call, hlq_quantizer_error(),
                      part);
    }
}

/* The call fails with this status, and the sentence on it has this part. */
#define CHECK_REFUSED(call, status, part)                                                          \
    hlq_check_refused(call, status, part, __FILE__, __LINE__, #call)

#endif
