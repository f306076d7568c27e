#include "tensor/promote.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <unordered_map>

#include "tensor/tensor.h"

namespace densa {
namespace {

std::atomic<DType> float_type{DType::kFloat32};

// What an op wants of its operands.
enum class Rule : std::uint8_t {
  kKeep,          // as they are; numbers take their own type
  kSame,          // one dtype for all
  kFloat,         // one floating dtype for all
  kBool,          // bool for all
  kWhere,         // a bool, then one dtype
  kFloatThenIds,  // a floating value, then integer ids
  kIds,           // anything, then integer ids
  kSum,           // bool counts as int32
};

struct RuleName {
  const char* op;
  Rule rule;
};

constexpr RuleName kRules[] = {
    {"add", Rule::kSame},
    {"subtract", Rule::kSame},
    {"multiply", Rule::kSame},
    {"power", Rule::kSame},
    {"maximum", Rule::kSame},
    {"minimum", Rule::kSame},
    {"floor_divide", Rule::kSame},
    {"mod", Rule::kSame},
    {"equal", Rule::kSame},
    {"not_equal", Rule::kSame},
    {"less", Rule::kSame},
    {"less_equal", Rule::kSame},
    {"greater", Rule::kSame},
    {"greater_equal", Rule::kSame},
    {"concatenate", Rule::kSame},
    {"unary_slope", Rule::kSame},
    {"divide", Rule::kFloat},
    {"arctan2", Rule::kFloat},
    {"matmul", Rule::kFloat},
    {"dense", Rule::kFloat},
    {"batch_norm", Rule::kFloat},
    {"softmax_cross_entropy", Rule::kFloat},
    {"sigmoid_cross_entropy", Rule::kFloat},
    {"logical_not", Rule::kBool},
    {"logical_and", Rule::kBool},
    {"logical_or", Rule::kBool},
    {"logical_xor", Rule::kBool},
    {"any", Rule::kBool},
    {"all", Rule::kBool},
    {"where", Rule::kWhere},
    {"sparse_softmax_cross_entropy", Rule::kFloatThenIds},
    {"accuracy_sparse", Rule::kFloatThenIds},
    {"embedding", Rule::kIds},
    {"take", Rule::kIds},
    {"take_along", Rule::kIds},
    {"sum", Rule::kSum},
    {"prod", Rule::kSum},
};

// Single-input ops that are defined on floats only: integers are cast to floatx.
constexpr const char* kFloatUnary[] = {
    "sqrt",      "rsqrt",       "reciprocal",  "exp",          "expm1",     "log",  "log1p",
    "sin",       "cos",         "erf",         "relu6",        "selu",      "gelu", "gelu_tanh",
    "silu",      "mish",        "sigmoid",     "hard_sigmoid", "hard_silu", "tanh", "softplus",
    "softsign",  "log_sigmoid", "leaky_relu",  "elu",          "celu",      "mean", "var",
    "logsumexp", "softmax",     "log_softmax", "dropout",
};

Rule rule_of(const Op& op) {
  static const auto* const rules = [] {
    auto* table = new std::unordered_map<const Op*, Rule>;
    for (const Op* known : all_ops()) {
      const std::string_view name = known->name;
      for (const RuleName& entry : kRules)
        if (name == entry.op) table->emplace(known, entry.rule);
      for (const char* unary : kFloatUnary)
        if (name == unary) table->emplace(known, Rule::kFloat);
    }
    return table;
  }();
  const auto at = rules->find(&op);
  return at == rules->end() ? Rule::kKeep : at->second;
}

int kind_rank(DType d) { return d == DType::kBool ? 0 : is_integer(d) ? 1 : 2; }

bool is_unsigned(DType d) { return d >= DType::kUInt8 && d <= DType::kUInt64; }

DType signed_of(std::size_t bytes) {
  return bytes == 1   ? DType::kInt8
         : bytes == 2 ? DType::kInt16
         : bytes == 4 ? DType::kInt32
                      : DType::kInt64;
}

DType own_type(const Weak& number) {
  switch (number.kind) {
    case Weak::kBool: return DType::kBool;
    case Weak::kInt:
      return number.integer > INT32_MAX || number.integer < INT32_MIN ? DType::kInt64
                                                                      : DType::kInt32;
    case Weak::kFloat: break;
  }
  return floatx();
}

}  // namespace

DType floatx() { return float_type.load(std::memory_order_relaxed); }

void set_floatx(DType dtype) {
  if (!is_floating(dtype) || is_half(dtype))
    throw ValueError(cat("floatx must be float32 or float64; got ", dtype_name(dtype)));
  float_type.store(dtype, std::memory_order_relaxed);
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (kind_rank(a) != kind_rank(b)) return kind_rank(a) > kind_rank(b) ? a : b;
  if (is_half(a) && is_half(b)) return DType::kFloat32;
  if (is_floating(a)) return is_half(a) ? b : is_half(b) ? a : DType::kFloat64;
  if (is_unsigned(a) == is_unsigned(b)) return item_size(a) > item_size(b) ? a : b;
  const DType with_sign = is_unsigned(a) ? b : a;
  const DType without = is_unsigned(a) ? a : b;
  if (item_size(with_sign) > item_size(without)) return with_sign;
  return without == DType::kUInt64 ? floatx() : signed_of(2 * item_size(without));
}

DType result_dtype(std::span<const Operand> operands) {
  bool any = false;
  DType dtype = DType::kBool;
  for (const Operand& operand : operands) {
    if (const Value* value = std::get_if<Value>(&operand)) {
      dtype = any ? promote(dtype, (*value)->type.dtype) : (*value)->type.dtype;
      any = true;
    }
  }
  for (const Operand& operand : operands) {
    if (const Weak* number = std::get_if<Weak>(&operand)) {
      const DType own = own_type(*number);
      if (!any || kind_rank(own) > kind_rank(dtype)) dtype = any ? own : promote(dtype, own);
    }
  }
  return dtype;
}

Value constant(TensorBuilder& build, const Weak& number, DType dtype) {
  constexpr std::int64_t kExact = std::int64_t{1} << 53;
  if (number.kind != Weak::kInt || is_floating(dtype) ||
      (number.integer <= kExact && number.integer >= -kExact))
    return build.full({dtype, {}}, number.number);
  TensorPtr exact = empty_tensor({dtype, {}});
  visit_any_dtype(dtype, [&](auto zero) {
    *static_cast<decltype(zero)*>(exact->data()) = static_cast<decltype(zero)>(number.integer);
  });
  return exact;
}

Value cast(TensorBuilder& build, const Value& value, DType dtype) {
  if (value->type.dtype == dtype) return value;
  static const Op& op = find_op("cast");
  const Attrs attrs{{"dtype", std::string(dtype_name(dtype))}};
  return build.apply_op(op, {&value, 1}, attrs)[0];
}

std::vector<Value> apply_promoted(TensorBuilder& build, const Op& op,
                                  std::span<const Operand> operands, const Attrs& attrs) {
  const Rule rule = rule_of(op);
  constexpr std::size_t kFew = 4;
  std::array<Value, kFew> few;
  std::vector<Value> many;
  if (operands.size() > kFew) many.resize(operands.size());
  Value* in = operands.size() > kFew ? many.data() : few.data();

  const auto place = [&](std::size_t i, DType dtype) {
    if (const Weak* number = std::get_if<Weak>(&operands[i])) {
      in[i] = constant(build, *number, dtype);
    } else {
      in[i] = cast(build, std::get<Value>(operands[i]), dtype);
    }
  };
  const auto keep = [&](std::size_t i) {
    if (const Weak* number = std::get_if<Weak>(&operands[i])) {
      in[i] = constant(build, *number, own_type(*number));
    } else {
      in[i] = std::get<Value>(operands[i]);
    }
  };
  const auto ids = [&](std::size_t i) {
    keep(i);
    if (!is_integer(in[i]->type.dtype)) in[i] = cast(build, in[i], DType::kInt64);
  };
  const auto same = [&](std::size_t first, bool floating) {
    DType dtype = result_dtype(operands.subspan(first));
    if (floating && !is_floating(dtype)) dtype = floatx();
    for (std::size_t i = first; i < operands.size(); ++i) place(i, dtype);
  };

  if (!operands.empty()) {
    switch (rule) {
      case Rule::kKeep:
        for (std::size_t i = 0; i < operands.size(); ++i) keep(i);
        break;
      case Rule::kSame: same(0, false); break;
      case Rule::kFloat: same(0, true); break;
      case Rule::kBool:
        for (std::size_t i = 0; i < operands.size(); ++i) place(i, DType::kBool);
        break;
      case Rule::kWhere:
        place(0, DType::kBool);
        if (operands.size() > 1) same(1, false);
        break;
      case Rule::kFloatThenIds: {
        const DType dtype = result_dtype(operands.first(1));
        place(0, is_floating(dtype) ? dtype : floatx());
        for (std::size_t i = 1; i < operands.size(); ++i) ids(i);
        break;
      }
      case Rule::kIds:
        keep(0);
        for (std::size_t i = 1; i < operands.size(); ++i) ids(i);
        break;
      case Rule::kSum:
        keep(0);
        if (in[0]->type.dtype == DType::kBool) in[0] = cast(build, in[0], DType::kInt32);
        break;
    }
  }
  return build.apply_op(op, {in, operands.size()}, attrs);
}

}  // namespace densa
