#include <algorithm>
#include <array>
#include <climits>
#include <optional>

#include "bindings/cuda_array.h"
#include "bindings/python.h"
#include "tensor/tape.h"

namespace densa::bindings {

thread_local std::optional<DType> autocast_dtype;

namespace {

// NumPy's type numbers, fixed by its C ABI: bool, signed and unsigned char, short, int, long, long
// long, float, double, half.
bool dtype_from_number(int number, std::size_t item, DType& out) {
  switch (number) {
    case 0: out = DType::kBool; return true;
    case 1:
    case 3:
    case 5:
    case 7:
    case 9:
      out = item == 1   ? DType::kInt8
            : item == 2 ? DType::kInt16
            : item == 4 ? DType::kInt32
                        : DType::kInt64;
      return true;
    case 2:
    case 4:
    case 6:
    case 8:
    case 10:
      out = item == 1   ? DType::kUInt8
            : item == 2 ? DType::kUInt16
            : item == 4 ? DType::kUInt32
                        : DType::kUInt64;
      return true;
    case 11: out = DType::kFloat32; return true;
    case 12: out = DType::kFloat64; return true;
    case 23: out = DType::kFloat16; return true;
    default: return false;
  }
}

// NumPy itself has no bfloat16; arrays of a package that adds one are known by its name.
bool dtype_of_numpy(const py::dtype& dtype, DType& out) {
  if (dtype_from_number(dtype.num(), static_cast<std::size_t>(dtype.itemsize()), out)) return true;
  if (dtype.itemsize() != 2 || py::str(dtype).cast<std::string>() != "bfloat16") return false;
  out = DType::kBFloat16;
  return true;
}

bool is_native(const py::dtype& dtype) {
  const char order = dtype.byteorder();
  return order == '=' || order == '|' ||
         order == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>');
}

[[noreturn]] void unsupported(const py::dtype& dtype) {
  throw TypeError(cat("densa has no tensors of dtype ", py::str(dtype).cast<std::string>(),
                      "; convert the array first, for instance with .astype(\"float32\")"));
}

}  // namespace

std::shared_ptr<void> keep_alive(const py::object& object) {
  return {object.inc_ref().ptr(), [](void* pointer) {
            if (!Py_IsInitialized()) return;  // the interpreter took its objects with it
            const py::gil_scoped_acquire lock;
            Py_DECREF(static_cast<PyObject*>(pointer));
          }};
}

const Value& value_of(PyObject* object) {
  if (!is_py_tensor(object))
    throw TypeError(cat("expected a Tensor, got ", Py_TYPE(object)->tp_name));
  return reinterpret_cast<PyTensor*>(object)->value;
}

TensorPtr from_array(const py::array& array, bool copy) {
  const py::dtype dtype = array.dtype();
  const auto item = static_cast<std::size_t>(dtype.itemsize());
  DType kind{};
  if (!dtype_of_numpy(dtype, kind)) unsupported(dtype);
  if (!is_native(dtype))
    return from_array(array.attr("astype")(dtype.attr("newbyteorder")("=")), false);
  TypeInfo type{kind, {}};
  Dims strides;
  bool expressible = reinterpret_cast<std::uintptr_t>(array.data()) % item == 0;
  for (py::ssize_t i = 0; i < array.ndim(); ++i) {
    type.shape.push_back(array.shape(i));
    const py::ssize_t bytes = array.strides(i);
    expressible = expressible && bytes % static_cast<py::ssize_t>(item) == 0;
    strides.push_back(bytes / static_cast<py::ssize_t>(item));
  }
  if (!expressible) return from_array(py::array(array.attr("copy")()), false);
  if (copy) return copy_tensor(View{const_cast<void*>(array.data()), kind, type.shape, strides});
  auto storage =
      Storage::borrow(const_cast<void*>(array.data()), static_cast<std::size_t>(array.nbytes()),
                      keep_alive(array), array.writeable());
  return std::make_shared<TensorNode>(type, std::move(storage), 0, strides);
}

py::array to_array(const Value& value, const char* where) {
  if (const TensorPtr there = as_tensor_ptr(value, where); !there->device().is_cpu()) {
    const TensorPtr here = to_device(there, kCpu);
    here->storage->make_read_only();  // a write here would not reach the tensor
    return to_array(here, where);
  }
  const TensorNode& tensor = as_tensor(value, where);
  if (tensor.type.dtype == DType::kBFloat16) {  // which NumPy has not: a copy in float32
    const GradMode off(false);
    const TensorPtr wide = as_tensor_ptr(cast(eager_builder(), value, DType::kFloat32), where);
    wide->storage->make_read_only();
    return to_array(wide, where);
  }
  const auto item = static_cast<py::ssize_t>(item_size(tensor.type.dtype));
  std::vector<py::ssize_t> shape, strides;
  for (int i = 0; i < tensor.type.shape.rank(); ++i) {
    shape.push_back(tensor.type.shape[i]);
    strides.push_back(tensor.strides[i] * item);
  }
  py::array out(numpy_dtype(tensor.type.dtype), std::move(shape), std::move(strides), tensor.data(),
                to_python(value));
  if (!tensor.storage->writable())
    py::detail::array_proxy(out.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return out;
}

py::dtype numpy_dtype(DType dtype) {
  static const auto* const kept = [] {
    auto* table = new std::array<py::object, 16>;
#define DENSA_KEEP(name, python, type) \
  (*table)[static_cast<std::size_t>(DType::name)] = py::dtype::from_args(py::str(python));
    DENSA_DTYPES(DENSA_KEEP)
    DENSA_KEEP(kFloat16, "float16", float16)
#undef DENSA_KEEP
    return table;
  }();
  return py::reinterpret_borrow<py::dtype>((*kept)[static_cast<std::size_t>(dtype)]);
}

PyObject* dtype_string(DType dtype) {
  static const auto* const kept = [] {
    auto* table = new std::array<PyObject*, 16>{};
#define DENSA_KEEP(name, python, type) \
  (*table)[static_cast<std::size_t>(DType::name)] = PyUnicode_InternFromString(python);
    DENSA_ALL_DTYPES(DENSA_KEEP)
#undef DENSA_KEEP
    return table;
  }();
  return (*kept)[static_cast<std::size_t>(dtype)];
}

DType to_dtype(const py::handle& dtype) {
  if (PyUnicode_Check(dtype.ptr())) {
    const auto name = dtype.cast<std::string>();
    if (name == "float") return floatx();
    if (name == "int") return DType::kInt32;
    return dtype_from_name(name);
  }
  if (dtype.ptr() == reinterpret_cast<PyObject*>(&PyFloat_Type)) return floatx();
  if (dtype.ptr() == reinterpret_cast<PyObject*>(&PyLong_Type)) return DType::kInt32;
  if (dtype.ptr() == reinterpret_cast<PyObject*>(&PyBool_Type)) return DType::kBool;
  const py::dtype numpy = py::dtype::from_args(py::reinterpret_borrow<py::object>(dtype));
  DType out{};
  if (!dtype_of_numpy(numpy, out)) unsupported(numpy);
  return out;
}

py::tuple shape_tuple(const Dims& shape) {
  PyObject* tuple = PyTuple_New(shape.rank());
  if (tuple == nullptr) throw py::error_already_set();
  for (int i = 0; i < shape.rank(); ++i)
    PyTuple_SET_ITEM(tuple, i,
                     is_open(shape[i]) ? Py_NewRef(Py_None) : PyLong_FromLongLong(shape[i]));
  return py::reinterpret_steal<py::tuple>(tuple);
}

// ---- operands ---------------------------------------------------------------------------------

namespace {

Weak weak_integer(PyObject* object) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow != 0) {
    const double big = PyLong_AsDouble(object);
    if (big == -1.0 && PyErr_Occurred()) throw py::error_already_set();
    return {Weak::kFloat, big, 0};
  }
  if (number == -1 && PyErr_Occurred()) throw py::error_already_set();
  return {Weak::kInt, static_cast<double>(number), number};
}

py::array as_array(PyObject* object) {
  static const py::object* const asarray =
      new py::object(py::module_::import("numpy").attr("asarray"));
  return py::reinterpret_steal<py::array>((*asarray)(py::handle(object)).release());
}

Value array_value(const py::array& array, TensorBuilder& build, Beside beside) {
  // A recording outlives the call, so it keeps the numbers of now.
  const TensorPtr tensor = from_array(array, build.recording());
  const bool stays = build.recording() || beside == Beside::kTensor;
  return stays ? tensor : to_device(tensor, default_device());
}

}  // namespace

