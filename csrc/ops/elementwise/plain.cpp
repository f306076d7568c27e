// Comparisons, logic and tests on every dtype, and the rare binary ops: ordinary loops. Only mod
// and arctan2 have a gradient; floor_divide is a staircase, its slope is zero.
#include <cmath>
#include <limits>
#include <type_traits>

#include "ops/check.h"
#include "ops/elementwise/parts.h"
#include "ops/walk.h"

namespace densa {
namespace {

// Python's and NumPy's rule: the remainder has the sign of the divisor.
template <class T>
T modulo(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    T r = std::fmod(a, b);
    if (r != 0) {
      if ((b < 0) != (r < 0)) r += b;
    } else {
      r = std::copysign(T{0}, b);
    }
    return b == 0 ? std::numeric_limits<T>::quiet_NaN() : r;
  } else if constexpr (std::is_same_v<T, bool>) {
    return false;
  } else {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return 0;  // the smallest number divided by -1 would trap
    }
    const T r = static_cast<T>(a % b);
    return static_cast<T>(r != 0 && ((r < 0) != (b < 0)) ? r + b : r);
  }
}

template <class T>
T floor_quotient(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (b == 0) return a / b;
    const T q = (a - modulo(a, b)) / b;
    const T whole = std::floor(q);
    return q - whole > T{0.5} ? whole + 1 : whole;
  } else if constexpr (std::is_same_v<T, bool>) {
    return a && b;
  } else {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return static_cast<T>(std::uint64_t{0} - static_cast<std::uint64_t>(a));
    }
    const T q = static_cast<T>(a / b);
    return static_cast<T>(a % b != 0 && ((a < 0) != (b < 0)) ? q - 1 : q);
  }
}

#define DENSA_PLAIN(Name, expression) \
  struct Name {                       \
    template <class T>                \
    static auto of(T a, T b) {        \
      return expression;              \
    }                                 \
  };
DENSA_PLAIN(Equal, a == b)
DENSA_PLAIN(NotEqual, a != b)
DENSA_PLAIN(Less, a < b)
DENSA_PLAIN(LessEqual, a <= b)
DENSA_PLAIN(Greater, a > b)
DENSA_PLAIN(GreaterEqual, a >= b)
DENSA_PLAIN(And, static_cast<bool>(a) && static_cast<bool>(b))
DENSA_PLAIN(Or, static_cast<bool>(a) || static_cast<bool>(b))
DENSA_PLAIN(Xor, static_cast<bool>(a) != static_cast<bool>(b))
DENSA_PLAIN(FloorDivide, floor_quotient(a, b))
DENSA_PLAIN(Mod, modulo(a, b))
#undef DENSA_PLAIN
struct ArcTan2 {
  template <class T>
  static auto of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      return std::atan2(a, b);
    } else {
      return a;
    }
  }
};
struct IsNan {
  template <class T>
  static bool of(T a) {
    return a != a;
  }
};
struct IsInf {
  template <class T>
  static bool of(T a) {
    if constexpr (std::is_floating_point_v<T>) return std::isinf(a);
    return false;
  }
};
struct IsFinite {
  template <class T>
  static bool of(T a) {
    if constexpr (std::is_floating_point_v<T>) return std::isfinite(a);
    return true;
  }
};
struct Not {
  template <class T>
  static bool of(T a) {
    return !static_cast<bool>(a);
  }
};

enum class Kind : std::uint8_t { kCompare, kLogic, kArithmetic, kFloat };

template <class F, Kind kKind, const char* kName>
struct TwoInputs {
  static std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs&) {
    check_inputs(in, 2, kName);
    check_same_dtype(in[0], in[1], kName);
    if (kKind == Kind::kFloat) check_floating(in[0], kName);
    const bool to_bool = kKind == Kind::kCompare || kKind == Kind::kLogic;
    return {
        {to_bool ? DType::kBool : in[0].dtype, broadcast_shapes(in[0].shape, in[1].shape, kName)}};
  }
  static void eval(const EvalCall& call) {
    const View& out = call.out[0];
    const Walk<3> walk(out.shape,
                       {contiguous_strides(out.shape), broadcast_strides(call.in[0], out.shape),
                        broadcast_strides(call.in[1], out.shape)});
    visit_dtype(call.in[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      using R = decltype(F::of(zero, zero));
      const T *a = call.in[0].as<const T>(), *b = call.in[1].as<const T>();
      R* y = out.as<R>();
      walk.run([&](const Walk<3>::Offsets& at, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i)
          y[at[0] + i] = F::of(a[at[1] + i * walk.step(1)], b[at[2] + i * walk.step(2)]);
      });
    });
  }
};

