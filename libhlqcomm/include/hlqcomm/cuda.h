/*
 * The quantizer on tensors in GPU memory: functions of hlqcomm/quantizer.h as work on a CUDA
 * stream, with the same digits and numbers, bit by bit. Link hlqcomm_cuda beside hlqcomm; built
 * where there is a CUDA toolkit, for GPUs from sm_80 on.
 *
 * Quantizers are those of hlq_quantizer_create(), in memory of the host, and may be destroyed as
 * soon as a call has returned. Arguments are as in quantizer.h, but that
 *
 *  - all other pointers are to memory of the current device (cudaMalloc, managed), aligned to their
 *    elements, digits to 4 bytes. What hlq_dither.z points to is, too; hlq_dither itself is the
 *    host's. Everything stays allocated until the stream has come past the work.
 *  - a call only adds its work to the stream (NULL: the default stream) and returns. It neither
 *    allocates nor waits, and can be captured into a graph. HLQ_OK says that this was possible.
 *    (Only what makes tables and layers, or destroys them, is otherwise.)
 *  - nothing can be refused for what memory holds. What is invalid stays so, visibly, in all
 *    numbers of its vector:
 *
 *      NaN or Inf in x or the dither   encode: overload is 1, the digits mean nothing
 *                                      quantize: overload is 1, the result is NaN
 *      a digit ≥ q (or below 0)        decode: NaN;  to_flat: UINT32_MAX
 *                                      add: overload is 1, all bits of the digits are one
 *                                      add_modq: the digit's bits are all one
 *      T above max_retries             decode: NaN
 *      either, in an inner product     lut_dot, lut_dot_one_sided: NaN
 *      a flat value ≥ q^depth          from_flat: all bits of the digits are one
 *      NaN, or a number beyond ±2^20   nearest: NaN
 *      a word ≥ q^k                    unpack: all bits of its digits are one
 *      NaN or Inf in a row of x        rows_quantize, linear_forward: the row of the result is NaN
 *
 *    Digits with all bits one are invalid in turn, but for q = 256, where no byte is. Packed
 *    digits have no room for what is none: hlq_cuda_digits_pack() counts it.
 *  - `overloads` and `invalid` are counters, to which the work adds: one look after many calls
 *    tells. Set them to 0 before. `invalid` may be NULL; it counts what the host's function would
 *    have refused, as each function says.
 *
 * A function returns HLQ_E_INVALID for arguments that are wrong by themselves (also for memory of
 * the host, or of another device than the current one), HLQ_E_TRANSPORT if CUDA fails; then
 * hlq_quantizer_error() has a sentence. Any number of threads may call.
 *
 * No GPU has run this yet.
 */
#ifndef HLQCOMM_CUDA_H
#define HLQCOMM_CUDA_H

#include <hlqcomm/quantizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* hlq_lattice_nearest(); point == x works. invalid: vectors that became NaN. */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_nearest(hlq_lattice lattice, int dim, const float *x,
                                                 size_t vectors, float *point, uint64_t *invalid,
                                                 hlq_stream stream);

/*
 * hlq_encode(). overload or overloads may be NULL, not both: nobody may overlook them all.
 * invalid: numbers of x that are NaN or Inf.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_encode(const hlq_quantizer *quantizer, const float *x,
                                                size_t vectors, const hlq_dither *dither,
                                                void *digits, uint8_t *retries, uint8_t *overload,
                                                uint64_t *overloads, uint64_t *invalid,
                                                hlq_stream stream);

/* hlq_decode(). invalid: vectors that became NaN for their digits or T. */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_decode(const hlq_quantizer *quantizer, const void *digits,
                                                const uint8_t *retries, size_t vectors,
                                                const hlq_dither *dither, int layers, float *x,
                                                uint64_t *invalid, hlq_stream stream);

/* hlq_quantize(); out == x works. The counters are those of hlq_cuda_encode(). */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_quantize(const hlq_quantizer *quantizer, const float *x,
                                                  size_t vectors, const hlq_dither *dither,
                                                  float *out, uint8_t *overload,
                                                  uint64_t *overloads, uint64_t *invalid,
                                                  hlq_stream stream);

/* hlq_digits_add_modq(); out == a works. invalid: digits that came out with all bits one. */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_digits_add_modq(int q, const void *a, const void *b,
                                                         size_t count, void *out, uint64_t *invalid,
                                                         hlq_stream stream);

/*
 * hlq_digits_add(); out == a works. overload, overloads: as for hlq_cuda_encode(). invalid:
 * vectors of a and of b with invalid digits.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_digits_add(const hlq_quantizer *quantizer, const void *a,
                                                    const void *b, size_t vectors, void *out,
                                                    uint8_t *overload, uint64_t *overloads,
                                                    uint64_t *invalid, hlq_stream stream);

/* hlq_digits_to_flat(), hlq_flat_to_digits(). invalid: vectors with an invalid digit or value. */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_digits_to_flat(const hlq_quantizer *quantizer,
                                                        const void *digits, size_t vectors,
                                                        uint32_t *flat, uint64_t *invalid,
                                                        hlq_stream stream);
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_flat_to_digits(const hlq_quantizer *quantizer,
                                                        const uint32_t *flat, size_t vectors,
                                                        void *digits, uint64_t *invalid,
                                                        hlq_stream stream);

