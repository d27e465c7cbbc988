/*
 * Lattices, quantizers and tables described to Python.
 */
#include "describe.h"

#include "names.h"
#include "quantizers.h"

#include <ATen/ATen.h>

#include <cstring>

namespace py = pybind11;

namespace hlqtorch {

namespace {

template <typename Number> py::list list_of(const Number *numbers, int count)
{
    py::list list;
    for (int i = 0; i < count; i++) {
        list.append(numbers[i]);
    }
    return list;
}

at::ScalarType type_of(hlq_lut_type type)
{
    switch (type) {
    case HLQ_LUT_INT8: return at::kChar;
    case HLQ_LUT_INT16: return at::kShort;
    default: return at::kFloat;
    }
}

} // namespace

py::dict lattice_describe(const std::string &lattice, int dim)
{
    hlq_lattice_info info = {};
    info.struct_bytes = sizeof info;
    check(hlq_lattice_describe(enum_from("lattice", lattice, hlq_lattice_name), dim, &info));
    return py::dict(py::arg("dim") = info.dim, py::arg("volume") = info.volume,
                    py::arg("second_moment") = info.second_moment,
                    py::arg("covering_radius") = info.covering_radius,
                    py::arg("packing_radius") = info.packing_radius,
                    py::arg("generator") = list_of(info.generator, dim * dim),
                    py::arg("inverse") = list_of(info.inverse, dim * dim));
}

py::dict quantizer_describe(const std::string &lattice, int64_t dim, int64_t q, int64_t depth,
                            double beta, double alpha, int64_t max_retries, bool centred)
{
    const QuantizerPointer quantizer =
        quantizer_of({lattice, dim, q, depth, beta, alpha, max_retries, centred});
    hlq_quantizer_info info = {};
    info.struct_bytes = sizeof info;
    check(hlq_quantizer_describe(quantizer.get(), &info));
    return py::dict(py::arg("digit_bytes") = info.digit_bytes,
                    py::arg("bits_per_number") = info.bits_per_number,
                    py::arg("layer_points") = info.layer_points,
                    py::arg("mean") = list_of(info.mean, info.params.dim),
                    py::arg("max_norm2") = info.max_norm2);
}

at::Tensor lut_two_sided(const std::string &lattice, int64_t dim, int64_t q, bool centred)
{
    const LutPointer lut = lut_of({lattice, dim, q, 1, 1.0, 1.0, 0, centred});
    hlq_lut_info info = {};
    info.struct_bytes = sizeof info;
    check(hlq_lut_describe(lut.get(), &info));
    const int64_t side = info.side;
    at::Tensor table = at::empty({side, side}, at::dtype(type_of(info.type)));
    std::memcpy(table.mutable_data_ptr(), info.entries, info.bytes);
    return table;
}

} // namespace hlqtorch
