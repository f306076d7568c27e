// Eager values: a typed, strided window into shared memory, and its place on the tape.
#pragma once
#include <cstdint>
#include <memory>
#include <typeinfo>

#include "base/storage.h"
#include "ops/op.h"

namespace densa {

class Variable;
struct TapeEntry;

struct TensorNode final : ValueNode {
  std::shared_ptr<Storage> storage;
  std::int64_t offset_bytes = 0;
  Dims strides;  // in elements; may be 0 or negative
  bool contiguous = true;

  bool requires_grad = false;
  std::shared_ptr<TapeEntry> tape;  // the op that made it; null for leaves and detached values
  int tape_output = 0;
  // What made it where the tape is off, if that is kept (keep_origins); no gradient goes through.
  std::shared_ptr<TapeEntry> origin;
  Value grad;                        // leaves only: what backward() added up
  std::weak_ptr<Variable> variable;  // the leaf of a variable hands its gradient on

  // Set on values that the tape hands to gradient rules: reading them when the storage has been
  // written since is an error.
  static constexpr std::int64_t kUnguarded = -1;
  std::int64_t guard = kUnguarded;

  TensorNode(TypeInfo t, std::shared_ptr<Storage> s, std::int64_t offset, const Dims& step);
  // Row-major from the start of the storage.
  TensorNode(TypeInfo t, std::shared_ptr<Storage> s);
  ~TensorNode() override;

  Device device() const { return storage->device(); }
  void* data() const { return static_cast<std::byte*>(storage->data()) + offset_bytes; }
  View view() const { return {data(), type.dtype, type.shape, strides}; }
  bool is_leaf() const { return tape == nullptr; }
};
using TensorPtr = std::shared_ptr<TensorNode>;

inline bool is_tensor(const ValueNode* value) {
  return value != nullptr && typeid(*value) == typeid(TensorNode);
}
// The tensor behind a value; throws SymbolicError for a recorded one and says what `where` wanted.
TensorNode& as_tensor(const Value& value, const char* where);
TensorPtr as_tensor_ptr(const Value& value, const char* where);

// Uninitialised, row-major.
TensorPtr empty_tensor(const TypeInfo& type, Device device = kCpu);
// Every element is `number`, cast to the dtype.
TensorPtr full_tensor(const TypeInfo& type, double number, Device device = kCpu);
// Row-major copy of any view of the CPU's memory.
TensorPtr copy_tensor(const View& from);
// Row-major copy on the same device.
TensorPtr copy_tensor(const TensorNode& from);
// Copies into the memory of `to`, a row-major tensor of the same type on a GPU.
void overwrite(TensorNode& to, const TensorPtr& from);
// The tensor itself if it lies on `device`, else a row-major copy there (off the tape).
TensorPtr to_device(const TensorPtr& tensor, Device device);
// The tensor itself if it is row-major, else a row-major copy (off the tape).
TensorPtr make_contiguous(const TensorPtr& tensor);
// The same memory without tape, gradient and guard.
TensorPtr detach(const TensorPtr& tensor);

bool is_contiguous(const Dims& shape, const Dims& strides);

// Where new tensors of the eager builder go that have no input to lie beside: the CPU, until
// densa.set_device says otherwise.
Device default_device();
void set_default_device(Device device);

// ---- the CPU's memory --------------------------------------------------------------------------

// Copies between views of one shape and item size, any strides.
void copy_view(const View& to, const View& from);

}  // namespace densa
