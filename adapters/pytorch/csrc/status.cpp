/*
 * From hlq_status to Python exceptions: the list that hlqtorch/errors.py builds classes from, and
 * the translator that raises them.
 */
#include "status.h"

namespace py = pybind11;

namespace hlqtorch {

py::list status_list()
{
    py::list list;
#define APPEND(name, value, sentence) list.append(py::make_tuple(#name, value, sentence));
    HLQ_STATUS_LIST(APPEND)
#undef APPEND
    return list;
}

void register_failures()
{
    py::register_local_exception_translator([](std::exception_ptr pointer) {
        try {
            std::rethrow_exception(pointer);
        } catch (const Failure &failure) {
            /* Looked up at the time of need: errors.py imports this module, not the reverse. */
            py::object make = py::module_::import("hlqtorch.errors").attr("error_of");
            py::object error = make(static_cast<int>(failure.status()), failure.what());
            PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(error.ptr())), error.ptr());
        }
    });
}

} // namespace hlqtorch
