// Reductions on a GPU: what each op folds. The kernels stand in cuda/fold.h.
#include <string_view>

#include "cuda/fold.h"
#include "cuda/numbers.h"
#include "ops/backend.h"
#include "ops/reduce/axes.h"
#include "ops/reduce/formula.h"
#include "ops/reduce/plain.h"
#include "ops/slope_sum/sum_rows.h"

namespace densa::inline DENSA_ISA {
namespace {

using reduce::Plain;
using Axes = std::array<bool, kMaxRank>;

// Folds are few, as each is nine kernels: what costs little to decide at run time is told by
// number.

// ---- floating point ----

template <class T>
struct SumFold {  // of the elements, or of their squared distances from a shift
  using Acc = T;
  using Local = T;
  T divisor;  // of the total
  bool squares;
  Global<const T> x, shift;
  Global<T> y;
  __device__ T local(std::int64_t k) const { return squares ? shift[k] : T{0}; }
  __device__ T load(std::int64_t at, std::int64_t, T s) const {
    return squares ? SquareFrom::of(x[at], s) : x[at];
  }
  __device__ T neutral() const { return T{0}; }
  __device__ T join(T a, T b) const { return a + b; }
  __device__ void store(std::int64_t k, T total) const { y[k] = total / divisor; }
};

template <class T>
struct LogSumExpFold {
  using Acc = T;
  using Local = T;
  Global<const T> x, shift;
  Global<T> y;
  __device__ T local(std::int64_t k) const { return shift[k]; }
  __device__ T load(std::int64_t at, std::int64_t, T s) const { return ExpFrom::of(x[at], s); }
  __device__ T neutral() const { return T{0}; }
  __device__ T join(T a, T b) const { return a + b; }
  __device__ void store(std::int64_t k, T total) const {
    y[k] = static_cast<T>(log(static_cast<double>(total)) + local(k));
  }
};

enum class Other : std::uint8_t { kProd, kMin, kMax, kShift };  // kShift: the maximum if finite

template <class T>
struct OtherFold {
  using Acc = T;
  struct Local {};
  Other kind;
  Global<const T> x;
  Global<T> y;
  __device__ Local local(std::int64_t) const { return {}; }
  __device__ T load(std::int64_t at, std::int64_t, Local) const { return x[at]; }
  __device__ T neutral() const {
    return static_cast<T>(kind == Other::kProd  ? Multiply::kNeutral
                          : kind == Other::kMin ? Smaller::kNeutral
                                                : Larger::kNeutral);
  }
  __device__ T join(T a, T b) const {
    return kind == Other::kProd  ? Multiply::of(a, b)
           : kind == Other::kMin ? Smaller::of(a, b)
                                 : Larger::of(a, b);
  }
  __device__ void store(std::int64_t k, T total) const {
    const bool replaced = kind == Other::kShift && total - total != T{0};
    y[k] = replaced ? T{0} : total;  // an infinite or NaN maximum is left to exp and log
  }
};

template <class T>
struct FloatCall {
  cuda::Stream stream;
  FoldShape shape;
  const T* x;
  T* y;
  T* shift;       // room for one number per result
  void* scratch;  // of the folds

  void sum(T* to, std::int64_t divisor, bool squares = false) const {
    const SumFold<T> f{static_cast<T>(divisor), squares, Global<const T>(x),
                       Global<const T>(squares ? shift : nullptr), Global<T>(to)};
    launch_fold(stream, f, shape, scratch);
  }
  void log_sum_exp() const {
    const LogSumExpFold<T> f{Global<const T>(x), Global<const T>(shift), Global<T>(y)};
    launch_fold(stream, f, shape, scratch);
  }
  void other(Other kind, T* to) const {
    launch_fold(stream, OtherFold<T>{kind, Global<const T>(x), Global<T>(to)}, shape, scratch);
  }
};

struct FloatSum {
  static constexpr bool kShift = false;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.sum(call.y, 1);
  }
};
struct FloatMean {
  static constexpr bool kShift = false;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.sum(call.y, call.shape.count);
  }
};
template <Other kKind>
struct FloatOther {
  static constexpr bool kShift = false;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.other(kKind, call.y);
  }
};
struct FloatVar {  // two passes: no difference of large sums
  static constexpr bool kShift = true;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.sum(call.shift, call.shape.count);
    call.sum(call.y, call.shape.count, true);
  }
};
struct FloatLogSumExp {
  static constexpr bool kShift = true;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.other(Other::kShift, call.shift);
    call.log_sum_exp();
  }
};