template <class F, const char* kName>
struct OneInput {
  static std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs&) {
    check_inputs(in, 1, kName);
    return {{DType::kBool, in[0].shape}};
  }
  static void eval(const EvalCall& call) {
    const View& out = call.out[0];
    const Walk<2> walk(out.shape,
                       {contiguous_strides(out.shape), broadcast_strides(call.in[0], out.shape)});
    visit_dtype(call.in[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      const T* a = call.in[0].as<const T>();
      bool* y = out.as<bool>();
      walk.run([&](const Walk<2>::Offsets& at, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) y[at[0] + i] = F::of(a[at[1] + i * walk.step(1)]);
      });
    });
  }
};

using Gradient = std::vector<Value> (*)(const GradCall& call);
constexpr Gradient kFlat = nullptr;

// a - b floor(a / b), the quotient being constant between its steps.
std::vector<Value> grad_mod(const GradCall& call) {
  Builder& build = call.build;
  const Value &a = call.in[0], &b = call.in[1], &dy = call.dy[0];
  std::vector<Value> out(2);
  if (call.needs[0]) out[0] = sum_like(build, dy, a);
  if (call.needs[1]) {
    const Value steps = build.apply("floor_divide", {a, b});
    out[1] = sum_like(build, build.apply("negative", {build.apply("multiply", {dy, steps})}), b);
  }
  return out;
}

// The angle of the point (b, a) turns by (b da - a db) / (a^2 + b^2); no slope (NaN) at the origin.
std::vector<Value> grad_arctan2(const GradCall& call) {
  Builder& build = call.build;
  const Value &a = call.in[0], &b = call.in[1];
  const Value square = build.apply("add", {build.apply("square", {a}), build.apply("square", {b})});
  const Value turn = build.apply("divide", {call.dy[0], square});
  std::vector<Value> out(2);
  if (call.needs[0]) out[0] = sum_like(build, build.apply("multiply", {turn, b}), a);
  if (call.needs[1])
    out[1] = sum_like(build, build.apply("negative", {build.apply("multiply", {turn, a})}), b);
  return out;
}

template <class Rules>
Op plain_op(const char* name, Gradient grad) {
  Op op{name, &Rules::infer, grad, &Rules::eval};
  op.any_strides = true;
  return op;
}

#define DENSA_NAMES(X)                             \
  X(equal, Equal, kCompare, kFlat)                 \
  X(not_equal, NotEqual, kCompare, kFlat)          \
  X(less, Less, kCompare, kFlat)                   \
  X(less_equal, LessEqual, kCompare, kFlat)        \
  X(greater, Greater, kCompare, kFlat)             \
  X(greater_equal, GreaterEqual, kCompare, kFlat)  \
  X(logical_and, And, kLogic, kFlat)               \
  X(logical_or, Or, kLogic, kFlat)                 \
  X(logical_xor, Xor, kLogic, kFlat)               \
  X(floor_divide, FloorDivide, kArithmetic, kFlat) \
  X(mod, Mod, kArithmetic, grad_mod)               \
  X(arctan2, ArcTan2, kFloat, grad_arctan2)
#define DENSA_TESTS(X) X(isnan, IsNan) X(isinf, IsInf) X(isfinite, IsFinite) X(logical_not, Not)

#define DENSA_NAME(name, F, kind, grad) constexpr char n_##name[] = #name;
DENSA_NAMES(DENSA_NAME)
#undef DENSA_NAME
#define DENSA_NAME(name, F) constexpr char n_##name[] = #name;
DENSA_TESTS(DENSA_NAME)
#undef DENSA_NAME

}  // namespace

std::vector<Op> elementwise::plain_ops() {
  return {
#define DENSA_ENTRY(name, F, kind, grad) plain_op<TwoInputs<F, Kind::kind, n_##name>>(#name, grad),
      DENSA_NAMES(DENSA_ENTRY)
#undef DENSA_ENTRY
#define DENSA_ENTRY(name, F) plain_op<OneInput<F, n_##name>>(#name, kFlat),
          DENSA_TESTS(DENSA_ENTRY)
#undef DENSA_ENTRY
  };
}

std::span<const Op> ops::elementwise() {
  static const auto* const all = [] {
    auto* list = new std::vector<Op>(densa::elementwise::unary_ops());
    for (const auto& more : {densa::elementwise::binary_ops(), densa::elementwise::plain_ops()})
      list->insert(list->end(), more.begin(), more.end());
    return list;
  }();
  return *all;
}

}  // namespace densa
