/*
 * From hlq_status to Python exceptions: the list that hlqtorch/errors.py builds classes from, and
 * the translator that raises them.
 */
#include "status.h"

#include <torch/csrc/Exceptions.h>

namespace py = pybind11;

namespace hlqtorch {

namespace {

/* The exception of a failure's class. Looked up at the time of need: errors.py imports this
 * module, not the reverse. */
py::object error_of(const Failure &failure)
{
    py::object make = py::module_::import("hlqtorch.errors").attr("error_of");
    return make(static_cast<int>(failure.status()), failure.what());
}

void raise(const py::object &exception)
{
    PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(exception.ptr())), exception.ptr());
}

} // namespace

std::exception_ptr pointer_to(const py::object &exception)
{
    raise(exception);
    python_error error;
    error.persist();
    return std::make_exception_ptr(std::move(error));
}

std::exception_ptr pointer_to(const Failure &failure)
{
    py::gil_scoped_acquire gil;
    return pointer_to(error_of(failure));
}

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
            raise(error_of(failure));
        }
    });
}

} // namespace hlqtorch
