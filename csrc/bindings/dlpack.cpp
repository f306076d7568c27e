// DLPack both ways (import for GPU memory only: on the CPU, NumPy's own is used), and
// __cuda_array_interface__ both ways.
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/cuda_array.h"
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
constexpr std::uint64_t kReadOnly = 1, kCopied = 2;
constexpr std::int32_t kDlCpu = 1, kDlCuda = 2;
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
py::object export_tensor(const TensorPtr& tensor, bool copied) {
  auto made = std::make_unique<Export<Managed>>();
  made->tensor = tensor;
  made->shape = tensor->type.shape;
  made->strides = tensor->contiguous ? contiguous_strides(made->shape) : tensor->strides;
  const bool on_cpu = tensor->device().is_cpu();
  made->managed.context = made.get();
  made->managed.deleter = &drop<Managed>;
  made->managed.tensor = {tensor->data(),
                          {on_cpu ? kDlCpu : kDlCuda, on_cpu ? 0 : tensor->device().gpu},
                          made->shape.rank(),
                          type_of(tensor->type.dtype),
                          made->shape.begin(),
                          made->strides.begin(),
                          0};
  constexpr bool kVersioned = std::is_same_v<Managed, DlManagedVersioned>;
  if constexpr (kVersioned) {
    made->managed.major = 1;
    made->managed.flags = (tensor->storage->writable() ? 0 : kReadOnly) | (copied ? kCopied : 0);
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

// `copy`: true always, false never, none where the device is another one.
py::object to_dlpack(const Value& value, bool versioned, bool to_cpu,
                     const std::optional<bool>& copy) {
  TensorPtr tensor = as_tensor_ptr(value, "__dlpack__");
  if (tensor->requires_grad && !tensor->device().is_cpu())
    throw ValueError("__dlpack__: this tensor requires a gradient; export tensor.detach()");
  const bool moves = to_cpu && !tensor->device().is_cpu(), copies = moves || copy.value_or(false);
  if (moves && copy == false)
    throw py::buffer_error("__dlpack__: a GPU's tensor reaches the CPU by a copy; pass copy=None");
  if (copies) tensor = moves ? to_device(tensor, kCpu) : copy_tensor(*tensor);
  if (!versioned && !tensor->storage->writable())
    throw py::buffer_error(
        "__dlpack__: this tensor is read-only, which DLPack says from version 1.0 on; ask with "
        "max_version=(1, 0), or for a copy");
  // The consumer may use any stream, so all that was asked for is done first.
  if (!tensor->device().is_cpu()) backend().synchronize(tensor->device());
  return versioned ? export_tensor<DlManagedVersioned>(tensor, copies)
                   : export_tensor<DlManaged>(tensor, copies);
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
    if (managed->major > 1)  // of which nothing but its deleter may be used
      throw py::buffer_error(cat("from_dlpack: the array comes by version ", managed->major, '.',
                                 managed->minor, " of DLPack; densa knows 1")
                                 .c_str());
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

// "<f4" and the like.
DType dtype_of_typestr(const std::string& text) {
  const py::dtype known(text);
  if (text.empty() || text[0] == '>')
    throw TypeError(cat("__cuda_array_interface__: numbers of type '", text,
                        "' have another byte order than this machine"));
  return to_dtype(known);
}

}  // namespace

TensorPtr from_cuda_array(const py::object& object) {
  static constexpr const char* kWho = "__cuda_array_interface__";
  py::module_::import("densa.device").attr("load_backend")();
  const py::dict from = object.attr(kWho);
  if (from.contains("mask") && !from["mask"].is_none())
    throw TypeError(cat(kWho, ": densa has no masked arrays"));
  TypeInfo type{dtype_of_typestr(from["typestr"].cast<std::string>()), {}};
  for (const py::handle size : from["shape"].cast<py::tuple>())
    type.shape.push_back(size.cast<std::int64_t>());
  const auto item = static_cast<std::int64_t>(item_size(type.dtype));
  const auto [address, read_only] = from["data"].cast<std::pair<std::uintptr_t, bool>>();
  const bool empty = element_count(type.shape) == 0;
  bool aligned = address % static_cast<std::uintptr_t>(item) == 0;
  Dims strides = contiguous_strides(type.shape);
  if (from.contains("strides") && !from["strides"].is_none()) {
    const auto bytes = from["strides"].cast<std::vector<std::int64_t>>();
    if (static_cast<int>(bytes.size()) != type.shape.rank())
      throw ValueError(cat(kWho, ": ", bytes.size(), " strides for ", type.shape.rank(), " axes"));
    for (int i = 0; i < type.shape.rank(); ++i) {
      aligned = aligned && bytes[static_cast<std::size_t>(i)] % item == 0;
      strides[i] = bytes[static_cast<std::size_t>(i)] / item;
    }
  }
  if (!aligned)
    throw ValueError(cat(kWho, ": the numbers do not lie at multiples of their size; copy first"));
  auto* const data = reinterpret_cast<void*>(address);
  const int gpu = empty ? std::max(default_device().gpu, 0) : backend().device_of(data);
  if (gpu < 0) throw ValueError(cat(kWho, ": its data is no memory of a GPU"));
  backend().check(Device{gpu});
  if (from.contains("stream") && !from["stream"].is_none()) {
    const auto stream = from["stream"].cast<std::uintptr_t>();
    if (stream == 0)
      throw ValueError(cat(kWho, ": stream 0 may be either of two; 1 or 2 says which"));
    const py::gil_scoped_release release;
    backend().synchronize_number(stream);
  }
  auto storage = Storage::borrow(data, static_cast<std::size_t>(element_count(type.shape) * item),
                                 keep_alive(object), !read_only, Device{gpu});
  return std::make_shared<TensorNode>(type, std::move(storage), 0, strides);
}

void bind_dlpack(py::module_& m) {
  m.def("to_dlpack", &to_dlpack, py::arg("tensor"), py::arg("versioned"), py::arg("to_cpu"),
        py::arg("copy"), "A DLPack capsule of a tensor.");
  m.def("from_dlpack", &from_dlpack, py::arg("capsule"),
        "A Tensor over the GPU memory of a DLPack capsule, which is used up.");
  m.def("cuda_array_interface", &cuda_array_interface, py::arg("tensor"),
        "The dictionary that CuPy, Numba and PyTorch read.");
  m.def(
      "device_stream",
      [](const std::string& device) { return backend().stream_number(device_from_name(device)); },
      py::arg("device"), "The CUDA stream of all work on a GPU, as a number.");
}

}  // namespace densa::bindings
