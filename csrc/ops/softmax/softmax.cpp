// softmax and log_softmax along any axis.
#include "ops/softmax/softmax.h"

#include "ops/check.h"
#include "ops/copy.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(SoftmaxTable, softmax_kernels)

const SoftmaxTable& softmax_table() { return *pick_softmax_kernels(); }

namespace {

template <bool kLog>
struct Softmax {
  static constexpr const char* kName = kLog ? "log_softmax" : "softmax";

  static int axis_of(const Dims& shape, const Attrs& attrs) {
    if (shape.empty()) throw ShapeError(cat(kName, ": a scalar has no axis"));
    return normalize_axis(attrs.get_int("axis", -1), shape.rank(), kName);
  }

  static std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
    check_inputs(in, 1, kName);
    check_floating(in[0], kName);
    axis_of(in[0].shape, attrs);
    return {in[0]};
  }

  // dx = y (dy - sum dy y), and dy - softmax sum dy for the logarithm.
  static std::vector<Value> grad(const GradCall& call) {
    const Value &dy = call.dy[0], &y = call.out[0];
    if (dy == nullptr) return {nullptr};
    Builder& build = call.build;
    const std::int64_t axis = axis_of(y->type.shape, call.attrs);
    const Attrs keep{{"axis", Ints{axis}}, {"keepdims", true}};
    if constexpr (kLog) {
      const Value total = build.apply("sum", {dy}, keep);
      const Value share = build.apply("multiply", {build.apply("exp", {y}), total});
      return {build.apply("subtract", {dy, share})};
    } else {
      const Value total = build.apply("sum", {build.apply("multiply", {dy, y})}, keep);
      return {build.apply("multiply", {y, build.apply("subtract", {dy, total})})};
    }
  }

  // x with the axis last: its shape, and the strides of row-major x in that order.
  static void moved(const Dims& shape, int axis, Dims& to_shape, Dims& to_strides) {
    const Dims strides = contiguous_strides(shape);
    for (int i = 0; i <= shape.rank(); ++i) {
      const int from = i == shape.rank() ? axis : i;
      if (i == axis) continue;
      to_shape.push_back(shape[from]);
      to_strides.push_back(strides[from]);
    }
  }

  static bool is_last(const Dims& shape, int axis) {
    for (int i = axis + 1; i < shape.rank(); ++i)
      if (shape[i] != 1) return false;
    return true;
  }

  static std::size_t scratch(std::span<const TypeInfo> in, const Attrs& attrs) {
    if (is_last(in[0].shape, axis_of(in[0].shape, attrs))) return 0;
    return static_cast<std::size_t>(element_count(in[0].shape)) * item_size(in[0].dtype);
  }

  template <class T>
  static void rows(T* y, const T* x, std::int64_t count, std::int64_t cols) {
    const auto f = kLog ? softmax_fns<T>().log_softmax : softmax_fns<T>().softmax;
    // 16 columns need no padding, so the whole matrix may be written either way.
    parallel_for(count, 1 + kParallelGrain / (8 * cols), [&](std::int64_t begin, std::int64_t end) {
      f({y, cols, kPanel}, {x, cols, kPanel}, begin, end, cols);
    });
  }

  static void eval(const EvalCall& call) {
    const View &x = call.in[0], &y = call.out[0];
    const std::int64_t total = element_count(x.shape);
    if (total == 0) return;
    const int axis = axis_of(x.shape, call.attrs);
    const std::int64_t cols = x.shape[axis];
    Dims shape, strides;
    const bool last = is_last(x.shape, axis);
    if (!last) {
      moved(x.shape, axis, shape, strides);
      copy_strided(x.dtype, shape, call.scratch, contiguous_strides(shape), x.data, strides);
    }
    visit_dtype(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_floating_point_v<T>) {
        T* spare = static_cast<T*>(call.scratch);
        rows<T>(last ? y.as<T>() : spare, last ? x.as<const T>() : spare, total / cols, cols);
      }
    });
    if (!last)
      copy_strided(x.dtype, shape, y.data, strides, call.scratch, contiguous_strides(shape));
  }

  static Op op() { return {kName, &infer, &grad, &eval, &scratch}; }
};

}  // namespace

namespace ops {
std::span<const Op> softmax();
std::span<const Op> softmax() {
  static const Op all[] = {Softmax<false>::op(), Softmax<true>::op()};
  return all;
}
}  // namespace ops

}  // namespace densa
