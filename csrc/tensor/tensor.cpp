#include "tensor/tensor.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "ops/backend.h"
#include "tensor/tape.h"

namespace densa {

TensorNode::TensorNode(TypeInfo t, std::shared_ptr<Storage> s, std::int64_t offset,
                       const Dims& step)
    : ValueNode(t),
      storage(std::move(s)),
      offset_bytes(offset),
      strides(step),
      contiguous(is_contiguous(type.shape, step)) {}

TensorNode::TensorNode(TypeInfo t, std::shared_ptr<Storage> s)
    : ValueNode(t), storage(std::move(s)), strides(contiguous_strides(type.shape)) {}

TensorNode::~TensorNode() = default;

TensorNode& as_tensor(const Value& value, const char* where) {
  if (value == nullptr) throw ValueError(cat(where, ": a value is missing"));
  if (!is_tensor(value.get()))
    throw SymbolicError(
        cat(where, " needs the numbers of a recorded tensor ", dtype_name(value->type.dtype),
            to_string(value->type.shape),
            ", which has none while a model is recorded. Use densa.ops (ops.where instead of if), "
            "or compile(run_eagerly=True)"));
  return static_cast<TensorNode&>(*value);
}

TensorPtr as_tensor_ptr(const Value& value, const char* where) {
  as_tensor(value, where);
  return std::static_pointer_cast<TensorNode>(value);
}

namespace {

std::atomic<int> default_gpu{kCpu.gpu};

// Of the only element of a tensor on the CPU.
std::uint64_t bits_of(const TensorNode& one) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, one.data(), item_size(one.type.dtype));
  return bits;
}

std::size_t bytes_of(const TypeInfo& type) { return byte_count(type.shape, item_size(type.dtype)); }

}  // namespace

Device default_device() { return {default_gpu.load(std::memory_order_relaxed)}; }
void set_default_device(Device device) { default_gpu.store(device.gpu, std::memory_order_relaxed); }

TensorPtr empty_tensor(const TypeInfo& type, Device device) {
  return std::make_shared<TensorNode>(type, allocate_on(device, bytes_of(type)));
}

TensorPtr full_tensor(const TypeInfo& type, double number, Device device) {
  if (!device.is_cpu()) {
    TensorPtr tensor = empty_tensor(type, device);
    const TensorPtr one = full_tensor({type.dtype, {}}, number);
    fill_on(device, tensor->data(), type.dtype, element_count(type.shape), bits_of(*one));
    return tensor;
  }
  TensorPtr tensor = empty_tensor(type);
  visit_any_dtype(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    T value;
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      value = static_cast<T>(static_cast<std::int64_t>(number));  // wraps, as NumPy does
    } else {
      value = static_cast<T>(number);
    }
    std::fill_n(static_cast<T*>(tensor->data()), element_count(type.shape), value);
  });
  return tensor;
}

TensorPtr copy_tensor(const View& from) {
  TensorPtr tensor = empty_tensor({from.dtype, from.shape});
  copy_view(tensor->view(), from);
  return tensor;
}

TensorPtr copy_tensor(const TensorNode& from) {
  if (from.device().is_cpu()) return copy_tensor(from.view());
  TensorPtr tensor = empty_tensor(from.type, from.device());
  Backend& gpu = backend();
  if (from.contiguous) {
    gpu.copy(from.device(), tensor->data(), from.data(), bytes_of(from.type),
             cuda::Direction::kOnDevice);
  } else {
    const View in = from.view(), out = tensor->view();
    const auto held = gpu.hold(from.device());
    run_on_gpu(device_op("copy"),
               {{&in, 1}, {&out, 1}, {}, nullptr, nullptr, gpu.stream(from.device())});
  }
  return tensor;
}

