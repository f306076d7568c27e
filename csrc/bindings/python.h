// What the binding files share: Values as Python objects, operands from any Python object.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <optional>

#include <memory>
#include <string>
#include <vector>

#include "tensor/promote.h"
#include "tensor/tensor.h"
#include "tensor/variable.h"

namespace densa::bindings {

namespace py = pybind11;

// ---- Tensor: a plain C type, so that making and reading one is cheap --------------------------

struct PyTensor {
  PyObject_HEAD Value value;
  PyObject* weak_references;
};

extern PyTypeObject* tensor_type;  // set by bind_tensor

inline bool is_py_tensor(PyObject* object) { return Py_TYPE(object) == tensor_type; }
// A new reference; None for a null value.
PyObject* wrap(Value value);
// Arithmetic and comparisons, as slots of the type (operators.cpp); ends with {0, nullptr}.
extern const PyType_Slot kOperatorSlots[];
inline py::object to_python(Value value) {
  return py::reinterpret_steal<py::object>(wrap(std::move(value)));
}
// The value of a Tensor; throws TypeError for anything else.
const Value& value_of(PyObject* object);

// ---- conversions ------------------------------------------------------------------------------

// Shares the array's memory unless `copy` is set or its layout cannot be expressed. Throws
// TypeError for element types without storage.
TensorPtr from_array(const py::array& array, bool copy);
// Shares the tensor's memory; read-only where the storage is.
py::array to_array(const Value& value, const char* where);

// Whether an array is the op's own input, which goes to the default device, or stands beside a
// Tensor or Variable: then it stays on the CPU, from where the builder brings it to the other one.
enum class Beside { kNothing, kTensor };
// Tensor, Variable, NumPy array or scalar, Python number (weak), nested list, anything with
// __array__.
Operand to_operand(PyObject* object, TensorBuilder& build, Beside beside = Beside::kNothing);
// The same as an eager or symbolic value: a Python float becomes floatx, an int int32.
Value to_value(PyObject* object, TensorBuilder& build);

// Promotes and applies; a Tensor or a tuple of Tensors, as a new reference. Throws.
PyObject* apply_objects(const Op& op, std::span<PyObject* const> inputs, const Attrs& attrs);

AttrValue to_attribute(const std::string& name, PyObject* object);
Attrs to_attributes(const py::kwargs& kwargs);

py::tuple shape_tuple(const Dims& shape);  // None for an open dimension
PyObject* dtype_string(DType dtype);       // borrowed, interned
DType to_dtype(const py::handle& dtype);   // a name, a NumPy dtype or type, float, int, bool
// Where set, floating variables that code reads come as this type: what layers of mixed precision
// ask for while they compute.
extern thread_local std::optional<DType> autocast_dtype;
Value read_variable(const std::shared_ptr<Variable>& variable, TensorBuilder& build);

py::dtype numpy_dtype(DType dtype);

// The device of that name; throws where it cannot be used.
Device checked_device(const std::string& name);

// ---- errors: the one place that turns C++ exceptions into Python's ------------------------------

// Sets the Python error for the exception being handled.
void set_python_error() noexcept;

void bind_errors(py::module_& m);
void bind_tensor(py::module_& m);
void bind_apply(py::module_& m);
void bind_variable(py::module_& m);
void bind_config(py::module_& m);
void bind_testing(py::module_& m);
void bind_testing_plan(py::module_& testing);
void bind_testing_freeze(py::module_& testing);

}  // namespace densa::bindings

namespace pybind11::detail {

// Values cross as Tensors; None is a null Value.
template <>
struct type_caster<densa::Value> {
  PYBIND11_TYPE_CASTER(densa::Value, const_name("densa._core.Tensor"));
  bool load(handle source, bool) {
    if (source.is_none()) return true;
    if (!densa::bindings::is_py_tensor(source.ptr())) return false;
    value = reinterpret_cast<densa::bindings::PyTensor*>(source.ptr())->value;
    return true;
  }
  static handle cast(densa::Value source, return_value_policy, handle) {
    return densa::bindings::wrap(std::move(source));
  }
};

}  // namespace pybind11::detail
