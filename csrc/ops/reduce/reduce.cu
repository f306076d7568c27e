// Reductions on a GPU: what each op folds. The kernels stand in cuda/fold.h.
#include <string_view>

#include "cuda/fold.h"
#include "ops/backend.h"
#include "ops/reduce/axes.h"
#include "ops/reduce/formula.h"
#include "ops/reduce/plain.h"

namespace densa::inline DENSA_ISA {
namespace {

using reduce::Plain;
using Axes = std::array<bool, kMaxRank>;

// ---- floating point ----

// What becomes of a total; `shift` is what its elements were shifted by.
struct Total {
  template <class T>
  __device__ T of(T total, T) const {
    return total;
  }
};
template <class T>
struct Mean {
  T count;
  __device__ T of(T total, T) const { return total / count; }
};
struct ShiftOf {  // an infinite or NaN maximum is left to exp and log
  template <class T>
  __device__ T of(T top, T) const {
    return top - top == T{0} ? top : T{0};
  }
};
struct LogOf {
  template <class T>
  __device__ T of(T total, T shift) const {
    return static_cast<T>(log(static_cast<double>(total)) + shift);
  }
};

template <class T, class Join, class Map, class Finish>
struct FloatFold {
  using Acc = T;
  using Local = T;
  Finish finish;
  Global<const T> x, shift;
  Global<T> y;
  __device__ T local(std::int64_t k) const {
    if constexpr (Map::kShift) {
      return shift[k];
    } else {
      return T{0};
    }
  }
  __device__ T load(std::int64_t at, std::int64_t, T s) const { return Map::of(x[at], s); }
  __device__ T neutral() const { return static_cast<T>(Join::kNeutral); }
  __device__ T join(T a, T b) const { return Join::of(a, b); }
  __device__ void store(std::int64_t k, T total) const { y[k] = finish.of(total, local(k)); }
};

template <class T>
struct FloatCall {
  cuda::Stream stream;
  FoldShape shape;
  const T* x;
  T* y;
  T* shift;       // room for one number per result
  void* scratch;  // of the folds

  template <class Join, class Map, class Finish>
  void fold(T* to, const Finish& finish) const {
    const FloatFold<T, Join, Map, Finish> f{
        finish, Global<const T>(x), Global<const T>(Map::kShift ? shift : nullptr), Global<T>(to)};
    launch_fold(stream, f, shape, scratch);
  }
  Mean<T> mean() const { return {static_cast<T>(shape.count)}; }
};

struct FloatSum {
  static constexpr bool kShift = false;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.template fold<Add, Itself>(call.y, Total{});
  }
};
struct FloatMean {
  static constexpr bool kShift = false;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.template fold<Add, Itself>(call.y, call.mean());
  }
};
struct FloatProd {
  static constexpr bool kShift = false;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.template fold<Multiply, Itself>(call.y, Total{});
  }
};
struct FloatMax {
  static constexpr bool kShift = false;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.template fold<Larger, Itself>(call.y, Total{});
  }
};
struct FloatMin {
  static constexpr bool kShift = false;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.template fold<Smaller, Itself>(call.y, Total{});
  }
};
struct FloatVar {  // two passes: no difference of large sums
  static constexpr bool kShift = true;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.template fold<Add, Itself>(call.shift, call.mean());
    call.template fold<Add, SquareFrom>(call.y, call.mean());
  }
};
struct FloatLogSumExp {
  static constexpr bool kShift = true;
  template <class T>
  static void run(const FloatCall<T>& call) {
    call.template fold<Larger, Itself>(call.shift, ShiftOf{});
    call.template fold<Add, ExpFrom>(call.y, LogOf{});
  }
};

// ---- integers and bool ----

template <Plain kKind, class T>
struct ExactFold {
  using Acc = T;
  struct Local {};
  using Fold = reduce::PlainFold<kKind, T>;
  Global<const T> x;
  Global<T> y;
  __device__ Local local(std::int64_t) const { return {}; }
  __device__ T load(std::int64_t at, std::int64_t, Local) const { return x[at]; }
  __device__ T neutral() const { return Fold::neutral(); }
  __device__ T join(T a, T b) const { return Fold::of(a, b); }
  __device__ void store(std::int64_t k, T total) const { y[k] = total; }
};

template <Plain kKind, class T>
void exact(const DeviceCall& call, const FoldShape& shape) {
  const ExactFold<kKind, T> f{Global<const T>(call.in[0].as<const T>()),
                              Global<T>(call.out[0].as<T>())};
  launch_fold(call.stream, f, shape, call.scratch);
}

// ---- the ops ----

enum class AxesFrom { kAttribute, kShape };  // kShape: sum_to

