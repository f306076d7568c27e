// What an op is: a name, a shape rule, a gradient rule and a row-major CPU evaluation.
//
// The gradient rule is written once, over abstract Values, in terms of other ops; the eager tape
// hands it Tensors, the compiled program hands it symbols, second derivatives come out of the same
// rule applied twice.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace densa {

struct TypeInfo {
  DType dtype = DType::kFloat32;
  Dims shape;  // may hold kRows while a Program is recorded
  friend bool operator==(const TypeInfo&, const TypeInfo&) = default;
};

// ---- attributes -----------------------------------------------------------------------------

using Ints = std::vector<std::int64_t>;
using AttrValue = std::variant<bool, std::int64_t, double, std::string, Ints>;

// A few named constants of one op application, kept sorted by name. `get` returns the default when
// the name is absent and throws TypeError naming the attribute when the kind is wrong; an integer
// is accepted where a double is asked for.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string, AttrValue>> items);
  void set(std::string name, AttrValue value);
  bool has(std::string_view name) const;
  bool get_bool(std::string_view name, bool missing) const;
  std::int64_t get_int(std::string_view name, std::int64_t missing) const;
  double get_double(std::string_view name, double missing) const;
  std::string get_string(std::string_view name, std::string_view missing) const;
  Ints get_ints(std::string_view name, const Ints& missing = {}) const;  // one int counts as a list
  const std::vector<std::pair<std::string, AttrValue>>& items() const { return items_; }
  std::string text() const;  // "axis=[0], keepdims=true"; the same text for equal attributes
  friend bool operator==(const Attrs&, const Attrs&) = default;

 private:
  std::vector<std::pair<std::string, AttrValue>> items_;
};

// ---- values ---------------------------------------------------------------------------------

// What gradient rules and composed ops compute with: a Tensor (tensor/) or a Symbol (graph/).
struct ValueNode {
  TypeInfo type;
  explicit ValueNode(TypeInfo t) : type(t) {}
  ValueNode(const ValueNode&) = delete;
  ValueNode& operator=(const ValueNode&) = delete;
  virtual ~ValueNode() = default;
};
using Value = std::shared_ptr<ValueNode>;  // null: no value (no gradient, optional input left out)

// Runs or records ops. One implementation is eager (with or without tape), one records a Program.
class Builder {
 public:
  virtual ~Builder() = default;
  virtual std::vector<Value> apply_all(std::string_view op, std::span<const Value> in,
                                       const Attrs& attrs) = 0;
  // A constant of the given type filled with one number.
  virtual Value full(const TypeInfo& type, double number) = 0;
  // The one result of a single-output op.
  Value apply(std::string_view op, std::initializer_list<Value> in, const Attrs& attrs = {}) {
    return apply_all(op, std::span(in.begin(), in.size()), attrs)[0];
  }
};

struct GradCall {
  Builder& build;
  std::span<const Value> in;    // the op's inputs
  std::span<const Value> out;   // the op's outputs
  std::span<const Value> dy;    // gradient of each output; null where none flows
  std::span<const bool> needs;  // which inputs want a gradient
  const Attrs& attrs;
};

// ---- evaluation -----------------------------------------------------------------------------

// A typed, strided window into memory. Strides count elements and may be 0 (broadcast).
struct View {
  void* data = nullptr;
  DType dtype = DType::kFloat32;
  Dims shape;
  Dims strides;
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

struct EvalCall {
  std::span<const View> in;
  std::span<const View> out;  // allocated, row-major contiguous, never aliasing an input
  const Attrs& attrs;
  void* scratch;          // Op::scratch_bytes(...) bytes, 64-byte aligned, uninitialised
  std::int64_t step = 0;  // what a random op's attribute step = -1 stands for: the plan's step
};

// ---- the op ---------------------------------------------------------------------------------

struct Op {
  const char* name;
  // Checks inputs and attributes (throws ShapeError/TypeError/ValueError) and gives output types.
  // Optional inputs that are left out have no entry: only trailing inputs are optional.
  std::vector<TypeInfo> (*infer)(std::span<const TypeInfo> in, const Attrs& attrs);
  // One Value per input (null: no gradient). Null pointer: the op has no gradient.
  std::vector<Value> (*grad)(const GradCall& call);
  // Runs on the caller's thread unless the work is large; never allocates.
  void (*eval)(const EvalCall& call);
  std::size_t (*scratch_bytes)(std::span<const TypeInfo> in, const Attrs& attrs) = nullptr;
  // True: eval reads inputs with any strides. False: the caller makes them contiguous first.
  bool any_strides = false;
  // True: the output shares the first input's memory in row-major order (reshape): no eval needed
  // when the input is contiguous.
  bool alias = false;
};

// The registry expands ops/list.inc once; nothing registers itself from a static object.
const Op& find_op(std::string_view name);  // throws ValueError naming near misses
std::span<const Op* const> all_ops();

}  // namespace densa
