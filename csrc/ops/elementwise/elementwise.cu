// Elementwise ops on a GPU: the formulas of list.inc, one thread per element.
#include <string_view>
#include <vector>

#include "cuda/strided.h"
#include "ops/backend.h"
#include "ops/elementwise/formula.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class F>
struct ValueOf {
  F formula;
  template <class T>
  __device__ T operator()(T z) const {
    return formula.value(z);
  }
};
template <class F>
struct SlopeOf {
  F formula;
  template <class T>
  __device__ T operator()(T saved, T dy) const {
    return dy * formula.slope(saved);
  }
};
template <class F>
struct CurveOf {
  F formula;
  template <class T>
  __device__ T operator()(T saved, T dy) const {
    return dy * formula.curve(saved);
  }
};
template <class F>
struct PairOf {
  F formula;
  template <class T>
  __device__ T operator()(T a, T b) const {
    return formula.value(a, b);
  }
};

template <class F>
void for_float(DType dtype, const F& f) {
  if (dtype == DType::kFloat32) {
    f(float{});
  } else {
    f(double{});
  }
}

// F with its parameter, if it has one.
template <class F>
F made(double parameter) {
  if constexpr (__is_empty(F)) {
    return F{};
  } else {
    return F{{}, parameter};
  }
}

template <template <class> class Use, class F, class... V>
void launch_float(const DeviceCall& call, double parameter, const V&... in) {
  for_float(call.out[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    const Use<F> f{made<F>(parameter)};
    if constexpr (sizeof...(V) == 1) {
      launch_map<T, T>(call.stream, f, call.out[0], in...);
    } else {
      launch_map<T, T, T>(call.stream, f, call.out[0], in...);
    }
  });
}

template <class F>
void value(const DeviceCall& call, double parameter) {
  launch_float<ValueOf, F>(call, parameter, call.in[0]);
}
template <class F>
void slope(const DeviceCall& call, double parameter) {
  launch_float<SlopeOf, F>(call, parameter, call.in[0], call.in[1]);
}
template <class F>
void curve(const DeviceCall& call, double parameter) {
  launch_float<CurveOf, F>(call, parameter, call.in[0], call.in[1]);
}
template <class F>
void pair(const DeviceCall& call) {
  launch_float<PairOf, F>(call, 0, call.in[0], call.in[1]);
}

struct Unary {
  std::string_view name;
  const char* attribute;
  double missing;
  void (*slope)(const DeviceCall&, double);
  void (*curve)(const DeviceCall&, double);
};

template <class F>
constexpr Unary unary(const char* name, const char* attribute, double missing) {
  if constexpr (F::kSaved == Saved::kNone) {
    return {name, attribute, missing, nullptr, nullptr};
  } else {
    return {name, attribute, missing, &slope<F>, &curve<F>};
  }
}

constexpr Unary kUnary[] = {
#define DENSA_UNARY(name, Formula, doc) unary<Formula>(#name, nullptr, 0),
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) \
  unary<Formula>(#name, attribute, missing),
#include "ops/elementwise/list.inc"
};

double parameter_of(const Unary& one, const Attrs& attrs) {
  return one.attribute == nullptr ? 0 : attrs.get_double(one.attribute, one.missing);
}

// unary_slope and unary_curve name their formula in an attribute; infer has checked it.
template <bool kCurve>
void by_name(const DeviceCall& call) {
  const std::string name = call.attrs.get_string("fn", "");
  for (const Unary& one : kUnary)
    if (one.name == name)
      return (kCurve ? one.curve : one.slope)(call, parameter_of(one, call.attrs));
}

template <class F, int kIndex>
void eval_unary(const DeviceCall& call) {
  value<F>(call, parameter_of(kUnary[kIndex], call.attrs));
}

enum UnaryIndex : int {
#define DENSA_UNARY(name, Formula, doc) k_##name,
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) k_##name,
#include "ops/elementwise/list.inc"
};

constexpr DeviceOp strided(const char* name, void (*eval)(const DeviceCall&)) {
  return {.name = name, .eval = eval, .any_strides = true};
}

constexpr DeviceOp kOps[] = {
#define DENSA_UNARY(name, Formula, doc) strided(#name, &eval_unary<Formula, k_##name>),
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) \
  strided(#name, &eval_unary<Formula, k_##name>),
#define DENSA_BINARY(name, Formula, doc) strided(#name, &pair<Formula>),
#include "ops/elementwise/list.inc"
    strided("unary_slope", &by_name<false>),
    strided("unary_curve", &by_name<true>),
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> elementwise() { return kOps; }

}  // namespace densa::cuda_ops
