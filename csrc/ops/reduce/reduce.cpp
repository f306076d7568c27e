// sum, mean, max, min, prod, var, logsumexp and sum_to: shapes, gradients, choice of kernels.
#include "ops/reduce/reduce.h"

#include <cmath>
#include <limits>

#include "base/panel.h"
#include "ops/check.h"
#include "ops/reduce/layout.h"
#include "ops/reduce/parts.h"
#include "ops/walk.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(ReduceTable, reduce_kernels)

const ReduceTable& reduce_table() { return *pick_reduce_kernels(); }

namespace reduce {
namespace {

enum class Kind : std::uint8_t { kSum, kMean, kMax, kMin, kProd, kVar, kLogSumExp, kSumTo };

constexpr const char* kNames[] = {"sum",  "mean", "max",       "min",
                                  "prod", "var",  "logsumexp", "sum_to"};

template <class T>
void fill(T* y, std::int64_t n, T value) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = value;
}

// One kernel over [outer][reduced][inner], split by results.
template <class T>
void run(Reduction reduction, const Layout& layout, const T* x, T* y, const T* shift) {
  const auto& fns = reduce_fns<T>(reduction);
  const std::int64_t n = layout.reduced, inner = layout.inner;
  const auto size = [](std::int64_t v) { return static_cast<std::size_t>(v); };
  if (inner == 1) {
    parallel_for(layout.outer, 1 + kParallelGrain / n, [&](std::int64_t begin, std::int64_t end) {
      fns.rows(y + begin, x + begin * n, n, size(end - begin), size(n),
               shift == nullptr ? nullptr : shift + begin);
    });
    return;
  }
  const std::int64_t groups = panel_count(inner);
  const std::int64_t grain = 1 + kParallelGrain / (n * kPanel);
  parallel_for(layout.outer * groups, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t u = begin; u < end;) {
      const std::int64_t o = u / groups, first = u % groups;
      const std::int64_t last = std::min(groups, first + end - u);
      const std::int64_t c = first * kPanel, cols = std::min(inner, last * kPanel) - c;
      fns.columns(y + o * inner + c, x + o * n * inner + c, inner, size(n), size(cols),
                  shift == nullptr ? nullptr : shift + o * inner + c);
      u += last - first;
    }
  });
}

template <class T>
void eval_layout(Kind kind, const Layout& layout, const T* x, T* y, T* shift) {
  const std::int64_t results = layout.outer * layout.inner;
  if (results == 0) return;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const T infinity = std::numeric_limits<T>::infinity();
  if (layout.reduced == 0) {
    const bool undefined = kind == Kind::kMean || kind == Kind::kVar;
    return fill(y, results,
                undefined                  ? nan
                : kind == Kind::kProd      ? T{1}
                : kind == Kind::kLogSumExp ? -infinity
                                           : T{0});
  }
  const auto count = static_cast<T>(layout.reduced);
  switch (kind) {
    case Kind::kSum:
    case Kind::kSumTo: return run<T>(Reduction::kSum, layout, x, y, nullptr);
    case Kind::kMax: return run<T>(Reduction::kMax, layout, x, y, nullptr);
    case Kind::kMin: return run<T>(Reduction::kMin, layout, x, y, nullptr);
    case Kind::kProd: return run<T>(Reduction::kProd, layout, x, y, nullptr);
    case Kind::kMean:
      run<T>(Reduction::kSum, layout, x, y, nullptr);
      for (std::int64_t i = 0; i < results; ++i) y[i] /= count;
      return;
    case Kind::kVar:  // two passes: no difference of large sums
      run<T>(Reduction::kSum, layout, x, shift, nullptr);
      for (std::int64_t i = 0; i < results; ++i) shift[i] /= count;
      run<T>(Reduction::kSumSquare, layout, x, y, shift);
      for (std::int64_t i = 0; i < results; ++i) y[i] /= count;
      return;
    case Kind::kLogSumExp:  // an infinite or NaN maximum is left to exp and log
      run<T>(Reduction::kMax, layout, x, shift, nullptr);
      for (std::int64_t i = 0; i < results; ++i)
        if (!std::isfinite(shift[i])) shift[i] = 0;
      run<T>(Reduction::kSumExp, layout, x, y, shift);
      for (std::int64_t i = 0; i < results; ++i)
        y[i] = static_cast<T>(std::log(static_cast<double>(y[i])) + shift[i]);
      return;
  }
}

