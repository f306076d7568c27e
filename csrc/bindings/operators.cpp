// Arithmetic and comparisons of Tensors as slots of the C type: a Python method would double the
// cost of a small op.
#include "bindings/python.h"

namespace densa::bindings {
namespace {

// NumPy's convention: a type whose __array_ufunc__ is None has operators of its own.
bool defers(PyObject* object) {
  static PyObject* const name = PyUnicode_InternFromString("__array_ufunc__");
  PyObject* found = PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(object)), name);
  if (found == nullptr) {
    PyErr_Clear();
    return false;
  }
  Py_DECREF(found);
  return found == Py_None;
}

bool is_plain(PyObject* object) {
  return is_py_tensor(object) || PyFloat_CheckExact(object) || PyLong_CheckExact(object);
}

bool is_operand(PyObject* object) {
  return is_plain(object) || PyNumber_Check(object) || PyList_Check(object) ||
         PyTuple_Check(object) || py::isinstance<Variable>(object) ||
         PyObject_HasAttrString(object, "__array__");
}

PyObject* binary(const Op& op, PyObject* a, PyObject* b) {
  try {
    for (PyObject* side : {a, b})
      if (!is_plain(side) && (defers(side) || !is_operand(side))) Py_RETURN_NOTIMPLEMENTED;
    PyObject* const inputs[] = {a, b};
    return apply_objects(op, inputs, {});
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyObject* unary(const Op& op, PyObject* x) {
  try {
    PyObject* const inputs[] = {x};
    return apply_objects(op, inputs, {});
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

// The op is looked up once, at its first use.
#define DENSA_BINARY(function, name)                 \
  PyObject* function(PyObject* a, PyObject* b) try { \
    static const Op& op = find_op(name);             \
    return binary(op, a, b);                         \
  } catch (...) {                                    \
    set_python_error();                              \
    return nullptr;                                  \
  }
#define DENSA_UNARY(function, name)      \
  PyObject* function(PyObject* x) try {  \
    static const Op& op = find_op(name); \
    return unary(op, x);                 \
  } catch (...) {                        \
    set_python_error();                  \
    return nullptr;                      \
  }

DENSA_BINARY(add, "add")
DENSA_BINARY(subtract, "subtract")
DENSA_BINARY(multiply, "multiply")
DENSA_BINARY(divide, "divide")
DENSA_BINARY(floor_divide, "floor_divide")
DENSA_BINARY(mod, "mod")
DENSA_BINARY(general_power, "power")
DENSA_BINARY(equal, "equal")
DENSA_BINARY(not_equal, "not_equal")
DENSA_BINARY(less, "less")
DENSA_BINARY(less_equal, "less_equal")
DENSA_BINARY(greater, "greater")
DENSA_BINARY(greater_equal, "greater_equal")
DENSA_UNARY(negative, "negative")
DENSA_UNARY(absolute, "abs")
DENSA_UNARY(square, "square")
DENSA_UNARY(square_root, "sqrt")

PyObject* power(PyObject* a, PyObject* b, PyObject* modulo) {
  if (modulo != Py_None) Py_RETURN_NOTIMPLEMENTED;
  const bool number = PyFloat_CheckExact(b) || PyLong_CheckExact(b);
  if (number && is_py_tensor(a) && is_floating(value_of(a)->type.dtype)) {
    const double exponent = PyFloat_AsDouble(b);
    if (exponent == -1.0 && PyErr_Occurred()) PyErr_Clear();
    if (exponent == 2.0) return square(a);
    if (exponent == 1.0) return Py_NewRef(a);
    if (exponent == 0.5) return square_root(a);
  }
  return general_power(a, b);
}

PyObject* positive(PyObject* x) { return Py_NewRef(x); }

PyObject* compare(PyObject* a, PyObject* b, int kind) {
  switch (kind) {
    case Py_EQ: return equal(a, b);
    case Py_NE: return not_equal(a, b);
    case Py_LT: return less(a, b);
    case Py_LE: return less_equal(a, b);
    case Py_GT: return greater(a, b);
    default: return greater_equal(a, b);
  }
}

// Comparisons are elementwise, so a Tensor is equal to itself only as an object.
Py_hash_t hash(PyObject* x) {
  return static_cast<Py_hash_t>(reinterpret_cast<std::uintptr_t>(x) >> 4);
}

template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

const PyType_Slot kOperatorSlots[] = {
    {Py_nb_add, slot(&add)},
    {Py_nb_subtract, slot(&subtract)},
    {Py_nb_multiply, slot(&multiply)},
    {Py_nb_true_divide, slot(&divide)},
    {Py_nb_floor_divide, slot(&floor_divide)},
    {Py_nb_remainder, slot(&mod)},
    {Py_nb_power, slot(&power)},
    {Py_nb_negative, slot(&negative)},
    {Py_nb_positive, slot(&positive)},
    {Py_nb_absolute, slot(&absolute)},
    {Py_tp_richcompare, slot(&compare)},
    {Py_tp_hash, slot(&hash)},
    {0, nullptr},
};

}  // namespace densa::bindings
