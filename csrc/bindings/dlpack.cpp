// DLPack both ways, for GPU memory (on the CPU, NumPy's own is used), and what
// __cuda_array_interface__ tells.
#include <pybind11/stl.h>

#include <memory>

#include "bindings/python.h"
#include "ops/backend.h"

namespace densa::bindings {
namespace {

// DLPack's C structures, by its specification (version 1.0).
struct DlDevice {
  std::int32_t type, id;
};
struct DlDataType {
  std::uint8_t code, bits;
  std::uint16_t lanes;
};
struct DlTensor {
  void* data;
  DlDevice device;
  std::int32_t ndim;
  DlDataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};
struct DlManaged {
  DlTensor tensor;
  void* context;
  void (*deleter)(DlManaged*);
};
struct DlManagedVersioned {
  std::uint32_t major, minor;
  void* context;
  void (*deleter)(DlManagedVersioned*);
  std::uint64_t flags;
  DlTensor tensor;
};
constexpr std::uint64_t kReadOnly = 1;
constexpr std::int32_t kDlCuda = 2;
constexpr const char* kName = "dltensor";
constexpr const char* kVersionedName = "dltensor_versioned";

DlDataType type_of(DType dtype) {
  const auto bits = static_cast<std::uint8_t>(8 * item_size(dtype));
  if (dtype == DType::kBFloat16) return {4, bits, 1};
  if (is_floating(dtype)) return {2, bits, 1};
  if (dtype == DType::kBool) return {6, bits, 1};
  const bool is_signed = dtype == DType::kInt8 || dtype == DType::kInt16 ||
                         dtype == DType::kInt32 || dtype == DType::kInt64;
  return {static_cast<std::uint8_t>(is_signed ? 0 : 1), bits, 1};
}

DType dtype_of_dlpack(DlDataType type) {
  if (type.lanes == 1)
#define DENSA_SAME(name, python, cpp)                   \
  if (const DlDataType ours = type_of(DType::name);     \
      ours.code == type.code && ours.bits == type.bits) \
    return DType::name;
    DENSA_ALL_DTYPES(DENSA_SAME)
#undef DENSA_SAME
  throw TypeError(cat("from_dlpack: densa has no tensors of DLPack's type code ",
                      static_cast<int>(type.code), " with ", static_cast<int>(type.bits), " bits"));
}

// What lives as long as the consumer holds the capsule's content.
template <class Managed>
struct Export {
  Managed managed{};
  TensorPtr tensor;
  Dims shape, strides;
};

template <class Managed>
void drop(Managed* managed) {
  delete static_cast<Export<Managed>*>(managed->context);
}

// A capsule nobody took still owns its content.
template <class Managed>
void drop_capsule(PyObject* capsule) {
  const bool versioned = std::is_same_v<Managed, DlManagedVersioned>;
  const char* name = versioned ? kVersionedName : kName;
  if (PyCapsule_IsValid(capsule, name) != 0)
    drop(static_cast<Managed*>(PyCapsule_GetPointer(capsule, name)));
}

template <class Managed>
py::object export_tensor(const TensorPtr& tensor) {
  auto made = std::make_unique<Export<Managed>>();
  made->tensor = tensor;
  made->shape = tensor->type.shape;
  made->strides = tensor->contiguous ? contiguous_strides(made->shape) : tensor->strides;
  made->managed.context = made.get();
  made->managed.deleter = &drop<Managed>;
  made->managed.tensor = {tensor->data(),
                          {kDlCuda, tensor->device().gpu},
                          made->shape.rank(),
                          type_of(tensor->type.dtype),
                          made->shape.begin(),
                          made->strides.begin(),
                          0};
  constexpr bool kVersioned = std::is_same_v<Managed, DlManagedVersioned>;
  if constexpr (kVersioned) {
    made->managed.major = 1;
    made->managed.flags = tensor->storage->writable() ? 0 : kReadOnly;
  }
  Managed* const managed = &made.release()->managed;
  PyObject* const capsule =
      PyCapsule_New(managed, kVersioned ? kVersionedName : kName, &drop_capsule<Managed>);
  if (capsule == nullptr) {
    drop(managed);
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(capsule);
}

py::object to_dlpack(const Value& value, bool versioned) {
  const TensorPtr tensor = as_tensor_ptr(value, "__dlpack__");
  if (tensor->requires_grad)
    throw ValueError("__dlpack__: this tensor requires a gradient; export tensor.detach()");
  // The consumer may use any stream, so all that was asked for is done first.
  backend().synchronize(tensor->device());
  return versioned ? export_tensor<DlManagedVersioned>(tensor) : export_tensor<DlManaged>(tensor);
}

template <class Managed>
Value import_tensor(const py::object& capsule, const char* name, bool writable) {
  auto* const managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (managed == nullptr) throw py::error_already_set();
  const DlTensor& from = managed->tensor;
  if (from.device.type != kDlCuda)
    throw ValueError(cat("from_dlpack: memory of DLPack's device type ", from.device.type,
                         "; expected a CPU or CUDA array"));
  TypeInfo type{dtype_of_dlpack(from.dtype), {}};
  Dims strides;
  std::int64_t span = 1;
  for (int i = 0; i < from.ndim; ++i) type.shape.push_back(from.shape[i]);
  const Dims row_major = contiguous_strides(type.shape);
  for (int i = 0; i < from.ndim; ++i) {
    strides.push_back(from.strides == nullptr ? row_major[i] : from.strides[i]);
    span += (type.shape[i] - 1) * strides[i];
  }
  if (element_count(type.shape) == 0) span = 0;
  const std::size_t bytes = static_cast<std::size_t>(span) * item_size(type.dtype);
  PyCapsule_SetName(capsule.ptr(), std::is_same_v<Managed, DlManagedVersioned>
                                       ? "used_dltensor_versioned"
                                       : "used_dltensor");
  std::shared_ptr<void> owner(managed, [](void* p) {
    auto* const held = static_cast<Managed*>(p);
    if (held->deleter == nullptr) return;
    const py::gil_scoped_acquire lock;  // the producer may be written in Python
    held->deleter(held);
  });
  auto storage = Storage::borrow(static_cast<std::byte*>(from.data) + from.byte_offset, bytes,
                                 std::move(owner), writable, Device{from.device.id});
  return std::make_shared<TensorNode>(type, std::move(storage), 0, strides);
}

Value from_dlpack(const py::object& capsule) {
  if (PyCapsule_IsValid(capsule.ptr(), kVersionedName) != 0) {
    const auto* managed =
        static_cast<DlManagedVersioned*>(PyCapsule_GetPointer(capsule.ptr(), kVersionedName));
    return import_tensor<DlManagedVersioned>(capsule, kVersionedName,
                                             (managed->flags & kReadOnly) == 0);
  }
  if (PyCapsule_IsValid(capsule.ptr(), kName) == 0)
    throw ValueError("from_dlpack: the capsule is no DLPack tensor, or was used already");
  return import_tensor<DlManaged>(capsule, kName, true);
}

py::dict cuda_array_interface(const Value& value) {
  static constexpr const char* kLetters[] = {"b", "i", "i", "i", "i", "u",
                                             "u", "u", "u", "f", "f", "f"};
  const TensorNode& tensor = as_tensor(value, "__cuda_array_interface__");
  if (tensor.device().is_cpu())
    throw py::attribute_error("this tensor lies on the CPU: it has no __cuda_array_interface__");
  if (tensor.type.dtype == DType::kBFloat16)
    throw py::attribute_error("__cuda_array_interface__ has no bfloat16; use DLPack, or float32");
  const auto item = static_cast<std::int64_t>(item_size(tensor.type.dtype));
  py::dict out;
  out["shape"] = shape_tuple(tensor.type.shape);
  out["typestr"] = cat(item == 1 ? "|" : "<", kLetters[static_cast<int>(tensor.type.dtype)], item);
  const bool empty = element_count(tensor.type.shape) == 0;
  out["data"] = py::make_tuple(empty ? 0 : reinterpret_cast<std::uintptr_t>(tensor.data()),
                               !tensor.storage->writable());
  if (tensor.contiguous) {
    out["strides"] = py::none();
  } else {
    Dims bytes = tensor.strides;
    for (std::int64_t& step : bytes) step *= item;
    out["strides"] = shape_tuple(bytes);
  }
  out["version"] = 3;
  out["stream"] = backend().stream_number(tensor.device());
  return out;
}

}  // namespace

void bind_dlpack(py::module_& m) {
  m.def("to_dlpack", &to_dlpack, py::arg("tensor"), py::arg("versioned"),
        "A DLPack capsule of a tensor on a GPU.");
  m.def("from_dlpack", &from_dlpack, py::arg("capsule"),
        "A Tensor over the GPU memory of a DLPack capsule, which is used up.");
  m.def("cuda_array_interface", &cuda_array_interface, py::arg("tensor"),
        "The dictionary that CuPy, Numba and PyTorch read.");
  m.def(
      "device_stream",
      [](const std::string& device) {
        return backend().stream_number(device_from_name(device));
      },
      py::arg("device"), "The CUDA stream of all work on a GPU, as a number.");
}

}  // namespace densa::bindings