// ---- integers and bool: all as 64 bits, of which the result keeps the lower ones ----

using Whole = std::int64_t;

__device__ inline Whole load_whole(DType dtype, const void* x, std::int64_t at) {
  const auto element = [&](auto zero) {
    using T = decltype(zero);
    return static_cast<Whole>(Global<const T>(static_cast<const T*>(x))[at]);
  };
  switch (dtype) {
    case DType::kBool: return element(false);
    case DType::kInt8: return element(std::int8_t{});
    case DType::kInt16: return element(std::int16_t{});
    case DType::kInt32: return element(std::int32_t{});
    case DType::kUInt8: return element(std::uint8_t{});
    case DType::kUInt16: return element(std::uint16_t{});
    case DType::kUInt32: return element(std::uint32_t{});
    default: return element(Whole{});
  }
}
// Sizes in the order of the type: the upper half of uint64 counts as negative otherwise.
__device__ inline bool less_whole(DType dtype, Whole a, Whole b) {
  if (dtype == DType::kUInt64) return static_cast<std::uint64_t>(a) < static_cast<std::uint64_t>(b);
  return a < b;
}

struct ExactFold {
  using Acc = Whole;
  struct Local {};
  Plain kind;
  DType dtype;
  const void* x;
  void* y;
  __device__ Local local(std::int64_t) const { return {}; }
  __device__ Whole load(std::int64_t at, std::int64_t, Local) const {
    return load_whole(dtype, x, at);
  }
  __device__ Whole neutral() const {
    const bool is_unsigned = dtype == DType::kUInt64;
    switch (kind) {
      case Plain::kSum:
      case Plain::kAny: return 0;
      case Plain::kProd:
      case Plain::kAll: return 1;
      case Plain::kMax: return is_unsigned ? 0 : reduce::kLeast<Whole>;
      default: return is_unsigned ? -1 : reduce::kMost<Whole>;
    }
  }
  __device__ Whole join(Whole a, Whole b) const {
    const auto u = static_cast<std::uint64_t>(a), v = static_cast<std::uint64_t>(b);
    switch (kind) {
      case Plain::kSum: return static_cast<Whole>(u + v);
      case Plain::kProd: return static_cast<Whole>(u * v);
      case Plain::kMax: return less_whole(dtype, a, b) ? b : a;
      case Plain::kMin: return less_whole(dtype, b, a) ? b : a;
      case Plain::kAny: return a | b;
      default: return a & b;
    }
  }
  __device__ void store(std::int64_t k, Whole total) const {
    switch (item_bytes) {
      case 1: return put(std::uint8_t{}, k, total);
      case 2: return put(std::uint16_t{}, k, total);
      case 4: return put(std::uint32_t{}, k, total);
      default: return put(std::uint64_t{}, k, total);
    }
  }
  template <class T>
  __device__ void put(T, std::int64_t k, Whole total) const {
    Global<T>(static_cast<T*>(y))[k] = static_cast<T>(total);
  }
  std::size_t item_bytes;
};

void exact(const DeviceCall& call, const FoldShape& shape, Plain kind) {
  const View& x = call.in[0];
  launch_fold(call.stream, ExactFold{kind, x.dtype, x.data, call.out[0].data, item_size(x.dtype)},
              shape, call.scratch);
}

// ---- the ops ----

enum class AxesFrom { kAttribute, kShape };  // kShape: sum_to