template <AxesFrom kFrom>
Axes axes_of(const TypeInfo& x, const Attrs& attrs, std::string_view op) {
  if (kFrom == AxesFrom::kAttribute)
    return reduce::reduced_axes(attrs.get_ints("axis"), x.shape.rank(), op);
  Dims to{std::span<const std::int64_t>(attrs.get_ints("shape"))};
  for (int i = 0, shift = x.shape.rank() - to.rank(); i < to.rank(); ++i)
    if (to[i] == kRows) to[i] = x.shape[i + shift];
  return reduce::stretched_axes(x.shape, to);
}

constexpr std::size_t kAlign = 256;
constexpr std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// Scratch: the shifts, then what the folds need.
template <class Float>
std::size_t shift_bytes(std::int64_t results, DType dtype) {
  return Float::kShift ? aligned(static_cast<std::size_t>(results) * item_size(dtype)) : 0;
}

// kPlain says what integers and bool do; Exact: whether infer lets them through.
template <class Float, Plain kPlain, bool kExact, AxesFrom kFrom = AxesFrom::kAttribute>
struct Reduce {
  static FoldShape shape_of(const TypeInfo& x, const Attrs& attrs) {
    return FoldShape::of(x.shape, axes_of<kFrom>(x, attrs, "reduce"));
  }
  static std::size_t scratch(std::span<const TypeInfo> in, const Attrs& attrs) {
    const std::size_t item = item_size(in[0].dtype);
    return shift_bytes<Float>(shape_of(in[0], attrs).results, in[0].dtype) +
           FoldShape::scratch_bytes(in[0].shape, axes_of<kFrom>(in[0], attrs, "reduce"), item);
  }
  static void eval(const DeviceCall& call) {
    const View& x = call.in[0];
    const FoldShape shape = shape_of({x.dtype, x.shape}, call.attrs);
    visit_dtype(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_floating_point_v<T>) {
        auto* const scratch = static_cast<std::byte*>(call.scratch);
        Float::run(FloatCall<T>{call.stream, shape, x.as<const T>(), call.out[0].as<T>(),
                                reinterpret_cast<T*>(scratch),
                                scratch + shift_bytes<Float>(shape.results, x.dtype)});
      } else if constexpr (kExact) {
        exact<kPlain, T>(call, shape);
      }
    });
  }
};

template <bool kAll>
struct Truth {
  static constexpr Plain kPlain = kAll ? Plain::kAll : Plain::kAny;
  static Axes axes(const Dims& shape, const Attrs& attrs) {
    return reduce::reduced_axes(attrs.get_ints("axis"), shape.rank(), kAll ? "all" : "any");
  }
  static std::size_t scratch(std::span<const TypeInfo> in, const Attrs& attrs) {
    return FoldShape::scratch_bytes(in[0].shape, axes(in[0].shape, attrs), sizeof(bool));
  }
  static void eval(const DeviceCall& call) {
    const Dims& shape = call.in[0].shape;
    exact<kPlain, bool>(call, FoldShape::of(shape, axes(shape, call.attrs)));
  }
};

template <bool kMax, class T>
struct ArgFold {
  using Acc = Pair<T, std::int64_t>;  // an element and its index; -1: none yet
  struct Local {};
  Global<const T> x;
  Global<std::int64_t> y;
  __device__ Local local(std::int64_t) const { return {}; }
  __device__ Acc load(std::int64_t at, std::int64_t i, Local) const { return {x[at], i}; }
  __device__ Acc neutral() const { return {T{}, -1}; }
  __device__ Acc join(const Acc& a, const Acc& b) const {
    if (a.second < 0 || b.second < 0) return a.second < 0 ? b : a;
    const bool a_first = a.second < b.second;
    const Acc &first = a_first ? a : b, &second = a_first ? b : a;
    return reduce::beats<kMax>(second.first, first.first) ? second : first;
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
    visit_dtype(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      const ArgFold<kMax, T> f{Global<const T>(x.as<const T>()),
                               Global<std::int64_t>(call.out[0].as<std::int64_t>())};
      launch_fold(call.stream, f, shape, call.scratch);
    });
  }
};

template <class R>
constexpr DeviceOp op(const char* name) {
  return {.name = name, .eval = &R::eval, .scratch_bytes = &R::scratch};
}

constexpr DeviceOp kOps[] = {
    op<Reduce<FloatSum, Plain::kSum, true>>("sum"),
    op<Reduce<FloatMean, Plain::kSum, false>>("mean"),
    op<Reduce<FloatMax, Plain::kMax, true>>("max"),
    op<Reduce<FloatMin, Plain::kMin, true>>("min"),
    op<Reduce<FloatProd, Plain::kProd, true>>("prod"),
    op<Reduce<FloatVar, Plain::kSum, false>>("var"),
    op<Reduce<FloatLogSumExp, Plain::kSum, false>>("logsumexp"),
    op<Reduce<FloatSum, Plain::kSum, false, AxesFrom::kShape>>("sum_to"),
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