void overwrite(TensorNode& to, const TensorPtr& from) {
  if (!to.contiguous || !(from->type == to.type))
    throw ValueError("a write to a GPU's memory needs a row-major tensor of the same type");
  if (!to.storage->writable()) throw ValueError("assignment destination is read-only");
  const TensorPtr there = make_contiguous(to_device(from, to.device()));
  backend().copy(to.device(), to.data(), there->data(), bytes_of(to.type),
                 cuda::Direction::kOnDevice);
  to.storage->bump_version();
}

TensorPtr make_contiguous(const TensorPtr& tensor) {
  return tensor->contiguous ? tensor : copy_tensor(*tensor);
}

TensorPtr to_device(const TensorPtr& tensor, Device device) {
  if (tensor->device() == device) return tensor;
  const TensorPtr from = make_contiguous(tensor);
  TensorPtr to = empty_tensor(tensor->type, device);
  const std::size_t bytes = bytes_of(tensor->type);
  if (from->device().is_cpu() && element_count(from->type.shape) == 1) {
    fill_on(device, to->data(), from->type.dtype, 1, bits_of(*from));
  } else if (from->device().is_cpu()) {
    backend().copy(device, to->data(), from->data(), bytes, cuda::Direction::kToDevice);
  } else if (device.is_cpu()) {
    backend().copy(from->device(), to->data(), from->data(), bytes, cuda::Direction::kToHost);
  } else {
    return to_device(to_device(from, kCpu), device);
  }
  return to;
}

TensorPtr detach(const TensorPtr& tensor) {
  auto out = std::make_shared<TensorNode>(tensor->type, tensor->storage, tensor->offset_bytes,
                                          tensor->strides);
  return out;
}

bool is_contiguous(const Dims& shape, const Dims& strides) {
  std::int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

namespace {

// Dimensions of size 1 dropped and neighbours merged where both sides allow it.
struct Walk {
  Dims shape, to, from;
};

Walk simplify(const Dims& shape, const Dims& to, const Dims& from) {
  Walk walk;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const int last = walk.shape.rank() - 1;
    if (last >= 0 && walk.to[last] == to[i] * shape[i] && walk.from[last] == from[i] * shape[i]) {
      walk.shape[last] *= shape[i];
      walk.to[last] = to[i];
      walk.from[last] = from[i];
      continue;
    }
    walk.shape.push_back(shape[i]);
    walk.to.push_back(to[i]);
    walk.from.push_back(from[i]);
  }
  if (walk.shape.empty()) {
    walk.shape.push_back(1);
    walk.to.push_back(1);
    walk.from.push_back(1);
  }
  return walk;
}

template <class T>
void copy_elements(T* to, const T* from, const Walk& walk) {
  const int rank = walk.shape.rank();
  const std::int64_t n = walk.shape[rank - 1];
  const std::int64_t to_step = walk.to[rank - 1];
  const std::int64_t from_step = walk.from[rank - 1];
  Dims at = walk.shape;
  std::fill(at.begin(), at.end(), 0);
  while (true) {
    if (to_step == 1 && from_step == 1) {
      std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
    } else {
      for (std::int64_t i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
    }
    int d = rank - 2;
    for (; d >= 0; --d) {
      to += walk.to[d];
      from += walk.from[d];
      if (++at[d] < walk.shape[d]) break;
      to -= walk.to[d] * walk.shape[d];
      from -= walk.from[d] * walk.shape[d];
      at[d] = 0;
    }
    if (d < 0) return;
  }
}

template <class T>
void copy_as(const View& to, const View& from, const Walk& walk) {
  copy_elements(to.as<T>(), static_cast<const T*>(from.data), walk);
}

}  // namespace

void copy_view(const View& to, const View& from) {
  if (element_count(to.shape) == 0) return;
  const Walk walk = simplify(to.shape, to.strides, from.strides);
  switch (item_size(to.dtype)) {
    case 1: return copy_as<std::uint8_t>(to, from, walk);
    case 2: return copy_as<std::uint16_t>(to, from, walk);
    case 4: return copy_as<std::uint32_t>(to, from, walk);
    default: return copy_as<std::uint64_t>(to, from, walk);
  }
}

}  // namespace densa