template <AxesFrom kFrom>
Axes axes_of(const TypeInfo& x, const Attrs& attrs, std::string_view op) {
  if (kFrom == AxesFrom::kAttribute)
    return reduce::reduced_axes(attrs.get_ints("axis"), x.shape.rank(), op);
  Dims to{std::span<const std::int64_t>(attrs.get_ints("shape"))};
  for (int i = 0, shift = x.shape.rank() - to.rank(); i < to.rank(); ++i)
    if (is_open(to[i])) to[i] = x.shape[i + shift];
  return reduce::stretched_axes(x.shape, to);
}

constexpr std::size_t kAlign = 256;
constexpr std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// Scratch: the shifts, then what the folds need.
template <class Float>
std::size_t shift_bytes(std::int64_t results, DType dtype) {
  return Float::kShift ? aligned(static_cast<std::size_t>(results) * item_size(dtype)) : 0;
}

// kPlain says what integers and bool do.
template <class Float, Plain kPlain, AxesFrom kFrom = AxesFrom::kAttribute>
struct Reduce {
  static FoldShape shape_of(const TypeInfo& x, const Attrs& attrs) {
    return FoldShape::of(x.shape, axes_of<kFrom>(x, attrs, "reduce"));
  }
  static std::size_t scratch(std::span<const TypeInfo> in, const Attrs& attrs) {
    const std::size_t item =
        is_floating(in[0].dtype) ? arithmetic_size(in[0].dtype) : sizeof(Whole);
    return shift_bytes<Float>(shape_of(in[0], attrs).results, in[0].dtype) +
           FoldShape::scratch_bytes(in[0].shape, axes_of<kFrom>(in[0], attrs, "reduce"), item);
  }
  static void eval(const DeviceCall& call) {
    const View& x = call.in[0];
    const FoldShape shape = shape_of({x.dtype, x.shape}, call.attrs);
    if (is_half(x.dtype) || is_half(call.out[0].dtype)) return sum_rows(call);
    if (x.dtype == DType::kFloat32) return run<float>(call, shape);
    if (x.dtype == DType::kFloat64) return run<double>(call, shape);
    exact(call, shape, kPlain);  // where infer lets it through
  }
  template <class T>
  static void run(const DeviceCall& call, const FoldShape& shape) {
    const View& x = call.in[0];
    auto* const scratch = static_cast<std::byte*>(call.scratch);
    Float::run(FloatCall<T>{call.stream, shape, x.as<const T>(), call.out[0].as<T>(),
                            reinterpret_cast<T*>(scratch),
                            scratch + shift_bytes<Float>(shape.results, x.dtype)});
  }
};

template <bool kAll>
struct Truth {
  static constexpr Plain kPlain = kAll ? Plain::kAll : Plain::kAny;
  static Axes axes(const Dims& shape, const Attrs& attrs) {
    return reduce::reduced_axes(attrs.get_ints("axis"), shape.rank(), kAll ? "all" : "any");
  }
  static std::size_t scratch(std::span<const TypeInfo> in, const Attrs& attrs) {
    return FoldShape::scratch_bytes(in[0].shape, axes(in[0].shape, attrs), sizeof(Whole));
  }
  static void eval(const DeviceCall& call) {
    const Dims& shape = call.in[0].shape;
    exact(call, FoldShape::of(shape, axes(shape, call.attrs)), kPlain);
  }
};

template <class T>  // float, double, or Whole for all integers
struct ArgFold {
  using Acc = Pair<T, std::int64_t>;  // an element and its index; -1: none yet
  struct Local {};
  bool max;
  DType dtype;
  const void* x;
  Global<std::int64_t> y;
  __device__ Local local(std::int64_t) const { return {}; }
  __device__ Acc load(std::int64_t at, std::int64_t i, Local) const {
    if constexpr (std::is_floating_point_v<T>) {
      return {Global<const T>(static_cast<const T*>(x))[at], i};
    } else {
      const Whole element = load_whole(dtype, x, at);
      return {dtype == DType::kUInt64 ? element ^ reduce::kLeast<Whole> : element, i};
    }
  }
  __device__ Acc neutral() const { return {T{}, -1}; }
  __device__ Acc join(const Acc& a, const Acc& b) const {
    if (a.second < 0 || b.second < 0) return a.second < 0 ? b : a;
    const bool a_first = a.second < b.second;
    const Acc &first = a_first ? a : b, &second = a_first ? b : a;
    const bool wins = max ? reduce::beats<true>(second.first, first.first)
                          : reduce::beats<false>(second.first, first.first);
    return wins ? second : first;
  }
  __device__ void store(std::int64_t k, const Acc& best) const { y[k] = best.second; }
};

