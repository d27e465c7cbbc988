/*
 * From hlq_status to Python exceptions. The classes themselves are made in hlqtorch/errors.py from
 * status_list(); C++ raises them by number. Everything below the adapter reports through here.
 */
#pragma once

#include <hlqcomm/hlqcomm.h>
#include <pybind11/pybind11.h>

#include <exception>
#include <stdexcept>
#include <string>

namespace hlqtorch {

/*
 * A failure that has a status; becomes the Python exception of that status at the module's border.
 * Needs no GIL, so it can be thrown where collectives run.
 */
class Failure : public std::runtime_error {
public:
    Failure(hlq_status status, const std::string &sentence)
        : std::runtime_error(sentence), status_(status)
    {
    }
    hlq_status status() const { return status_; }

private:
    hlq_status status_;
};

/* Arguments that this rank can tell are wrong without asking anybody. */
inline Failure invalid(const std::string &sentence) { return Failure(HLQ_E_INVALID, sentence); }

/* [(name, value, sentence), …] of HLQ_STATUS_LIST. */
pybind11::list status_list();

/*
 * A pointer to a Python exception, to be thrown by another thread. It keeps its class on the way
 * through c10d, DDP's reducer and the autograd engine, all of which know torch's python_error and
 * none of which knows a Failure. Needs the GIL.
 */
std::exception_ptr pointer_to(const pybind11::object &exception);

/* The same of what a Failure becomes in Python. Takes the GIL. */
std::exception_ptr pointer_to(const Failure &failure);

/* Makes pybind11 turn a Failure into the class that hlqtorch.errors has for its status. */
void register_failures();

} // namespace hlqtorch
