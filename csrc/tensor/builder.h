// Which builder runs the ops of this thread: the eager one, or a Program that records.
#pragma once
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "ops/op.h"

namespace densa {

class Variable;

// A Builder that also knows variables. The eager builder reads and writes them at once; a recorder
// notes a variable read or an assign node.
class TensorBuilder : public Builder {
 public:
  // An op on float16 or bfloat16 values runs in float32 and has its results rounded: to that type,
  // to none where another input is wider, to `dtype` where that attribute says what it makes. By
  // the attribute `precision` products are told that their operands are numbers of 16 bits.
  std::vector<Value> apply_op(const Op& op, std::span<const Value> in, const Attrs& attrs);
  std::vector<Value> apply_all(std::string_view op, std::span<const Value> in,
                               const Attrs& attrs) final {
    return apply_op(find_op(op), in, attrs);
  }
  virtual Value read_variable(const std::shared_ptr<Variable>& variable) = 0;
  // The value has the variable's shape; its dtype is cast to the variable's.
  virtual void assign_variable(const std::shared_ptr<Variable>& variable, const Value& value) = 0;
  virtual bool recording() const = 0;

 protected:
  virtual std::vector<Value> run_op(const Op& op, std::span<const Value> in,
                                    const Attrs& attrs) = 0;
};

// The builder of the calling thread: the innermost ScopedBuilder's, else the eager one.
TensorBuilder& current_builder();
TensorBuilder& eager_builder();

// push/pop must nest per thread; ScopedBuilder does it by scope. `pop_builder` throws ValueError
// when `builder` is not the innermost one.
void push_builder(TensorBuilder& builder);
void pop_builder(TensorBuilder& builder);

class ScopedBuilder {
 public:
  explicit ScopedBuilder(TensorBuilder& builder) : builder_(builder) { push_builder(builder); }
  ~ScopedBuilder();
  ScopedBuilder(const ScopedBuilder&) = delete;
  ScopedBuilder& operator=(const ScopedBuilder&) = delete;

 private:
  TensorBuilder& builder_;
};

}  // namespace densa
