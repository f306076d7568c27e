#include "graph/logits.h"

#include <string>

#include "ops/check.h"
#include "ops/matmul/precision.h"
#include "tensor/tape.h"

namespace densa {
namespace {

// How a value came about.
struct Made {
  std::string_view op;
  Attrs attrs;
  std::vector<Value> in;
};

bool along_last(const Attrs& attrs, int rank) {
  const std::int64_t axis = attrs.get_int("axis", -1);
  return axis == -1 || axis == rank - 1;
}

bool made_of(Recorder& recorder, const Program& program, const Value& value, Made* made) {
  const int id = recorder.id_of(value);
  if (program.values[id].node < 0) return false;
  const ProgramNode& node = program.nodes[program.values[id].node];
  if (node.kind != NodeKind::kOp) return false;
  *made = {node.op->name, node.attrs, {}};
  for (int operand : node.in) made->in.push_back(recorder.symbol(operand));
  return true;
}

// By the tape or the origin; not where it or what it was made of has been written since.
bool made_of(const Value& value, Made* made) {
  const auto& tensor = static_cast<const TensorNode&>(*value);
  const TapeEntry* entry = (tensor.tape != nullptr ? tensor.tape : tensor.origin).get();
  if (entry == nullptr || tensor.storage->version() != entry->out[tensor.tape_output].version)
    return false;
  for (std::size_t i = 0; i < entry->in.size(); ++i) {
    const auto& in = static_cast<const TensorNode&>(*entry->in[i]);
    if (in.storage->version() != entry->in_versions[i]) return false;
  }
  *made = {entry->op->name, entry->attrs, entry->in};
  return true;
}

template <class MadeOf>
Value find(TensorBuilder& builder, const Value& value, std::string_view op, const MadeOf& made_of) {
  const bool softmax = op == "softmax";
  Value at = value;
  for (Made made; made_of(at, &made);) {
    const TypeInfo& from = made.in[0]->type;
    Value x;
    if (made.op == op) {
      if (softmax && !along_last(made.attrs, from.shape.rank())) return nullptr;
      x = made.in[0];
    } else if (made.op == "dense" && op == made.attrs.get_string("activation", "")) {
      x = builder.apply_all("dense", made.in, ops::precision_of(made.attrs))[0];
    } else if ((made.op == "cast" && is_floating(from.dtype)) ||
               (made.op == "reshape" && !softmax)) {
      at = made.in[0];
      continue;
    } else {
      return nullptr;
    }
    // In wide numbers straight away: what was rounded on the way was the result, not x.
    if (x->type.dtype != value->type.dtype)
      x = builder.apply("cast", {x}, {{"dtype", std::string(dtype_name(value->type.dtype))}});
    if (!(x->type.shape == value->type.shape))
      x = builder.apply("reshape", {x}, {{"shape", to_ints(value->type.shape)}});
    return x;
  }
  return nullptr;
}

}  // namespace

Value before(Recorder& recorder, const Program& program, const Value& value, std::string_view op) {
  return find(recorder, value, op,
              [&](const Value& of, Made* made) { return made_of(recorder, program, of, made); });
}

Value before(const Value& tensor, std::string_view op) {
  return find(eager_builder(), tensor, op,
              [](const Value& of, Made* made) { return made_of(of, made); });
}

}  // namespace densa
