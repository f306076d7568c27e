#include "graph/logits.h"

#include <string>

#include "ops/check.h"
#include "ops/matmul/precision.h"

namespace densa {
namespace {

bool along_last(const Attrs& attrs, int rank) {
  const std::int64_t axis = attrs.get_int("axis", -1);
  return axis == -1 || axis == rank - 1;
}

}  // namespace

Value before(Recorder& recorder, const Program& program, const Value& value, std::string_view op) {
  const bool softmax = op == "softmax";
  int id = recorder.id_of(value);
  while (program.values[id].node >= 0) {
    const ProgramNode node = program.nodes[program.values[id].node];  // recording moves them
    if (node.kind != NodeKind::kOp) return nullptr;
    const std::string_view name = node.op->name;
    const TypeInfo& from = program.values[node.in[0]].type;
    Value x;
    if (name == op) {
      if (softmax && !along_last(node.attrs, from.shape.rank())) return nullptr;
      x = recorder.symbol(node.in[0]);
    } else if (name == "dense" && op == node.attrs.get_string("activation", "")) {
      std::vector<Value> in;
      for (int operand : node.in) in.push_back(recorder.symbol(operand));
      x = recorder.apply_all("dense", in, ops::precision_of(node.attrs))[0];
    } else if ((name == "cast" && is_floating(from.dtype)) || (name == "reshape" && !softmax)) {
      id = node.in[0];
      continue;
    } else {
      return nullptr;
    }
    // In wide numbers straight away: what was rounded on the way was the result, not x.
    if (x->type.dtype != value->type.dtype)
      x = recorder.apply("cast", {x}, {{"dtype", std::string(dtype_name(value->type.dtype))}});
    if (!(x->type.shape == value->type.shape))
      x = recorder.apply("reshape", {x}, {{"shape", to_ints(value->type.shape)}});
    return x;
  }
  return nullptr;
}

}  // namespace densa