/*
 * hlq_digits_pack(), hlq_digits_unpack(); packed is aligned to 8 bytes, hlq_packed_bytes() long.
 * invalid: words with a digit ≥ q, words ≥ q^k. It must not be NULL for pack: of what was none,
 * nobody would hear, for all words of q = 2, 4, 16 and 256 are words of digits (others get words
 * with all bits one).
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_digits_pack(int q, const void *digits, size_t count,
                                                     void *packed, uint64_t *invalid,
                                                     hlq_stream stream);
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_digits_unpack(int q, const void *packed, size_t count,
                                                       void *digits, uint64_t *invalid,
                                                       hlq_stream stream);

/* Look-up tables ------------------------------------------------------------------------------ */

/*
 * A two-sided table in memory of the current device: a copy of `lut`, which may be destroyed. This
 * call allocates, and waits for the copy on a stream of its own; it cannot be captured. Destroy the
 * table when all work with it has ended and no graph has it any more; NULL is fine. HLQ_E_NOMEM.
 */
typedef struct hlq_cuda_lut hlq_cuda_lut;

HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_lut_create(const hlq_lut *lut, hlq_cuda_lut **cuda_lut);
HLQ_API void hlq_cuda_lut_destroy(hlq_cuda_lut *cuda_lut);

/*
 * hlq_lut_dot() of `batch` products at once, a warp for each: dot [batch], in memory of the device.
 * hlq_code itself is the host's; its digits [batch, vectors, depth, dim] and retries [batch,
 * vectors] are the device's. invalid: products that became NaN for their digits or T.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_lut_dot(const hlq_cuda_lut *lut, const hlq_code *a,
                                                 const hlq_code *b, size_t batch, size_t vectors,
                                                 double *dot, uint64_t *invalid, hlq_stream stream);

/*
 * hlq_lut_build_one_sided(). Entries of vectors that are not finite, or too large, are NaN;
 * invalid: such vectors.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_lut_build_one_sided(const hlq_quantizer *quantizer,
                                                             const float *y, size_t vectors,
                                                             float *table, uint64_t *invalid,
                                                             hlq_stream stream);

/*
 * hlq_lut_dot_one_sided() of `batch` products: table [batch, vectors, q^dim], all else as for
 * hlq_cuda_lut_dot().
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_lut_dot_one_sided(const float *table, const hlq_code *b,
                                                           size_t batch, size_t vectors,
                                                           double *dot, uint64_t *invalid,
                                                           hlq_stream stream);

/* Rows and linear layers ---------------------------------------------------------------------- */

/*
 * hlq_rows_quantize(); out == x works. *shrunk grows by vectors that were shrunk until they fit.
 * Rows that the host refuses become NaN, and *invalid grows by their number: those with NaN or Inf,
 * with a vector that does not fit however much it is shrunk, or with fit, with quantized numbers
 * that fp32 does not hold. *shrunk may count some vectors of them.
 *
 * workspace: `bytes` of the device's memory, aligned to 256 bytes, at least as many as
 * hlq_cuda_rows_workspace() says: a little for each row that is worked on at once, and with fit the
 * rows themselves: up to 4 MiB, or one, if that is longer. Its content is undefined before and
 * afterwards, and nobody else may use it before the stream has come past the work. NULL if 0 bytes
 * are needed.
 */
HLQ_API size_t hlq_cuda_rows_workspace(size_t rows, size_t columns, int fit);
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_rows_quantize(const hlq_quantizer *quantizer,
                                                       const float *x, size_t rows, size_t columns,
                                                       int fit, float *out, uint64_t *shrunk,
                                                       uint64_t *invalid, void *workspace,
                                                       size_t bytes, hlq_stream stream);

/* A linear layer on the device where it was made; as immutable as other handles. */
typedef struct hlq_cuda_linear hlq_cuda_linear;

/*
 * Copies a layer, which may be destroyed afterwards, to the current device. It allocates there and
 * waits until all has arrived; _destroy() waits, as cudaFree() does, until the device has done its
 * work. So neither can be captured. HLQ_E_NOMEM also if the device has no memory.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_linear_create(const hlq_linear *linear,
                                                       hlq_cuda_linear **on_device);
HLQ_API void hlq_cuda_linear_destroy(hlq_cuda_linear *linear); /* NULL is fine */

/* hlq_linear_unpack(). */
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_linear_unpack(const hlq_cuda_linear *linear,
                                                       size_t first_row, size_t rows, float *weight,
                                                       hlq_stream stream);

/*
 * hlq_linear_forward(), for small batches. *overloads, required if activation is set, grows by the
 * activation vectors that were shrunk until they fit. Rows of x with NaN or Inf, or with a vector
 * that does not fit however much it is shrunk, give rows of y that are NaN; *invalid grows by their
 * number.
 *
 * workspace: as for hlq_cuda_rows_quantize(), of hlq_cuda_linear_workspace() bytes. Eight rows of x
 * are worked on at once, so it does not grow with the batch beyond that; its largest part are
 * tables, for each row 256 × 1 to 3 bytes for each block of in / dim. 0 also if the activation does
 * not fit the layer, which hlq_cuda_linear_forward() says.
 */
HLQ_API size_t hlq_cuda_linear_workspace(const hlq_cuda_linear *linear,
                                         const hlq_quantizer *activation, size_t batch);
HLQ_API HLQ_MUST_USE hlq_status hlq_cuda_linear_forward(const hlq_cuda_linear *linear,
                                                        const hlq_quantizer *activation,
                                                        const float *x, size_t batch, float *y,
                                                        uint64_t *overloads, uint64_t *invalid,
                                                        void *workspace, size_t bytes,
                                                        hlq_stream stream);

#ifdef __cplusplus
}
#endif
#endif