std::array<bool, kMaxRank> axes_of(Kind kind, const Dims& x, const Dims& y, const Attrs& attrs) {
  if (kind == Kind::kSumTo) return stretched_axes(x, y);
  return reduced_axes(ints_of(attrs, "axis"), x.rank(), kNames[static_cast<int>(kind)]);
}

Dims sum_to_shape(const Dims& x, const Attrs& attrs) {
  Dims shape{std::span<const std::int64_t>(attrs.get_ints("shape"))};
  const int shift = x.rank() - shape.rank();
  bool fits = shift >= 0;
  for (int i = 0; fits && i < shape.rank(); ++i) {
    if (is_open(shape[i])) shape[i] = x[i + shift];
    fits = shape[i] == 1 || shape[i] == x[i + shift];
  }
  if (!fits)
    throw ShapeError(
        cat("sum_to: ", to_string(x), " is not what broadcasting makes of ", to_string(shape)));
  return shape;
}

bool knows_integers(Kind kind) {
  return kind == Kind::kSum || kind == Kind::kProd || kind == Kind::kMax || kind == Kind::kMin;
}

template <Kind kKind>
struct Reduce {
  static constexpr const char* kName = kNames[static_cast<int>(kKind)];

  static std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
    check_inputs(in, 1, kName);
    const bool plain = knows_integers(kKind) &&
                       (is_integer(in[0].dtype) || kKind == Kind::kMax || kKind == Kind::kMin);
    if (!plain) check_floating(in[0], kName);
    const Dims& shape = in[0].shape;
    if constexpr (kKind == Kind::kSumTo) return {{in[0].dtype, sum_to_shape(shape, attrs)}};
    const auto reduced = axes_of(kKind, shape, shape, attrs);
    if (kKind == Kind::kMax || kKind == Kind::kMin) {
      bool none = false, any_left = true;
      for (int i = 0; i < shape.rank(); ++i) {
        none = none || (reduced[i] && shape[i] == 0);
        any_left = any_left && (reduced[i] || shape[i] != 0);
      }
      if (none && any_left)
        throw ValueError(cat(kName, ": x ", to_string(shape), " has no element along the axis"));
    }
    return {{in[0].dtype, result_shape(shape, reduced, attrs.get_bool("keepdims", false))}};
  }

  static std::size_t scratch(std::span<const TypeInfo> in, const Attrs& attrs) {
    const Dims& x = in[0].shape;
    const Dims y = infer(in, attrs)[0].shape;
    const Layout layout = layout_of(x, axes_of(kKind, x, y, attrs));
    std::int64_t items = layout.permute ? padded(element_count(x)) : 0;
    if (kKind == Kind::kVar || kKind == Kind::kLogSumExp) items += element_count(y);
    return static_cast<std::size_t>(items) * item_size(in[0].dtype);
  }

  static void eval(const EvalCall& call) {
    const View &x = call.in[0], &y = call.out[0];
    const auto reduced = axes_of(kKind, x.shape, y.shape, call.attrs);
    if (!is_floating(x.dtype)) {
      constexpr Plain kPlain = kKind == Kind::kProd  ? Plain::kProd
                               : kKind == Kind::kMax ? Plain::kMax
                               : kKind == Kind::kMin ? Plain::kMin
                                                     : Plain::kSum;
      return plain_reduce<kPlain>(x, y, reduced, call.scratch);
    }
    visit_dtype(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_floating_point_v<T>) {
        const Layout layout = layout_of(x.shape, reduced);
        const T* from = x.as<const T>();
        T* spare = static_cast<T*>(call.scratch);
        if (layout.permute) {
          move_axes(x, layout, spare);
          from = spare;
          spare += padded(element_count(x.shape));
        }
        eval_layout<T>(kKind, layout, from, y.as<T>(), spare);
      }
    });
  }

  // ---- gradient ----

  static std::vector<Value> grad(const GradCall& call) {
    const Value &x = call.in[0], &dy = call.dy[0];
    if (dy == nullptr || !is_floating(x->type.dtype)) return {nullptr};
    Builder& build = call.build;
    const Attrs to_x{{"shape", to_ints(x->type.shape)}};
    if constexpr (kKind == Kind::kSumTo) {
      return {build.apply("broadcast_to", {dy}, to_x)};
    } else {
      const auto reduced = axes_of(kKind, x->type.shape, x->type.shape, call.attrs);
      const Dims kept = result_shape(x->type.shape, reduced, true);
      // In the shape with keepdims, so that it broadcasts against x.
      const auto wide = [&](const Value& v) {
        return v->type.shape == kept ? v : build.apply("reshape", {v}, {{"shape", to_ints(kept)}});
      };
      const Attrs keep = kept_attrs(reduced, x->type.shape.rank());
      const Value g = wide(dy);
      if constexpr (kKind == Kind::kSum) {
        return {build.apply("broadcast_to", {g}, to_x)};
      } else if constexpr (kKind == Kind::kMean) {
        return {build.apply("broadcast_to", {divide_by_count(build, g, x, reduced)}, to_x)};
      } else if constexpr (kKind == Kind::kVar) {
        const Value mean = build.apply("mean", {x}, keep);
        const Value part = divide_by_count(build, g, x, reduced);
        const Value twice = build.apply("multiply", {part, scalar_of(build, x, 2)});
        return {build.apply("multiply", {twice, build.apply("subtract", {x, mean})})};
      } else if constexpr (kKind == Kind::kLogSumExp) {
        // All elements -inf: the result is -inf and no element moves it.
        const Value y = wide(call.out[0]);
        const Value low = scalar_of(build, x, -std::numeric_limits<double>::infinity());
        const Value shift =
            build.apply("where", {build.apply("equal", {y, low}), scalar_of(build, x, 0), y});
        const Value share = build.apply("exp", {build.apply("subtract", {x, shift})});
        return {build.apply("multiply", {g, share})};
      } else if constexpr (kKind == Kind::kProd) {
        return {grad_prod(build, x, g, keep)};
      } else {  // max, min: ties share
        const Value hit = build.apply("equal", {x, wide(call.out[0])});
        const Value mask =
            build.apply("cast", {hit}, {{"dtype", std::string(dtype_name(x->type.dtype))}});
        const Value ties = build.apply("sum", {mask}, keep);
        return {build.apply("multiply", {mask, build.apply("divide", {g, ties})})};
      }
    }
  }

 private:
  static Attrs kept_attrs(const std::array<bool, kMaxRank>& reduced, int rank) {
    Ints axes;
    for (int i = 0; i < rank; ++i)
      if (reduced[i]) axes.push_back(i);
    return {{"axis", axes}, {"keepdims", true}};
  }

  static Value divide_by_count(Builder& build, const Value& g, const Value& x,
                               const std::array<bool, kMaxRank>& reduced) {
    double count = 1;
    bool rows = false;
    const Dims& shape = x->type.shape;
    for (int i = 0; i < shape.rank(); ++i) {
      if (!reduced[i]) continue;
      rows = rows || is_open(shape[i]);
      count *= static_cast<double>(is_open(shape[i]) ? 1 : shape[i]);
    }
    Value out = g;
    if (count != 1) out = build.apply("divide", {out, scalar_of(build, x, count)});
    if (!rows) return out;
    const Value n =
        build.apply("row_count", {x}, {{"dtype", std::string(dtype_name(x->type.dtype))}});
    return build.apply("divide", {out, n});
  }

  // The product of the others: y / x without zeros; with one zero only that element has one.
  static Value grad_prod(Builder& build, const Value& x, const Value& g, const Attrs& keep) {
    const Value zero = scalar_of(build, x, 0), one = scalar_of(build, x, 1);
    const Attrs to{{"dtype", std::string(dtype_name(x->type.dtype))}};
    const Value is_zero = build.apply("equal", {x, zero});
    const Value safe = build.apply("where", {is_zero, one, x});
    const Value mask = build.apply("cast", {is_zero}, to);
    const Value zeros = build.apply("sum", {mask}, keep);
    const Value product = build.apply("prod", {safe}, keep);
    const Value others = build.apply("divide", {product, safe});
    // Zeros apart from this element: none means `others` is the answer.
    const Value rest = build.apply("subtract", {zeros, mask});
    const Value slope = build.apply("where", {build.apply("equal", {rest, zero}), others, zero});
    return build.apply("multiply", {g, slope});
  }
};

template <Kind kKind>
Op reduce_op() {
  using This = Reduce<kKind>;
  return {This::kName, &This::infer, &This::grad, &This::eval, &This::scratch};
}

}  // namespace

std::vector<Op> float_ops() {
  return {reduce_op<Kind::kSum>(),       reduce_op<Kind::kMean>(), reduce_op<Kind::kMax>(),
          reduce_op<Kind::kMin>(),       reduce_op<Kind::kProd>(), reduce_op<Kind::kVar>(),
          reduce_op<Kind::kLogSumExp>(), reduce_op<Kind::kSumTo>()};
}

}  // namespace reduce
}  // namespace densa