Value read_variable(const std::shared_ptr<Variable>& variable, TensorBuilder& build) {
  const Value value = build.read_variable(variable);
  const bool casts = autocast_dtype && variable->autocast() && is_floating(value->type.dtype);
  return casts ? cast(build, value, *autocast_dtype) : value;
}

Operand to_operand(PyObject* object, TensorBuilder& build, Beside beside) {
  if (is_py_tensor(object)) return reinterpret_cast<PyTensor*>(object)->value;
  if (PyBool_Check(object)) {
    const bool truth = object == Py_True;
    return Weak{Weak::kBool, truth ? 1.0 : 0.0, truth};
  }
  if (PyLong_Check(object)) return weak_integer(object);
  if (PyFloat_Check(object)) return Weak{Weak::kFloat, PyFloat_AS_DOUBLE(object), 0};
  if (py::isinstance<Variable>(object))
    return read_variable(py::cast<std::shared_ptr<Variable>>(object), build);
  if (py::isinstance<py::array>(object))
    return array_value(py::reinterpret_borrow<py::array>(object), build, beside);
  if (object == Py_None) throw TypeError("an input is None; only trailing optional inputs may be");
  const bool listed = PyList_Check(object) || PyTuple_Check(object);
  if (!listed && PyObject_HasAttrString(object, "__cuda_array_interface__")) {
    const TensorPtr tensor = from_cuda_array(py::reinterpret_borrow<py::object>(object));
    return build.recording() ? copy_tensor(*tensor) : tensor;
  }
  if (!listed && !PyObject_HasAttrString(object, "__array__") && !PyObject_CheckBuffer(object))
    throw TypeError(cat("an input is ", Py_TYPE(object)->tp_name,
                        "; expected a Tensor, a Variable, an array, a number or a list of them"));
  Value value = array_value(as_array(object), build, beside);
  // Lists of Python numbers are as wide as Python numbers become.
  if (listed && value->type.dtype == DType::kFloat64) return cast(build, value, floatx());
  return value;
}