template <bool kMax>
struct Arg {
  static Dims shape_of(const Dims& x, const Attrs& attrs) {
    const reduce::ArgCall arg = reduce::arg_call(x, attrs, kMax ? "argmax" : "argmin");
    return {arg.outer, arg.count, arg.inner};
  }
  static constexpr Axes kMiddle = {false, true};
  static std::size_t scratch(std::span<const TypeInfo> in, const Attrs& attrs) {
    return FoldShape::scratch_bytes(shape_of(in[0].shape, attrs), kMiddle,
                                    sizeof(Pair<double, std::int64_t>));
  }
  static void eval(const DeviceCall& call) {
    const View& x = call.in[0];
    const FoldShape shape = FoldShape::of(shape_of(x.shape, call.attrs), kMiddle);
    if (x.dtype == DType::kFloat32) return run<float>(call, shape);
    if (x.dtype == DType::kFloat64) return run<double>(call, shape);
    run<Whole>(call, shape);
  }
  template <class T>
  static void run(const DeviceCall& call, const FoldShape& shape) {
    const ArgFold<T> f{kMax, call.in[0].dtype, call.in[0].data,
                       Global<std::int64_t>(call.out[0].as<std::int64_t>())};
    launch_fold(call.stream, f, shape, call.scratch);
  }
};

bool sums_rows(std::span<const TypeInfo> in, const Attrs& attrs) {
  return in[0].shape.rank() == 2 && in[0].shape[1] > 1 && attrs.get_ints("axis") == Ints{0};
}

bool sums_rows_to_shape(std::span<const TypeInfo> in, const Attrs& attrs) {
  return in[0].shape.rank() == 2 && in[0].shape[1] > 1 &&
         attrs.get_ints("shape") == Ints{in[0].shape[1]};
}

template <class R>
constexpr DeviceOp op(const char* name) {
  return {.name = name, .eval = &R::eval, .scratch_bytes = &R::scratch};
}

constexpr DeviceOp kOps[] = {
    {.name = "sum",
     .eval = &Reduce<FloatSum, Plain::kSum>::eval,
     .scratch_bytes = &Reduce<FloatSum, Plain::kSum>::scratch,
     .half_in = 1,
     .half_out = 1,
     .takes_halves = &sums_rows},
    op<Reduce<FloatMean, Plain::kSum>>("mean"),
    op<Reduce<FloatOther<Other::kMax>, Plain::kMax>>("max"),
    op<Reduce<FloatOther<Other::kMin>, Plain::kMin>>("min"),
    op<Reduce<FloatOther<Other::kProd>, Plain::kProd>>("prod"),
    op<Reduce<FloatVar, Plain::kSum>>("var"),
    op<Reduce<FloatLogSumExp, Plain::kSum>>("logsumexp"),
    {.name = "sum_to",
     .eval = &Reduce<FloatSum, Plain::kSum, AxesFrom::kShape>::eval,
     .scratch_bytes = &Reduce<FloatSum, Plain::kSum, AxesFrom::kShape>::scratch,
     .half_in = 1,
     .half_out = 1,
     .takes_halves = &sums_rows_to_shape},
    op<Truth<false>>("any"),
    op<Truth<true>>("all"),
    op<Arg<true>>("argmax"),
    op<Arg<false>>("argmin"),
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> reduce() { return kOps; }

}  // namespace densa::cuda_ops
