/*
 * What libhlqcomm says of lattices, quantizers and tables, for Python.
 */
#pragma once

#include <ATen/core/Tensor.h>
#include <pybind11/pybind11.h>

#include <string>

namespace hlqtorch {

/* Fields of hlq_lattice_info; matrices are lists of dim × dim numbers, row-major. */
pybind11::dict lattice_describe(const std::string &lattice, int dim);

/* Fields of hlq_quantizer_info, except params. */
pybind11::dict quantizer_describe(const std::string &lattice, int64_t dim, int64_t q, int64_t depth,
                                  double beta, double alpha, int64_t max_retries, bool centred);

/* A copy of the table of all pairs, [q^dim, q^dim]: int8, int16, or float32 if centred. */
at::Tensor lut_two_sided(const std::string &lattice, int64_t dim, int64_t q, bool centred);

} // namespace hlqtorch
