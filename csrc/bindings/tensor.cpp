// The Tensor type. Operators and indexing are attached by python/densa/tensor.py.
#include <pybind11/stl.h>

#include <new>

#include "bindings/python.h"
#include "tensor/tape.h"

#include <structmember.h>  // after Python.h

namespace densa::bindings {

PyTypeObject* tensor_type = nullptr;

namespace {

// Operators and NumPy protocols come from Python: they are attached before the first Tensor exists.
void attach_operators() {
  static bool attached = false;
  if (attached) return;
  attached = true;  // before the import, which may make a Tensor itself
  try {
    py::module_::import("densa.tensor");
  } catch (...) {
    attached = false;
    throw;
  }
}

}  // namespace

PyObject* wrap(Value value) {
  if (value == nullptr) Py_RETURN_NONE;
  attach_operators();
  PyObject* object = tensor_type->tp_alloc(tensor_type, 0);
  if (object == nullptr) throw py::error_already_set();
  auto* tensor = reinterpret_cast<PyTensor*>(object);
  new (&tensor->value) Value(std::move(value));
  tensor->weak_references = nullptr;
  return object;
}

namespace {

Value& value_in(PyObject* self) { return reinterpret_cast<PyTensor*>(self)->value; }

void deallocate(PyObject* self) {
  auto* tensor = reinterpret_cast<PyTensor*>(self);
  if (tensor->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  tensor->value.~Value();
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* refuse_new(PyTypeObject*, PyObject*, PyObject*) {
  PyErr_SetString(PyExc_TypeError, "Tensor has no constructor; use densa.asarray(array)");
  return nullptr;
}

// ---- attributes, as plain C: they are read all the time ---------------------------------------

template <PyObject* (*get)(const Value&)>
PyObject* getter(PyObject* self, void*) {
  try {
    return get(value_in(self));
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyObject* get_shape(const Value& value) { return shape_tuple(value->type.shape).release().ptr(); }
PyObject* get_dtype(const Value& value) { return Py_NewRef(dtype_string(value->type.dtype)); }
PyObject* get_ndim(const Value& value) { return PyLong_FromLong(value->type.shape.rank()); }
PyObject* get_device(const Value& value) {
  if (!is_tensor(value.get())) return PyUnicode_InternFromString("cpu");
  const Device device = static_cast<const TensorNode&>(*value).device();
  return PyUnicode_InternFromString(to_string(device).c_str());
}
PyObject* get_symbolic(const Value& value) { return PyBool_FromLong(!is_tensor(value.get())); }
PyObject* get_id(const Value& value) { return PyLong_FromVoidPtr(value.get()); }

PyObject* get_size(const Value& value) {
  for (std::int64_t d : value->type.shape)
    if (is_open(d)) Py_RETURN_NONE;
  return PyLong_FromLongLong(element_count(value->type.shape));
}

PyObject* get_itemsize(const Value& value) {
  return PyLong_FromSize_t(item_size(value->type.dtype));
}

PyObject* get_nbytes(const Value& value) {
  for (std::int64_t d : value->type.shape)
    if (is_open(d)) Py_RETURN_NONE;
  return PyLong_FromLongLong(element_count(value->type.shape) *
                             static_cast<std::int64_t>(item_size(value->type.dtype)));
}

PyObject* get_strides(const Value& value) {
  const TensorNode& tensor = as_tensor(value, "strides");
  Dims bytes = tensor.strides;
  PyObject* tuple = PyTuple_New(bytes.rank());
  if (tuple == nullptr) throw py::error_already_set();
  for (int i = 0; i < bytes.rank(); ++i)
    PyTuple_SET_ITEM(
        tuple, i,
        PyLong_FromLongLong(bytes[i] * static_cast<std::int64_t>(item_size(tensor.type.dtype))));
  return tuple;
}

PyObject* get_requires_grad(const Value& value) {
  return PyBool_FromLong(is_tensor(value.get()) &&
                         static_cast<const TensorNode&>(*value).requires_grad);
}

PyObject* get_is_leaf(const Value& value) {
  return PyBool_FromLong(is_tensor(value.get()) &&
                         static_cast<const TensorNode&>(*value).is_leaf());
}

PyObject* get_grad(const Value& value) {
  if (!is_tensor(value.get())) Py_RETURN_NONE;
  return wrap(static_cast<const TensorNode&>(*value).grad);
}

PyObject* get_version(const Value& value) {
  return PyLong_FromUnsignedLongLong(as_tensor(value, "_version").storage->version());
}

int set_requires_grad(PyObject* self, PyObject* wanted, void*) {
  try {
    if (wanted == nullptr) throw TypeError("requires_grad cannot be deleted");
    TensorNode& tensor = as_tensor(value_in(self), "requires_grad");
    const int truth = PyObject_IsTrue(wanted);
    if (truth < 0) return -1;
    if (truth != 0 && !is_floating(tensor.type.dtype))
      throw TypeError(cat("only floating tensors can require a gradient; this one is ",
                          dtype_name(tensor.type.dtype)));
    if (truth == 0 && !tensor.is_leaf())
      throw ValueError("requires_grad can be cleared on leaves only; use detach()");
    tensor.requires_grad = truth != 0;
    return 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}

int set_grad(PyObject* self, PyObject* grad, void*) {
  try {
    TensorNode& tensor = as_tensor(value_in(self), "grad");
    if (grad == nullptr || grad == Py_None) {
      tensor.grad = nullptr;
    } else {
      const Value& value = value_of(grad);
      if (!(as_tensor(value, "grad").type == tensor.type))
        throw ShapeError(cat("grad: the tensor is ", dtype_name(tensor.type.dtype),
                             to_string(tensor.type.shape), " but the gradient is ",
                             dtype_name(value->type.dtype), to_string(value->type.shape)));
      tensor.grad = value;
    }
    return 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}

PyGetSetDef attributes[] = {
    {"shape", getter<get_shape>, nullptr, "Sizes; None for rows that are not known yet.", nullptr},
    {"dtype", getter<get_dtype>, nullptr, "Element type by name.", nullptr},
    {"ndim", getter<get_ndim>, nullptr, "Number of dimensions.", nullptr},
    {"size", getter<get_size>, nullptr, "Number of elements; None if not known yet.", nullptr},
    {"itemsize", getter<get_itemsize>, nullptr, "Bytes per element.", nullptr},
    {"nbytes", getter<get_nbytes>, nullptr, "Bytes of all elements.", nullptr},
    {"strides", getter<get_strides>, nullptr, "Bytes from one element to the next, per axis.",
     nullptr},
    {"device", getter<get_device>, nullptr, "Where the memory is.", nullptr},
    {"is_symbolic", getter<get_symbolic>, nullptr, "Whether it is recorded and has no values.",
     nullptr},
    {"is_leaf", getter<get_is_leaf>, nullptr, "Whether no op on the tape made it.", nullptr},
    {"requires_grad", getter<get_requires_grad>, set_requires_grad, "Whether gradients flow to it.",
     nullptr},
    {"grad", getter<get_grad>, set_grad, "What backward() added up, or None.", nullptr},
    {"_id", getter<get_id>, nullptr, "The same for two Tensors that are one value.", nullptr},
    {"_version", getter<get_version>, nullptr, "Counts writes to the memory.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(PyTensor, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

// ---- the buffer protocol ----------------------------------------------------------------------

const char* format_of(DType dtype) {
  switch (dtype) {
    case DType::kBool: return "?";
    case DType::kInt8: return "b";
    case DType::kInt16: return "h";
    case DType::kInt32: return "i";
    case DType::kInt64: return sizeof(long) == 8 ? "l" : "q";
    case DType::kUInt8: return "B";
    case DType::kUInt16: return "H";
    case DType::kUInt32: return "I";
    case DType::kUInt64: return sizeof(long) == 8 ? "L" : "Q";
    case DType::kFloat32: return "f";
    case DType::kFloat64: return "d";
    case DType::kFloat16: return "e";
    case DType::kBFloat16: break;
  }
  return nullptr;
}

struct BufferShape {
  Py_ssize_t shape[kMaxRank];
  Py_ssize_t strides[kMaxRank];
};

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  const Value& value = value_in(self);
  if (!is_tensor(value.get())) {
    PyErr_SetString(PyExc_BufferError, "a recorded tensor has no memory");
    return -1;
  }
  const auto& tensor = static_cast<const TensorNode&>(*value);
  if (!tensor.device().is_cpu()) {
    PyErr_SetString(PyExc_BufferError, "this tensor lies on a GPU; use .numpy() for a copy");
    return -1;
  }
  if (format_of(tensor.type.dtype) == nullptr) {
    PyErr_SetString(PyExc_BufferError, "buffers have no bfloat16; use .numpy() for float32");
    return -1;
  }
  const bool writable = tensor.storage->writable();
  if ((flags & PyBUF_WRITABLE) != 0 && !writable) {
    PyErr_SetString(PyExc_BufferError, "this tensor is read-only");
    return -1;
  }
  if ((flags & PyBUF_STRIDES) != PyBUF_STRIDES && !tensor.contiguous) {
    PyErr_SetString(PyExc_BufferError, "this tensor is not contiguous");
    return -1;
  }
  const auto item = static_cast<Py_ssize_t>(item_size(tensor.type.dtype));
  auto* sizes = new (std::nothrow) BufferShape;
  if (sizes == nullptr) {
    PyErr_NoMemory();
    return -1;
  }
  const Dims row_major = contiguous_strides(tensor.type.shape);
  Py_ssize_t count = 1;
  for (int i = 0; i < tensor.type.shape.rank(); ++i) {
    sizes->shape[i] = tensor.type.shape[i];
    sizes->strides[i] = (tensor.contiguous ? row_major[i] : tensor.strides[i]) * item;
    count *= sizes->shape[i];
  }
  view->buf = tensor.data();
  view->obj = Py_NewRef(self);
  view->len = count * item;
  view->itemsize = item;
  view->readonly = writable ? 0 : 1;
  view->ndim = tensor.type.shape.rank();
  view->format =
      (flags & PyBUF_FORMAT) != 0 ? const_cast<char*>(format_of(tensor.type.dtype)) : nullptr;
  view->shape = (flags & PyBUF_ND) != 0 ? sizes->shape : nullptr;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? sizes->strides : nullptr;
  view->suboffsets = nullptr;
  view->internal = sizes;
  return 0;
}

void release_buffer(PyObject*, Py_buffer* view) {
  delete static_cast<BufferShape*>(view->internal);
}

const PyType_Slot kOwnSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(&refuse_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate)},
    {Py_tp_getset, attributes},
    {Py_tp_members, members},
    {Py_bf_getbuffer, reinterpret_cast<void*>(&get_buffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(&release_buffer)},
    {Py_tp_doc, const_cast<char*>("An array with a place on the tape; densa.asarray makes one.")},
};

// ---- methods ----------------------------------------------------------------------------------

template <class F, class... Extra>
void method(const char* name, F&& f, const Extra&... extra) {
  const py::handle type(reinterpret_cast<PyObject*>(tensor_type));
  type.attr(name) =
      py::cpp_function(std::forward<F>(f), py::name(name), py::is_method(type), extra...);
}

void backward_of(const Value& self, const py::object& grad, bool create_graph) {
  Value dy;
  if (!grad.is_none()) {
    dy = to_value(grad.ptr(), eager_builder());
    if (dy->type.dtype != self->type.dtype) dy = cast(eager_builder(), dy, self->type.dtype);
  }
  backward(self, dy, create_graph);
}

py::object item_of(const Value& self) {
  const TensorNode& tensor = as_tensor(self, "item()");
  if (element_count(tensor.type.shape) != 1)
    throw ValueError(cat("item() needs a tensor of one element; this one has shape ",
                         to_string(tensor.type.shape)));
  const TensorPtr here = to_device(as_tensor_ptr(self, "item()"), kCpu);
  const void* data = here->data();
  if (tensor.type.dtype == DType::kBool) return py::bool_(*static_cast<const bool*>(data));
  return visit_any_dtype(tensor.type.dtype, [&](auto zero) -> py::object {
    using T = decltype(zero);
    if constexpr (std::is_floating_point_v<T> || kIsHalf<T>) {
      return py::float_(static_cast<double>(*static_cast<const T*>(data)));
    } else {
      return py::int_(*static_cast<const T*>(data));
    }
  });
}

// A tensor that stands for itself, not beside another one: on the default device.
Value placed(const TensorBuilder& build, const Value& value) {
  return build.recording() ? value : to_device(as_tensor_ptr(value, "to_tensor"), default_device());
}

}  // namespace

void bind_tensor(py::module_& m) {
  std::vector<PyType_Slot> slots(std::begin(kOwnSlots), std::end(kOwnSlots));
  for (const PyType_Slot* slot = kOperatorSlots; slot->slot != 0; ++slot) slots.push_back(*slot);
  slots.push_back({0, nullptr});
  PyType_Spec spec{"densa._core.Tensor", sizeof(PyTensor), 0, Py_TPFLAGS_DEFAULT, slots.data()};
  tensor_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (tensor_type == nullptr) throw py::error_already_set();
  const py::object type =
      py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(tensor_type));
  m.attr("Tensor") = type;
  type.attr("__module__") = "densa._core";

  method(
      "numpy", [](const Value& self) { return to_array(self, "numpy()"); },
      "The same memory as a NumPy array.");
  method("item", &item_of, "The one element as a Python number.");
  method(
      "detach", [](const Value& self) -> Value { return detach(as_tensor_ptr(self, "detach()")); },
      "The same memory off the tape.");
  method("backward", &backward_of, py::arg("grad") = py::none(), py::arg("create_graph") = false,
         "Add the gradient of this tensor to .grad of every leaf that requires one.");
  method(
      "_written", [](const Value& self) { as_tensor(self, "a write").storage->bump_version(); },
      "Say that the memory has been written to.");
  method(
      "to",
      [](const Value& self, const std::string& device) -> Value {
        return to_device(as_tensor_ptr(self, "to()"), device_from_name(device));
      },
      py::arg("device"),
      "The tensor itself if it lies on the device, else a copy there, off the tape.");
  method(
      "_overwrite",
      [](const Value& self, const Value& from) {
        overwrite(*as_tensor_ptr(self, "a write"), as_tensor_ptr(from, "a write"));
      },
      "Copy the values of another tensor into this one's memory.");
  m.def(
      "from_numpy",
      [](const py::object& array, bool copy) -> Value {
        if (!py::isinstance<py::array>(array))
          throw TypeError(
              cat("from_numpy expects a NumPy array, got ", Py_TYPE(array.ptr())->tp_name));
        return from_array(py::reinterpret_borrow<py::array>(array), copy);
      },
      py::arg("array"), py::arg("copy") = false,
      "A Tensor over the array's memory; it follows the array's layout.");
  m.def(
      "full",
      [](const std::vector<std::int64_t>& shape, double number, const py::object& dtype) -> Value {
        const TypeInfo type{dtype.is_none() ? floatx() : to_dtype(dtype), Dims(shape)};
        TensorBuilder& build = current_builder();
        return build.recording() ? build.full(type, number)
                                 : full_tensor(type, number, default_device());
      },
      py::arg("shape"), py::arg("number"), py::arg("dtype") = py::none());
  m.def(
      "to_tensor",
      [](const py::object& x, const py::object& dtype) -> Value {
        TensorBuilder& build = current_builder();
        Operand operand = to_operand(x.ptr(), build);
        if (const Weak* number = std::get_if<Weak>(&operand))
          return placed(build,
                        constant(build, *number,
                                 dtype.is_none() ? result_dtype({&operand, 1}) : to_dtype(dtype)));
        const Value value = std::get<Value>(operand);
        return dtype.is_none() ? value : cast(build, value, to_dtype(dtype));
      },
      py::arg("x"), py::arg("dtype") = py::none(),
      "A Tensor of any array, number, list, Variable or Tensor; shares memory where it can.");
  m.def("result_type", [](const py::args& operands) {
    std::vector<Operand> list;
    for (py::handle operand : operands)
      list.push_back(to_operand(operand.ptr(), current_builder()));
    return std::string(dtype_name(result_dtype(list)));
  });
}

}  // namespace densa::bindings
