// Program: a recorded list of op applications on values whose number of rows is not known yet.
//
// Values are numbered; each is an input, a variable's value at the start of the step, a constant,
// or the output of one node. Nodes stand in the order in which they were recorded, so every node
// comes after the nodes it reads from. Passes (one file each) take a Program and change it; text()
// prints it, and the tests of the passes compare that text.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ops/op.h"
#include "tensor/builder.h"
#include "tensor/tensor.h"
#include "tensor/variable.h"

namespace densa {

enum class Source : std::uint8_t { kInput, kVariable, kConstant, kNode };

struct ProgramValue {
  TypeInfo type;
  Source source = Source::kNode;
  int node = -1;                       // kNode: index of the producing node
  std::string name;                    // of an input, a variable, or a constant that was a variable
  std::shared_ptr<Variable> variable;  // kVariable
  Value constant;                      // kConstant: an eager tensor, or null:
  double number = 0;                   // ... every element is this number
};

enum class NodeKind : std::uint8_t {
  kOp,      // outputs = op(inputs)
  kAssign,  // variable takes the value of input 0 when the step ends
  kUpdate,  // the optimizer moves `variable` by the gradient, input 0
};

struct ProgramNode {
  NodeKind kind = NodeKind::kOp;
  const Op* op = nullptr;
  std::vector<int> in, out;
  Attrs attrs;
  std::shared_ptr<Variable> variable;
  std::string place;  // path of the layer that it is a part of, for messages; may be empty
};

class Program;

// A recorded value as Python code sees it.
struct Symbol final : ValueNode {
  Program* program;
  int id;
  Symbol(Program* owner, int value, TypeInfo t) : ValueNode(t), program(owner), id(value) {}
};

class Program {
 public:
  std::vector<ProgramValue> values;
  std::vector<ProgramNode> nodes;
  std::vector<int> inputs;                           // value ids, in the order of their creation
  std::vector<std::pair<std::string, int>> outputs;  // named results
  std::string place;                                 // of the nodes that are added now

  int add_input(std::string name, TypeInfo type);
  int add_variable(const std::shared_ptr<Variable>& variable);  // one value per variable
  int add_constant(const Value& tensor);
  int add_number(TypeInfo type, double number);
  // Appends a node; returns the ids of its outputs.
  std::vector<int> add_op(const Op& op, std::span<const int> in, const Attrs& attrs);
  int add_op(std::string_view op, std::initializer_list<int> in, const Attrs& attrs = {});
  void add_assign(const std::shared_ptr<Variable>& variable, int value);

  // The value that stands for `variable` at this point of the recording: what was assigned last, or
  // its value at the start of the step.
  int current_value(const std::shared_ptr<Variable>& variable);

  // Number of readers of each value: nodes and program outputs.
  std::vector<int> use_counts() const;
  // Drops nodes and values that reach no output, assignment or update; renumbers the rest.
  void remove_unused();
  std::string text() const;

  // Whether a value has several rows for each of the batch in one axis.
  bool joins_rows() const;
  bool is_scalar_constant(int value, double* number) const;

 private:
  std::unordered_map<const Variable*, int> variable_values_;
  std::unordered_map<const Variable*, int> assigned_;
};

// Records applications into a Program. Eager tensors become constants.
class Recorder final : public TensorBuilder {
 public:
  explicit Recorder(Program& program) : program_(program) {}
  std::vector<Value> run_op(const Op& op, std::span<const Value> in, const Attrs& attrs) override;
  bool recording() const override { return true; }
  Value full(const TypeInfo& type, double number) override;
  Value read_variable(const std::shared_ptr<Variable>& variable) override;
  void assign_variable(const std::shared_ptr<Variable>& variable, const Value& value) override;

  Value symbol(int id);  // the Value for a program value
  int id_of(const Value& value);

  std::function<std::string()> where;  // gives nodes their place, if it is set
  // Whether shapes come from outside, where every open dimension looks alike: NeedsRows then for
  // what is made of a shape alone, once there are others than the rows.
  bool open_alike = false;

 private:
  Program& program_;
};

// Appends the gradient of the scalar value `loss` with respect to each value in `wrt`; returns
// their ids, -1 where nothing flows. Throws ValueError for a loss that is no floating scalar.
std::vector<int> differentiate(Program& program, int loss, std::span<const int> wrt);

// float16 and bfloat16 values become float32 ones: a cast to them is a rounding, one from them
// nothing. Comes before all other passes.
void widen_half(Program& program);
// A number that is rounded already is not rounded again, and relu's slope comes from the rounded
// result, as far as that is known: the one before it need not be kept.
void simplify_rounding(Program& program);
// Neutral arithmetic (times 1, plus 0, casts to the same type, broadcasts to the same shape)
// disappears, arithmetic on constants is done, equal applications become one.
void simplify(Program& program);
// x·w and the + b behind it become one dense op.
void fuse_dense(Program& program);
// dense with an activation becomes dense and the activation: the plan runs an activation over the
// panel that is still in cache, and the gradient can use z or y without computing it again.
void split_dense(Program& program);
// An activation whose slope is computed from its input gives value and slope in one pass
// (unary_pair); a softmax cross-entropy gives loss and gradient in one pass (loss_pair).
void fuse_pairs(Program& program);
// Casts, reshapes, factors and offsets right behind an input move into its gathering (feed).
void fuse_feed(Program& program);

}  // namespace densa
