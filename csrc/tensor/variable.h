// A named value that training changes. It owns its memory, or a part of an arena.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/storage.h"
#include "ops/op.h"

namespace densa {

struct TensorNode;

enum class Layout : std::uint8_t { kRows, kPanels };

class Variable : public std::enable_shared_from_this<Variable> {
 public:
  // Zero-filled. Floating rank-2 variables use panels unless `rows` is set. The shape holds no
  // kRows.
  // On a GPU all are row-major.
  static std::shared_ptr<Variable> create(const TypeInfo& type, std::string name = "",
                                          bool trainable = true, bool rows = false,
                                          Device device = kCpu);

  const TypeInfo& type() const { return type_; }
  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }
  Layout layout() const { return layout_; }

  // Elements in memory: panels with their padding, or row-major rounded up to a multiple of 16.
  std::int64_t padded_size() const { return padded_size_; }
  // 64-byte aligned, `padded_size()` elements. Who writes through it keeps the padding zero and
  // calls bump_version() afterwards.
  void* data() const { return static_cast<std::byte*>(storage_->data()) + offset_bytes_; }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  Device device() const { return storage_->device(); }
  std::size_t offset_bytes() const { return offset_bytes_; }

  std::uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version();

  bool trainable() const { return trainable_; }
  void set_trainable(bool trainable);
  // Whether layers of mixed precision read it in 16 bits.
  bool autocast() const { return autocast_; }
  void set_autocast(bool autocast) { autocast_ = autocast; }

  // Copies from a tensor of the same shape and dtype, on any device, and bumps the version.
  void write(const TensorNode& from);
  // Copies to a strided view of the CPU's memory.
  void read(const View& to) const;

  // A row-major leaf Tensor of the current contents; it requires a gradient if trainable. The same
  // one until the version changes. A variable made with `rows` shares its memory, others copy.
  Value value();

  // Gradient that backward() left here; null if none.
  const Value& grad() const { return grad_; }
  void set_grad(Value grad);  // throws ShapeError unless null or of this shape

  // Points the variable at `padded_size()` elements of `storage`, after copying the contents there.
  void move_to(std::shared_ptr<Storage> storage, std::size_t offset_bytes);

 private:
  Variable(const TypeInfo& type, std::string name, bool trainable, bool rows, Device device);
  std::size_t bytes() const {
    return static_cast<std::size_t>(padded_size_) * item_size(type_.dtype);
  }
  std::size_t bytes_used() const;  // row-major: without the padding behind the last element

  TypeInfo type_;
  std::string name_;
  Layout layout_;
  bool trainable_;
  bool autocast_ = true;
  bool shares_;
  std::int64_t padded_size_;
  std::shared_ptr<Storage> storage_;
  std::size_t offset_bytes_ = 0;
  std::shared_ptr<Storage> window_;  // shares_: what leaves see, with a version of its own
  std::atomic<std::uint64_t> version_{0};
  Value leaf_;
  std::uint64_t leaf_version_ = 0;
  Value grad_;
};

// One allocation that holds several variables of one dtype side by side, each on a 64-byte border,
// in the order given. The variables stay usable; the arena only remembers who lies where.
class Arena {
 public:
  struct Slot {
    std::shared_ptr<Variable> variable;
    std::int64_t offset;  // in elements
    std::int64_t size;    // padded_size() of the variable
  };
  // Throws ValueError for an empty list, a variable given twice or mixed dtypes.
  static std::shared_ptr<Arena> place(std::span<const std::shared_ptr<Variable>> variables);

  DType dtype() const { return dtype_; }
  std::int64_t size() const { return size_; }  // elements
  void* data() const { return storage_->data(); }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  const std::vector<Slot>& slots() const { return slots_; }
  // False once a variable has moved to another arena.
  bool holds_all() const;

 private:
  DType dtype_ = DType::kFloat32;
  std::int64_t size_ = 0;
  std::shared_ptr<Storage> storage_;
  std::vector<Slot> slots_;
};

}  // namespace densa
