#include "tensor/variable.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "base/pack.h"
#include "ops/backend.h"
#include "tensor/tensor.h"

namespace densa {

Variable::Variable(const TypeInfo& type, std::string name, bool trainable, bool rows, Device device)
    : type_(type),
      name_(std::move(name)),
      layout_(is_floating(type.dtype) && type.shape.rank() == 2 && !rows && device.is_cpu()
                  ? Layout::kPanels
                  : Layout::kRows),
      trainable_(trainable),
      shares_(rows),
      padded_size_(layout_ == Layout::kPanels ? panel_elements(type.shape[0], type.shape[1])
                                              : padded(element_count(type.shape))),
      storage_(zeros_on(device, bytes())) {}

std::shared_ptr<Variable> Variable::create(const TypeInfo& type, std::string name, bool trainable,
                                           bool rows, Device device) {
  for (std::int64_t d : type.shape)
    if (d < 0)
      throw ShapeError(
          cat("variable '", name, "': shape ", to_string(type.shape), " is not fully known"));
  if (is_half(type.dtype))
    throw TypeError(cat("variable '", name, "': variables are float32 or float64, not ",
                        dtype_name(type.dtype),
                        "; a policy of mixed precision computes in 16 bits and keeps them so"));
  byte_count(type.shape, item_size(type.dtype));  // throws for sizes beyond reason
  if (trainable && !is_floating(type.dtype)) trainable = false;
  return std::shared_ptr<Variable>(new Variable(type, std::move(name), trainable, rows, device));
}

void Variable::bump_version() {
  version_.fetch_add(1, std::memory_order_relaxed);
  if (window_ != nullptr) window_->bump_version();
}

void Variable::set_trainable(bool trainable) {
  trainable = trainable && is_floating(type_.dtype);
  if (trainable == trainable_) return;
  trainable_ = trainable;
  leaf_ = nullptr;
}

namespace {

template <class T>
void to_panels(void* data, const View& from) {
  const std::int64_t rows = from.shape[0];
  pack_panels<T>({static_cast<T*>(data), rows * kPanel}, from.as<T>(), rows, from.shape[1],
                 from.strides[0], from.strides[1]);
}

template <class T>
void from_panels(const View& to, const void* data) {
  const std::int64_t rows = to.shape[0];
  unpack_panels<T>(to.as<T>(), {static_cast<const T*>(data), rows * kPanel}, rows, to.shape[1],
                   to.strides[0], to.strides[1]);
}

}  // namespace

std::size_t Variable::bytes_used() const { return byte_count(type_.shape, item_size(type_.dtype)); }

void Variable::write(const TensorNode& from) {
  if (!device().is_cpu() || !from.device().is_cpu()) {
    TensorPtr moved =
        std::make_shared<TensorNode>(from.type, from.storage, from.offset_bytes, from.strides);
    if (device().is_cpu()) return write(*to_device(moved, kCpu));
    if (!(from.device() == device()) && !from.device().is_cpu()) moved = to_device(moved, kCpu);
    moved = make_contiguous(moved);
    backend().copy(
        device(), data(), moved->data(), bytes_used(),
        moved->device().is_cpu() ? cuda::Direction::kToDevice : cuda::Direction::kOnDevice);
  } else if (const View view = from.view(); layout_ == Layout::kRows) {
    copy_view({data(), type_.dtype, type_.shape, contiguous_strides(type_.shape)}, view);
  } else if (type_.dtype == DType::kFloat32) {
    to_panels<float>(data(), view);
  } else {
    to_panels<double>(data(), view);
  }
  bump_version();
}

void Variable::read(const View& to) const {
  if (!device().is_cpu()) {
    const TensorPtr here = empty_tensor(type_);
    backend().copy(device(), here->data(), data(), bytes_used(), cuda::Direction::kToHost);
    return copy_view(to, here->view());
  }
  if (layout_ == Layout::kRows) {
    copy_view(to, {data(), type_.dtype, type_.shape, contiguous_strides(type_.shape)});
  } else if (type_.dtype == DType::kFloat32) {
    from_panels<float>(to, data());
  } else {
    from_panels<double>(to, data());
  }
}

Value Variable::value() {
  if (leaf_ != nullptr && leaf_version_ == version()) return leaf_;
  TensorPtr leaf;
  if (shares_) {
    if (window_ == nullptr) window_ = Storage::borrow(data(), bytes(), storage_, false, device());
    leaf = std::make_shared<TensorNode>(type_, window_);
  } else {
    leaf = empty_tensor(type_, device());
    if (device().is_cpu()) {
      read(leaf->view());
    } else {
      backend().copy(device(), leaf->data(), data(), bytes_used(), cuda::Direction::kOnDevice);
    }
    leaf->storage->make_read_only();  // a write here would not reach the variable
  }
  leaf->requires_grad = trainable_;
  leaf->variable = weak_from_this();
  leaf_ = leaf;
  leaf_version_ = version();
  return leaf_;
}

void Variable::set_grad(Value grad) {
  if (grad != nullptr && !(grad->type.shape == type_.shape))
    throw ShapeError(cat("variable '", name_, "' has shape ", to_string(type_.shape),
                         " but the gradient has shape ", to_string(grad->type.shape)));
  grad_ = std::move(grad);
  if (leaf_ != nullptr && leaf_version_ == version()) static_cast<TensorNode&>(*leaf_).grad = grad_;
}

void Variable::move_to(std::shared_ptr<Storage> storage, std::size_t offset_bytes) {
  auto* const to = static_cast<std::byte*>(storage->data()) + offset_bytes;
  if (device().is_cpu()) {
    std::memcpy(to, data(), bytes());
  } else {
    backend().copy(device(), to, data(), bytes(), cuda::Direction::kOnDevice);
  }
  storage_ = std::move(storage);
  offset_bytes_ = offset_bytes;
  leaf_ = nullptr;  // it may share the memory left behind
  window_ = nullptr;
}

std::shared_ptr<Arena> Arena::place(std::span<const std::shared_ptr<Variable>> variables) {
  if (variables.empty()) throw ValueError("arena: there are no variables to place");
  auto arena = std::make_shared<Arena>();
  arena->dtype_ = variables[0]->type().dtype;
  const Device device = variables[0]->device();
  const std::size_t item = item_size(arena->dtype_);
  std::unordered_set<const Variable*> seen;
  for (const auto& variable : variables) {
    if (variable->type().dtype != arena->dtype_)
      throw ValueError(cat("arena: variable '", variable->name(), "' is ",
                           dtype_name(variable->type().dtype), " but '", variables[0]->name(),
                           "' is ", dtype_name(arena->dtype_)));
    if (!(variable->device() == device))
      throw ValueError(cat("arena: variable '", variable->name(), "' lies on ",
                           to_string(variable->device()), " but '", variables[0]->name(), "' on ",
                           to_string(device)));
    if (!seen.insert(variable.get()).second)
      throw ValueError(cat("arena: variable '", variable->name(), "' is given twice"));
    // 16 elements fill 64 bytes only from 4 bytes per element on.
    const auto border = std::max<std::int64_t>(kPanel, 64 / static_cast<std::int64_t>(item));
    arena->size_ = (arena->size_ + border - 1) / border * border;
    arena->slots_.push_back({variable, arena->size_, variable->padded_size()});
    arena->size_ += variable->padded_size();
  }
  arena->storage_ = zeros_on(device, static_cast<std::size_t>(arena->size_) * item);
  for (const Slot& slot : arena->slots_)
    slot.variable->move_to(arena->storage_, static_cast<std::size_t>(slot.offset) * item);
  return arena;
}

bool Arena::holds_all() const {
  return std::all_of(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return slot.variable->storage() == storage_ &&
           slot.variable->offset_bytes() ==
               static_cast<std::size_t>(slot.offset) * item_size(dtype_);
  });
}

}  // namespace densa
