/*
 * The Python module hlqtorch._C: names, defaults and docstrings. What each function does is in
 * comm.h, cuda_quantizer.h, mpi_world.h, nccl_world.h, process_group.h and describe.h; what Python
 * sees, with types, is in hlqtorch/_C.pyi. Loading it also registers the operators of ops.cpp.
 */
#include "backend.h"
#include "comm.h"
#include "cuda_quantizer.h"
#include "describe.h"
#include "mpi_world.h"
#include "names.h"
#include "nccl_world.h"
#include "process_group.h"
#include "status.h"

#include <torch/csrc/Dtype.h>
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/jit/python/pybind_utils.h>
#include <torch/csrc/utils/pybind.h>

namespace py = pybind11;

namespace hlqtorch {

namespace {

std::shared_ptr<Comm> make_mpi(const std::vector<int> &ranks, int tag, bool of_cuda,
                               const py::kwargs &arguments)
{
    const hlq_options options = options_from(arguments);
    py::gil_scoped_release released;
    return std::make_shared<Comm>(comm_over_mpi(ranks, tag, of_cuda, options), Comm::Over::mpi,
                                  of_cuda);
}

std::shared_ptr<Comm> make_over_backend(const c10::intrusive_ptr<c10d::Backend> &backend,
                                        const hlq_options &options)
{
    py::gil_scoped_release released;
    return std::make_shared<Comm>(comm_over_backend(backend, options), Comm::Over::others, false);
}

std::shared_ptr<Comm> make_nccl(uintptr_t nccl_comm, const py::kwargs &arguments)
{
    const hlq_options options = options_from(arguments);
    py::gil_scoped_release released;
    return std::make_shared<Comm>(comm_over_nccl(nccl_comm, options), Comm::Over::others, true);
}

std::shared_ptr<Comm> make_process_group(c10d::ProcessGroup &group, const py::kwargs &arguments)
{
    return make_over_backend(group.getBackend(c10::DeviceType::CPU), options_from(arguments));
}

std::shared_ptr<Comm> make_backend(c10d::Backend &backend, const py::kwargs &arguments)
{
    return make_over_backend(
        c10::intrusive_ptr<c10d::Backend>::unsafe_reclaim_from_nonowning(&backend),
        options_from(arguments));
}

/* Comm.all_reduce(), reduce_scatter(), all_gather(): of one shape but for op. */
template <hlq_operation Operation>
void collect(Comm &comm, const at::Tensor &input, const at::Tensor &output, const std::string &op,
             double bits, const std::string &algorithm, const std::optional<at::Tensor> &residual,
             double target_nmse, double max_error, uintptr_t stream)
{
    py::gil_scoped_release released;
    comm.collect(Operation, input, output, {op, bits, algorithm, target_nmse, max_error}, residual,
                 stream);
}

void all_gather(Comm &comm, const at::Tensor &input, const at::Tensor &output, double bits,
                const std::string &algorithm, double target_nmse, double max_error,
                uintptr_t stream)
{
    collect<HLQ_ALL_GATHER>(comm, input, output, "sum", bits, algorithm, std::nullopt, target_nmse,
                            max_error, stream);
}

py::dict plan(Comm &comm, int64_t count, py::handle dtype, const std::string &op, double bits,
              const std::string &algorithm, double target_nmse, double max_error,
              const std::string &operation)
{
    if (!THPDtype_Check(dtype.ptr())) {
        throw py::type_error("dtype must be a torch.dtype");
    }
    const auto type = reinterpret_cast<THPDtype *>(dtype.ptr())->scalar_type;
    hlq_plan_info info;
    {
        py::gil_scoped_release released;
        info = comm.plan(enum_from("operation", operation, hlq_operation_name), count,
                         dtype_from(type), {op, bits, algorithm, target_nmse, max_error});
    }
    return py::dict(py::arg("algorithm") = hlq_algorithm_name(info.algorithm),
                    py::arg("wire_bytes") = info.wire_bytes,
                    py::arg("workspace_bytes") = info.workspace_bytes,
                    py::arg("bits_per_elem") = info.bits_per_elem);
}

py::dict stats(Comm &comm)
{
    hlq_stats stats;
    {
        py::gil_scoped_release released;
        stats = comm.stats();
    }
    py::dict result;
    result["operation"] = hlq_operation_name(stats.operation);
    result["algorithm"] = hlq_algorithm_name(stats.algorithm);
#define COPY(field) result[#field] = stats.field;
    COPY(calls)
    COPY(count)
    COPY(bytes_sent)
    COPY(bytes_received)
    COPY(control_bytes)
    COPY(bits)
    COPY(bits_per_elem)
    COPY(seconds)
    COPY(seconds_encode)
    COPY(seconds_exchange)
    COPY(seconds_reduce)
    COPY(seconds_decode)
    COPY(vnmse_estimate)
    COPY(largest_scale)
    COPY(overloads)
    COPY(retries)
    COPY(nonfinite_blocks)
#undef COPY
    return result;
}

/*
 * Ends a future with an exception that keeps its class. torch.futures.Future.set_exception() would
 * not do: it stores the exception as a value that only Python's wait() raises, and DDP's reducer
 * waits in C++.
 */
void fail(torch::jit::PythonFutureWrapper &future, const py::object &exception)
{
    std::exception_ptr pointer = pointer_to(exception);
    py::gil_scoped_release released;
    future.fut->setError(std::move(pointer));
}

} // namespace

} // namespace hlqtorch

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module)
{
    using namespace hlqtorch;
    register_failures();
    module.doc() = "libhlqcomm for tensors: communicators, all-reduce, and what a call costs.";
    module.def("status_list", status_list, "(name, value, sentence) of every status.");
    module.def("version", hlq_version, "Version of libhlqcomm.");
    module.def("kernel_variant", hlq_kernel_variant, "Kernels in use; None if HLQ_KERNELS is bad.");
    module.def("mpi_library", mpi_library, "Name and version of the MPI library; empty without.");
    module.def("nccl_library", nccl_library, "Version of the NCCL in use; empty without.");
    module.def("quantizes_cuda", quantizes_cuda, "Whether CUDA tensors can be quantized.");
    module.def("mpi_has_cuda", mpi_has_cuda, "Whether MPI carries tensors of CUDA devices.");
    module.def("mpi_finish", mpi_finish, py::call_guard<py::gil_scoped_release>(),
               "Closes communicators over MPI; ends MPI if it was started here.");
    module.def("fail", fail, py::arg("future"), py::arg("exception"),
               "Ends a torch future with an exception, class and message kept.");
    module.attr("built_for_torch") = HLQTORCH_TORCH_VERSION;
    module.def("lattice_describe", lattice_describe, py::arg("lattice"), py::arg("dim"),
               "Constants and matrices of a lattice.");
    module.def("quantizer_describe", quantizer_describe, py::arg("lattice"), py::arg("dim"),
               py::arg("q"), py::arg("depth"), py::arg("beta"), py::arg("alpha"),
               py::arg("max_retries"), py::arg("centred"), "What follows from these parameters.");
    module.def("lut_two_sided", lut_two_sided, py::arg("lattice"), py::arg("dim"), py::arg("q"),
               py::arg("centred"), "Inner products of all pairs of representatives.");

    py::class_<Comm, std::shared_ptr<Comm>>(module, "Comm",
                                            "One rank's end of a group that reduces tensors.")
        .def_static("mpi", make_mpi, py::arg("ranks") = std::vector<int>(), py::arg("tag") = 0,
                    py::arg("of_cuda") = false,
                    "Over MPI: the given ranks of MPI_COMM_WORLD, all if none are given.")
        .def_static("process_group", make_process_group, py::arg("group"),
                    "Over a process group for host tensors that nobody else uses.")
        .def_static("backend", make_backend, py::arg("backend"),
                    "Over a backend of torch.distributed for host tensors that nobody else uses.")
        .def_static("nccl", make_nccl, py::arg("nccl_comm"),
                    "Over the ranks of an ncclComm_t, given as a number; for CUDA tensors.")
        .def_property_readonly("rank", &Comm::rank)
        .def_property_readonly("size", &Comm::size)
        .def_property_readonly("has_cuda", &Comm::has_cuda)
        .def("all_reduce", collect<HLQ_ALL_REDUCE>, py::arg("input"), py::arg("output"),
             py::arg("op") = "sum", py::arg("bits") = 0.0, py::arg("algorithm") = "auto",
             py::arg("residual") = py::none(), py::arg("target_nmse") = 0.0,
             py::arg("max_error") = 0.0, py::arg("stream") = 0,
             "output = sum or average of input over the ranks.")
        .def("reduce_scatter", collect<HLQ_REDUCE_SCATTER>, py::arg("input"), py::arg("output"),
             py::arg("op") = "sum", py::arg("bits") = 0.0, py::arg("algorithm") = "auto",
             py::arg("residual") = py::none(), py::arg("target_nmse") = 0.0,
             py::arg("max_error") = 0.0, py::arg("stream") = 0,
             "output = this rank's part of the sum or average.")
        .def("all_gather", all_gather, py::arg("input"), py::arg("output"), py::arg("bits") = 0.0,
             py::arg("algorithm") = "auto", py::arg("target_nmse") = 0.0,
             py::arg("max_error") = 0.0, py::arg("stream") = 0, "output = the inputs of all ranks.")
        .def("check", &Comm::check, py::call_guard<py::gil_scoped_release>(),
             "Raises if work on streams has failed by now; looks, does not wait.")
        .def("refuse", &Comm::refuse, py::call_guard<py::gil_scoped_release>(),
             "Takes part in the next collective by failing it on all ranks.")
        .def("plan", plan, py::arg("count"), py::arg("dtype"), py::arg("op") = "sum",
             py::arg("bits") = 0.0, py::arg("algorithm") = "auto", py::arg("target_nmse") = 0.0,
             py::arg("max_error") = 0.0, py::arg("operation") = "all_reduce",
             "What a collective of count elements would cost; talks to nobody.")
        .def("stats", stats, "What the last collective did.")
        .def("close", &Comm::close, py::call_guard<py::gil_scoped_release>(),
             "Frees everything; later calls raise.");

    module.def("mpi_start", mpi_start, py::call_guard<py::gil_scoped_release>(),
               "Starts MPI if nobody has; whether any thread may call it at any time.");
    module.def("mpi_is_running", mpi_is_running, "Between MPI_Init and MPI_Finalize.");
    define_backend(module);
}
