// Elementwise ops on a GPU: the formulas of list.inc. plain.cu has the others.
#include <string_view>
#include <vector>

#include "cuda/numbers.h"
#include "ops/backend.h"
#include "ops/elementwise/device.h"
#include "ops/elementwise/formula.h"
#include "ops/elementwise/integers.h"

namespace densa::inline DENSA_ISA {
namespace {

using namespace elementwise;

// Kernels are told the formula, and the formulas stand once for each dtype, in functions that all
// kernels call: machine code for many GPUs counts, and the branch is the same for all threads.

// F with its parameter, if it has one.
template <class F>
__device__ F made(double parameter) {
  if constexpr (__is_empty(F)) {
    return F{};
  } else {
    return F{{}, parameter};
  }
}

// What `use` makes of the formula that is meant.
template <class Use>
__device__ auto with_formula(UnaryIndex index, double parameter, const Use& use) {
  // clang-format off
  switch (index) {
#define DENSA_UNARY(name, Formula, doc) case k_##name: return use(Formula{});
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) \
    case k_##name: return use(made<Formula>(parameter));
#include "ops/elementwise/list.inc"
  }
  // clang-format on
  return use(Negative{});  // never: every index has its case
}

template <class T>
struct ValueAt {
  T z;
  template <class F>
  __device__ T operator()(const F& f) const {
    return f.value(z);
  }
};
template <class T>
struct SlopeAt {
  T saved;
  template <class F>
  __device__ T operator()(const F& f) const {
    if constexpr (F::kSaved == Saved::kNone) {
      return T{0};
    } else {
      return f.slope(saved);
    }
  }
};
template <class T>
struct CurveAt {
  T saved;
  template <class F>
  __device__ T operator()(const F& f) const {
    if constexpr (F::kSaved == Saved::kNone) {
      return T{0};
    } else {
      return f.curve(saved);
    }
  }
};
template <class T>
struct ValueAndSlope {
  T y, s;
};
template <class T>
struct BothAt {
  T z;
  template <class F>
  __device__ ValueAndSlope<T> operator()(const F& f) const {
    ValueAndSlope<T> out{z, T{0}};
    if constexpr (F::kSaved != Saved::kNone) both(f, z, out.y, out.s);
    return out;
  }
};

template <class T>
DENSA_SHARED_CODE T unary_value(UnaryIndex index, double parameter, T z) {
  return with_formula(index, parameter, ValueAt<T>{z});
}
template <class T>
DENSA_SHARED_CODE T unary_slope(UnaryIndex index, double parameter, T saved) {
  return with_formula(index, parameter, SlopeAt<T>{saved});
}
template <class T>
DENSA_SHARED_CODE T unary_curve(UnaryIndex index, double parameter, T saved) {
  return with_formula(index, parameter, CurveAt<T>{saved});
}
template <class T>
DENSA_SHARED_CODE ValueAndSlope<T> unary_pair(UnaryIndex index, double parameter, T z) {
  return with_formula(index, parameter, BothAt<T>{z});
}
template <class T>
DENSA_SHARED_CODE T binary_value(BinaryIndex index, T a, T b) {
  // clang-format off
  switch (index) {
#define DENSA_BINARY(name, Formula, doc) case k_##name: return Formula{}.value(a, b);
#include "ops/elementwise/list.inc"
  }
  // clang-format on
  return a;
}

struct UnaryValue {
  UnaryIndex index;
  double parameter;
  template <class T>
  __device__ T operator()(T z) const {
    return unary_value(index, parameter, z);
  }
};
struct UnarySlope {
  UnaryIndex index;
  double parameter;
  template <class T>
  __device__ T operator()(T saved, T dy) const {
    return dy * unary_slope(index, parameter, saved);
  }
};
struct UnaryCurve {
  UnaryIndex index;
  double parameter;
  template <class T>
  __device__ T operator()(T saved, T dy) const {
    return dy * unary_curve(index, parameter, saved);
  }
};
struct BinaryValue {
  BinaryIndex index;
  template <class T>
  __device__ T operator()(T a, T b) const {
    return binary_value(index, a, b);
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

template <class T>
__global__ void value_and_slope(std::int64_t n, Strided<1> walk, UnaryIndex index, double parameter,
                                typename FloatMemory<T>::Out y, typename FloatMemory<T>::Out s,
                                typename FloatMemory<T>::In z) {
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    std::int64_t at[1];
    walk.locate(i, at);
    const ValueAndSlope<T> out = unary_pair(index, parameter, static_cast<T>(z[at[0]]));
    put(y, i, out.y);
    put(s, i, out.s);
  }
}

// `f` is given a zero of the type that computes: float for 16 bits.
template <class F>
void for_float(DType dtype, const F& f) {
  if (dtype == DType::kFloat64) {
    f(double{});
  } else {
    f(float{});
  }
}

// Launches f over floating point `in`.
template <class F, class... V>
void launch_float(const DeviceCall& call, const F& f, const V&... in) {
  for_float(call.out[0].dtype, [&](auto zero) {
    using M = std::conditional_t<sizeof zero == 4, AnyFloat, double>;
    if constexpr (sizeof...(V) == 1) {
      launch_map<M, M>(call.stream, f, call.out[0], in...);
    } else {
      launch_map<M, M, M>(call.stream, f, call.out[0], in...);
    }
  });
}

template <BinaryIndex kIndex>
void eval_binary(const DeviceCall& call) {
  const View& y = call.out[0];
  if (is_floating(y.dtype)) return launch_float(call, BinaryValue{kIndex}, call.in[0], call.in[1]);
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
};
constexpr Unary kUnary[] = {
#define DENSA_UNARY(name, Formula, doc) {#name, nullptr, 0},
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) {#name, attribute, missing},
#include "ops/elementwise/list.inc"
};

double parameter_of(UnaryIndex index, const Attrs& attrs) {
  const Unary& one = kUnary[index];
  return one.attribute == nullptr ? 0 : attrs.get_double(one.attribute, one.missing);
}

// unary_slope, unary_curve and unary_pair name their formula in an attribute; infer has checked it.
UnaryIndex index_of(const Attrs& attrs) {
  const std::string name = attrs.get_string("fn", "");
  int index = 0;
  while (kUnary[index].name != name) ++index;
  return static_cast<UnaryIndex>(index);
}

template <UnaryIndex kIndex>
void eval_unary(const DeviceCall& call) {
  const View& y = call.out[0];
  if (is_floating(y.dtype))
    return launch_float(call, UnaryValue{kIndex, parameter_of(kIndex, call.attrs)}, call.in[0]);
  visit_dtype(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
      launch_map<T, T>(call.stream, IntegerUnary{kIndex}, y, call.in[0]);
  });
}

template <class Use>
void eval_slope(const DeviceCall& call) {
  const UnaryIndex index = index_of(call.attrs);
  launch_float(call, Use{index, parameter_of(index, call.attrs)}, call.in[0], call.in[1]);
}

void eval_pair(const DeviceCall& call) {
  const View &y = call.out[0], &s = call.out[1], &z = call.in[0];
  const std::int64_t n = element_count(y.shape);
  const UnaryIndex index = index_of(call.attrs);
  for_float(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    cuda::launch(call.stream, cuda::grid_for(n), value_and_slope<T>, n,
                 Strided<1>::of(y.shape, {z.strides}), index, parameter_of(index, call.attrs),
                 FloatMemory<T>::out(y), FloatMemory<T>::out(s), FloatMemory<T>::in(z));
  });
}

constexpr DeviceOp kOps[] = {
#define DENSA_UNARY(name, Formula, doc) of_any_float(#name, &eval_unary<k_##name>),
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) \
  of_any_float(#name, &eval_unary<k_##name>),
#define DENSA_BINARY(name, Formula, doc) of_any_float(#name, &eval_binary<k_##name>),
#include "ops/elementwise/list.inc"
    of_any_float("unary_slope", &eval_slope<UnarySlope>),
    of_any_float("unary_curve", &eval_slope<UnaryCurve>),
    of_any_float("unary_pair", &eval_pair),
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
