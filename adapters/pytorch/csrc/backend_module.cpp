/*
 * Backend hlq as Python sees it, and the two things that it calls Python for.
 */
#include "backend.h"
#include "status.h"

#include <pybind11/chrono.h>
#include <torch/csrc/utils/pybind.h>

namespace py = pybind11;

namespace hlqtorch {

namespace {

/* A Python object that any thread may let go of, even after the interpreter has ended. */
using Shared = std::shared_ptr<py::object>;

Shared share(py::object object)
{
    return Shared(new py::object(std::move(object)), [](py::object *held) {
        if (Py_IsInitialized()) {
            py::gil_scoped_acquire gil;
            delete held;
        } else {
            held->release();
            delete held;
        }
    });
}

/* What Python raised, as C++ throws it: an HLQError as the Failure that it stands for. */
std::exception_ptr thrown_for(const py::object &exception)
{
    if (!py::isinstance(exception, py::module_::import("hlqtorch.errors").attr("HLQError"))) {
        return pointer_to(exception);
    }
    const auto status = static_cast<hlq_status>(exception.attr("status").cast<int>());
    return std::make_exception_ptr(Failure(status, py::str(exception)));
}

/* Calls Python from a thread without the GIL; what is raised there can be thrown anywhere. */
template <typename Result, typename Call> Result in_python(const Call &call)
{
    py::gil_scoped_acquire gil;
    std::exception_ptr raised;
    try {
        return call();
    } catch (py::error_already_set &error) {
        raised = thrown_for(error.value());
    }
    std::rethrow_exception(raised);
}

InnerBackends inner_from(const py::dict &backends)
{
    InnerBackends inner;
    for (const auto &[device, backend] : backends) {
        auto &reference = backend.cast<c10d::Backend &>();
        inner.emplace(c10::Device(device.cast<std::string>()).type(),
                      c10::intrusive_ptr<c10d::Backend>::unsafe_reclaim_from_nonowning(&reference));
    }
    return inner;
}

/* What a communicator gets of a group's options, as Python's keywords. */
py::dict for_comm(const BackendOptions &options)
{
    return py::dict(py::arg("lattice") = hlq_lattice_name(options.lattice),
                    py::arg("seed") = options.seed,
                    py::arg("topology") = hlq_topology_name(options.topology),
                    py::arg("dither") = options.dither, py::arg("threads") = options.threads);
}

Makers makers_from(const py::object &python)
{
    Makers makers;
    const Shared shared = share(python);
    makers.inner = [shared](const auto &store, int rank, const auto &ranks, const auto &options) {
        return in_python<InnerBackends>([&] {
            return inner_from(shared->attr("inner")(
                store, rank, ranks.size(), std::chrono::duration<double>(options.timeout).count()));
        });
    };
    makers.comm = [shared](const auto &store, int rank, const auto &ranks, double timeout_s,
                           const auto &options) {
        return in_python<std::shared_ptr<Comm>>([&] {
            return shared
                ->attr("comm")(store, rank, ranks, options.transport, timeout_s,
                               **for_comm(options))
                .template cast<std::shared_ptr<Comm>>();
        });
    };
    makers.cuda_comm = [shared](const auto &store, int rank, const auto &ranks, double timeout_s,
                                const auto &options, const auto &inner, at::Device device) {
        return in_python<std::shared_ptr<Comm>>([&] {
            return shared
                ->attr("cuda_comm")(store, rank, ranks, inner, static_cast<int>(device.index()),
                                    timeout_s, **for_comm(options))
                .template cast<std::shared_ptr<Comm>>();
        });
    };
    return makers;
}

c10::intrusive_ptr<HLQBackend> make(const c10::intrusive_ptr<c10d::Store> &store, int rank,
                                    std::vector<int64_t> global_ranks, const py::dict &inner,
                                    const c10::intrusive_ptr<BackendOptions> &options,
                                    std::chrono::milliseconds timeout, const py::object &makers)
{
    auto own = c10::make_intrusive<BackendOptions>(*options);
    own->timeout = timeout;
    own->global_ranks_in_group.assign(global_ranks.begin(), global_ranks.end());
    return HLQBackend::create(store, rank, std::move(global_ranks), inner_from(inner),
                              std::move(own), makers_from(makers));
}

py::dict totals(HLQBackend &backend)
{
    const Totals totals = backend.totals();
    py::dict result;
#define COPY(field) result[#field] = totals.field;
    COPY(calls)
    COPY(elements)
    COPY(bytes_sent)
    COPY(control_bytes)
    COPY(plan_bytes)
    COPY(seconds)
    COPY(seconds_encode)
    COPY(seconds_exchange)
    COPY(seconds_reduce)
    COPY(seconds_decode)
    COPY(vnmse_estimate)
    COPY(overloads)
    COPY(retries)
    COPY(nonfinite_blocks)
#undef COPY
    return result;
}

} // namespace

void define_backend(py::module_ &module)
{
    define_backend_options(module);
    py::class_<HLQBackend, c10::intrusive_ptr<HLQBackend>>(
        module, "HLQBackend", py::module_::import("torch._C._distributed_c10d").attr("Backend"),
        "One rank's end of a process group of backend hlq.")
        .def(py::init(&make), py::arg("store"), py::arg("rank"), py::arg("global_ranks"),
             py::arg("inner"), py::arg("options"), py::arg("timeout"), py::arg("makers"))
        .def_property_readonly("options", &HLQBackend::getBackendOptions)
        .def("get_error", &HLQBackend::getError)
        .def(
            "inner",
            [](const HLQBackend &backend, const std::string &device) {
                return backend.inner(c10::Device(device).type());
            },
            py::arg("device"), "The backend that does what is exact for a type of device.")
        .def("totals", totals, "What compressed collectives did here, summed up.")
        .def("reset_totals", &HLQBackend::reset_totals, "Sets the totals to zero.");
    module.def("finish_backends", finish_backends, py::arg("at_once"),
               py::call_guard<py::gil_scoped_release>(),
               "Ends the threads of all groups of backend hlq.");
}

} // namespace hlqtorch
