#include "base/error.h"
#include "bindings/python.h"

namespace densa::bindings {
namespace {

PyObject* symbolic_error = nullptr;
PyObject* needs_rows = nullptr;

}  // namespace

void set_python_error() noexcept {
  try {
    throw;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const SymbolicError& error) {
    PyErr_SetString(symbolic_error, error.what());
  } catch (const NeedsRows& error) {
    PyErr_SetString(needs_rows, error.what());
  } catch (const TypeError& error) {
    PyErr_SetString(PyExc_TypeError, error.what());
  } catch (const ValueError& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::out_of_range& error) {
    PyErr_SetString(PyExc_IndexError, error.what());
  } catch (const MemoryError& error) {
    PyErr_SetString(PyExc_MemoryError, error.what());
  } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "not enough memory");
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "unknown C++ exception");
  }
}

void bind_errors(py::module_& m) {
  symbolic_error = PyErr_NewExceptionWithDoc("densa._core.SymbolicError",
                                             "The value of a recorded tensor was asked for.",
                                             PyExc_TypeError, nullptr);
  needs_rows = PyErr_NewExceptionWithDoc(
      "densa._core.NeedsRows", "An op needs the number of rows while they are not known yet.",
      PyExc_ValueError, nullptr);
  m.add_object("SymbolicError", symbolic_error);
  m.add_object("NeedsRows", needs_rows);
  // NOLINTNEXTLINE(performance-unnecessary-value-param): pybind11 sets the signature.
  py::register_exception_translator([](std::exception_ptr pointer) {
    if (!pointer) return;
    try {
      std::rethrow_exception(pointer);
    } catch (...) {
      set_python_error();
    }
  });
}

}  // namespace densa::bindings
