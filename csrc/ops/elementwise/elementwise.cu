// Elementwise ops on a GPU: the formulas of list.inc. plain.cu has the others.
#include <string_view>
#include <vector>

#include "cuda/strided.h"
#include "ops/backend.h"
#include "ops/elementwise/device.h"
#include "ops/elementwise/formula.h"
#include "ops/elementwise/integers.h"

namespace densa::inline DENSA_ISA {
namespace {

using namespace elementwise;

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

struct IntegerUnary {
  UnaryIndex index;
  template <class T>
  __device__ T operator()(T z) const {
    return integer_value(index, z);
  }
};
struct IntegerPair {
  BinaryIndex index;
  template <class T>
  __device__ T operator()(T a, T b) const {
    return plain_value(index, a, b);
  }
};

template <class F, class T>
__global__ void value_and_slope(std::int64_t n, Strided<1> walk, F f, Global<T> y, Global<T> s,
                                Global<const T> z) {
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    std::int64_t at[1];
    walk.locate(i, at);
    T value, slope;
    both(f, z[at[0]], value, slope);
    y[i] = value;
    s[i] = slope;
  }
}

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
void both(const DeviceCall& call, double parameter) {
  const View &y = call.out[0], &s = call.out[1], &z = call.in[0];
  const std::int64_t n = element_count(y.shape);
  for_float(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    cuda::launch(call.stream, cuda::grid_for(n), value_and_slope<F, T>, n,
                 Strided<1>::of(y.shape, {z.strides}), made<F>(parameter), y.as<T>(), s.as<T>(),
                 z.as<const T>());
  });
}

template <class F, BinaryIndex kIndex>
void eval_binary(const DeviceCall& call) {
  const View& y = call.out[0];
  if (is_floating(y.dtype)) return launch_float<PairOf, F>(call, 0, call.in[0], call.in[1]);
  visit_dtype(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T>)
      launch_map<T, T, T>(call.stream, IntegerPair{kIndex}, y, call.in[0], call.in[1]);
  });
}

struct Unary {
  std::string_view name;
  const char* attribute;
  double missing;
  void (*slope)(const DeviceCall&, double);
  void (*curve)(const DeviceCall&, double);
  void (*both)(const DeviceCall&, double);
};

template <class F>
constexpr Unary unary(const char* name, const char* attribute, double missing) {
  if constexpr (F::kSaved == Saved::kNone) {
    return {name, attribute, missing, nullptr, nullptr, nullptr};
  } else {
    return {name, attribute, missing, &slope<F>, &curve<F>, &both<F>};
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

// unary_slope, unary_curve and unary_pair name their formula in an attribute; infer has checked it.
template <auto kUse>
void by_name(const DeviceCall& call) {
  const std::string name = call.attrs.get_string("fn", "");
  for (const Unary& one : kUnary)
    if (one.name == name) return (one.*kUse)(call, parameter_of(one, call.attrs));
}

template <class F, UnaryIndex kIndex>
void eval_unary(const DeviceCall& call) {
  const View& y = call.out[0];
  if (is_floating(y.dtype)) return value<F>(call, parameter_of(kUnary[kIndex], call.attrs));
  visit_dtype(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
      launch_map<T, T>(call.stream, IntegerUnary{kIndex}, y, call.in[0]);
  });
}

constexpr DeviceOp kOps[] = {
#define DENSA_UNARY(name, Formula, doc) strided(#name, &eval_unary<Formula, k_##name>),
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) \
  strided(#name, &eval_unary<Formula, k_##name>),
#define DENSA_BINARY(name, Formula, doc) strided(#name, &eval_binary<Formula, k_##name>),
#include "ops/elementwise/list.inc"
    strided("unary_slope", &by_name<&Unary::slope>),
    strided("unary_curve", &by_name<&Unary::curve>),
    strided("unary_pair", &by_name<&Unary::both>),
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> elementwise() {
  static const auto* const all = [] {
    auto* list = new std::vector<DeviceOp>(std::begin(kOps), std::end(kOps));
    const auto more = densa::elementwise::plain_device_ops();
    list->insert(list->end(), more.begin(), more.end());
    return list;
  }();
  return *all;
}

}  // namespace densa::cuda_ops
