/*
 * Options of backend hlq: from Python, checked by libhlqcomm itself; and the modes entered.
 */
#include "backend_options.h"

#include "comm.h"
#include "names.h"
#include "status.h"

#include <torch/csrc/utils/pybind.h>

#include <algorithm>
#include <mutex>
#include <sstream>
#include <vector>

namespace py = pybind11;

namespace hlqtorch {

namespace {

const char *const known_options =
    "bits, algorithm, target_nmse, max_error, min_bytes, all_gather, lattice, seed, topology, "
    "dither, threads, transport, timeout";

std::mutex modes_mutex;
std::vector<std::pair<int64_t, Mode>> modes; /* in order of entrance */
int64_t tickets = 0;

/* Sets the option of that name, false if Mode has none. */
bool set_mode(Mode *mode, const std::string &name, py::handle value)
{
    if (name == "bits") {
        mode->bits = value.cast<double>();
    } else if (name == "algorithm") {
        mode->algorithm = enum_from("algorithm", value.cast<std::string>(), hlq_algorithm_name);
    } else if (name == "target_nmse") {
        mode->target_nmse = value.cast<double>();
    } else if (name == "max_error") {
        mode->max_error = value.cast<double>();
    } else if (name == "min_bytes") {
        mode->min_bytes = value.cast<int64_t>();
        if (mode->min_bytes < 0) {
            throw invalid("min_bytes is negative");
        }
    } else if (name == "all_gather") {
        mode->all_gather = value.cast<bool>();
    } else {
        return false;
    }
    return true;
}

bool set_option(BackendOptions *options, const std::string &name, py::handle value)
{
    if (name == "lattice") {
        options->lattice = enum_from("lattice", value.cast<std::string>(), hlq_lattice_name);
    } else if (name == "seed") {
        options->seed = value.cast<uint64_t>();
    } else if (name == "topology") {
        options->topology = enum_from("topology", value.cast<std::string>(), hlq_topology_name);
    } else if (name == "dither") {
        options->dither = value.cast<int>(); /* libhlqcomm refuses all but 0 and 1 */
    } else if (name == "threads") {
        options->threads = value.cast<int>();
    } else if (name == "transport") {
        options->transport = value.cast<std::string>();
        if (options->transport != "auto" && options->transport != "mpi" &&
            options->transport != "process_group") {
            throw invalid("transport '" + options->transport +
                          "' does not exist; there is auto, mpi, process_group");
        }
    } else if (name == "timeout") {
        options->timeout_s = value.is_none() ? 0.0 : value.cast<double>();
        if (!(options->timeout_s >= 0.0)) {
            throw invalid("timeout is negative");
        }
    } else {
        return false;
    }
    return true;
}

/* Asks libhlqcomm, which knows what it takes, by making a communicator of one rank. */
void check_options(const BackendOptions &options)
{
    hlq_options asked = HLQ_OPTIONS_INIT;
    asked.bits = options.mode.bits;
    asked.algorithm = options.mode.algorithm;
    asked.target_nmse = options.mode.target_nmse;
    asked.max_error = options.mode.max_error;
    asked.lattice = options.lattice;
    asked.topology = options.topology;
    asked.dither = options.dither;
    asked.threads = options.threads;
    check_together(asked);
    hlq_thread_group *group = nullptr;
    hlq_comm *comm = nullptr;
    hlq_status status = hlq_thread_group_create(1, &group);
    if (status == HLQ_OK) {
        status = hlq_comm_create_threads(group, 0, &asked, &comm);
    }
    std::string sentence = status == HLQ_OK ? "" : hlq_create_error();
    hlq_comm_destroy(comm);
    hlq_thread_group_destroy(group);
    if (status != HLQ_OK) {
        const std::string rank = "rank 0: "; /* the one of that communicator, nobody's */
        if (sentence.rfind(rank, 0) == 0) {
            sentence.erase(0, rank.size());
        }
        throw Failure(status, sentence);
    }
}

int64_t enter(const BackendOptions &options) { return enter_mode(options.mode); }

int64_t enter_exact() { return enter_mode(Mode()); }

c10::intrusive_ptr<BackendOptions> copy(const BackendOptions &options)
{
    return c10::make_intrusive<BackendOptions>(options);
}

} // namespace

hlq_call Mode::call() const
{
    hlq_call call = HLQ_CALL_INIT;
    call.algorithm = algorithm;
    call.target_nmse = target_nmse;
    call.max_error = max_error;
    call.bits = target_nmse > 0 || max_error > 0 ? 0.0 : bits;
    return call;
}

std::string BackendOptions::description() const
{
    std::ostringstream text;
    if (!mode.compress) {
        return "exact";
    }
    text << "bits=" << mode.bits << ", algorithm=" << hlq_algorithm_name(mode.algorithm)
         << ", target_nmse=" << mode.target_nmse << ", max_error=" << mode.max_error
         << ", min_bytes=" << mode.min_bytes << ", all_gather=" << mode.all_gather
         << ", lattice=" << hlq_lattice_name(lattice) << ", seed=" << seed
         << ", topology=" << hlq_topology_name(topology) << ", dither=" << dither
         << ", transport=" << transport;
    return text.str();
}

c10::intrusive_ptr<BackendOptions> backend_options_from(const py::kwargs &arguments)
{
    auto options = exact_options();
    options->mode.compress = true;
    for (const auto &[key, value] : arguments) {
        const std::string name = py::str(key);
        try {
            if (!set_mode(&options->mode, name, value) && !set_option(options.get(), name, value)) {
                throw py::type_error("there is no option '" + name + "'; there is " +
                                     known_options);
            }
        } catch (const py::cast_error &) {
            throw py::type_error("option '" + name + "' cannot be " + std::string(py::repr(value)));
        }
    }
    check_options(*options);
    return options;
}

c10::intrusive_ptr<BackendOptions> exact_options() { return c10::make_intrusive<BackendOptions>(); }

int64_t enter_mode(const Mode &mode)
{
    std::lock_guard<std::mutex> lock(modes_mutex);
    modes.emplace_back(++tickets, mode);
    return tickets;
}

void leave_mode(int64_t ticket)
{
    std::lock_guard<std::mutex> lock(modes_mutex);
    modes.erase(std::remove_if(modes.begin(), modes.end(),
                               [ticket](const auto &entry) { return entry.first == ticket; }),
                modes.end());
}

std::optional<Mode> entered_mode()
{
    std::lock_guard<std::mutex> lock(modes_mutex);
    return modes.empty() ? std::nullopt : std::optional<Mode>(modes.back().second);
}

void define_backend_options(py::module_ &module)
{
    const py::object base =
        py::module_::import("torch._C._distributed_c10d").attr("Backend").attr("Options");
    py::class_<BackendOptions, c10::intrusive_ptr<BackendOptions>>(
        module, "HLQOptions", base, "What a process group of backend hlq compresses, and how.")
        .def(py::init(&backend_options_from))
        .def_static("exact", exact_options, "Options of a group that compresses nothing.")
        .def("__copy__", copy)
        .def("__deepcopy__",
             [](const BackendOptions &self, const py::dict &) { return copy(self); })
        .def("__repr__",
             [](const BackendOptions &self) { return "HLQOptions(" + self.description() + ")"; });
    module.def("enter_mode", enter, py::arg("options"),
               "Overrides what all groups compress; returns a ticket.");
    module.def("enter_exact", enter_exact, "The same, and nothing is compressed.");
    module.def("leave_mode", leave_mode, py::arg("ticket"), "Ends what a ticket stands for.");
}

} // namespace hlqtorch