Value to_value(PyObject* object, TensorBuilder& build) {
  const Operand operand = to_operand(object, build);
  if (const Value* value = std::get_if<Value>(&operand)) return *value;
  return constant(build, std::get<Weak>(operand), result_dtype({&operand, 1}));
}

// ---- attributes -------------------------------------------------------------------------------

namespace {

std::int64_t to_integer(const std::string& name, PyObject* object) {
  if (object == Py_None) return kRows;  // an unknown size in a shape
  const long long number = [&] {
    if (PyLong_Check(object)) return PyLong_AsLongLong(object);
    const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(object));
    return index ? PyLong_AsLongLong(index.ptr()) : -1;
  }();
  if (number == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    throw TypeError(cat("attribute '", name, "' holds ", Py_TYPE(object)->tp_name,
                        " where integers are expected"));
  }
  return number;
}

}  // namespace

AttrValue to_attribute(const std::string& name, PyObject* object) {
  if (name == "dtype") return std::string(dtype_name(to_dtype(object)));
  if (PyBool_Check(object)) return object == Py_True;
  if (PyLong_Check(object)) return to_integer(name, object);
  if (PyFloat_Check(object)) return PyFloat_AS_DOUBLE(object);
  if (PyUnicode_Check(object)) return py::cast<std::string>(object);
  if (PyTuple_Check(object) || PyList_Check(object)) {
    Ints list;
    for (py::handle item : py::reinterpret_borrow<py::sequence>(object))
      list.push_back(to_integer(name, item.ptr()));
    return list;
  }
  if (is_py_tensor(object))
    return to_attribute(
        name, py::object(to_array(value_of(object), "an attribute").attr("item")()).ptr());
  if (PyObject_HasAttrString(object, "item"))  // a NumPy scalar
    return to_attribute(name, py::object(py::handle(object).attr("item")()).ptr());
  if (PyIndex_Check(object)) return to_integer(name, object);
  throw TypeError(cat("attribute '", name, "' is ", Py_TYPE(object)->tp_name,
                      "; expected a bool, int, float, string or a sequence of ints"));
}

Attrs to_attributes(const py::kwargs& kwargs) {
  Attrs attrs;
  for (const auto& [key, item] : kwargs)
    if (!item.is_none()) {
      const auto name = key.cast<std::string>();
      attrs.set(name, to_attribute(name, item.ptr()));
    }
  return attrs;
}

}  // namespace densa::bindings
